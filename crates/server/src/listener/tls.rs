//! TLS for clients, by rustls.
//!
//! The cryptography is ring's, named explicitly: no process-wide default is read or set.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// How a listener speaks TLS. Clones are the same: what [`replace`](Self::replace) changes in one is changed in all.
#[derive(Clone)]
pub struct ServerTls(Arc<RwLock<Arc<ServerConfig>>>);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// What cannot be used for TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS: {0}")]
pub struct ServerTlsError(String);

/// Whether clients must show certificates (`tls-auth-clients`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// None is asked for.
    No,
    /// Who has none is refused.
    #[default]
    Required,
    /// One that is shown must be good.
    Optional,
}

impl ClientCertificates {
    /// The words of the setting, in the order of the choices.
    pub(crate) const NAMES: [&'static str; 3] = ["no", "yes", "optional"];

    /// The choice at that place.
    pub(crate) fn at(place: i64) -> Self {
        match place {
            0 => Self::No,
            2 => Self::Optional,
            _ => Self::Required,
        }
    }
}

/// Settings of [`ServerTls`], by [`ServerTls::builder`].
#[derive(Debug, Clone)]
pub struct ServerTlsBuilder {
    chain: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
    clients: ClientCertificates,
    /// TLS 1.2 and 1.3.
    versions: (bool, bool),
}

impl ServerTls {
    /// With our certificate, its chain behind it, and its key, both as PEM. Clients must show a certificate by
    /// default, as with the real servers.
    #[must_use]
    pub fn builder(chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> ServerTlsBuilder {
        ServerTlsBuilder {
            chain: chain.into(),
            key: key.into(),
            authorities: None,
            clients: ClientCertificates::default(),
            versions: (true, true),
        }
    }

    /// A configuration of the caller's own.
    #[must_use]
    pub fn config(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// Connections from now on are made with the settings of `other`: a new certificate, say.
    pub fn replace(&self, other: &Self) {
        let config = Arc::clone(&other.0.read());
        *self.0.write() = config;
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.read()))
    }
}

impl ServerTlsBuilder {
    /// Certificates (PEM) of the authorities that sign clients' certificates.
    #[must_use]
    pub fn client_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// Whether clients must show a certificate.
    #[must_use]
    pub fn client_certificates(mut self, clients: ClientCertificates) -> Self {
        self.clients = clients;
        self
    }

    /// Which versions of TLS are spoken: 1.2, 1.3 (`tls-protocols`). Default both.
    #[must_use]
    pub fn versions(mut self, tls_12: bool, tls_13: bool) -> Self {
        self.versions = (tls_12, tls_13);
        self
    }

    /// Checks it all.
    ///
    /// # Errors
    /// PEM that is none, a key that does not fit its certificate, no authority where clients must show
    /// certificates.
    pub fn build(self) -> Result<ServerTls, ServerTlsError> {
        let failed = |error: rustls::Error| ServerTlsError(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let versions: Vec<&SupportedProtocolVersion> =
            [(self.versions.0, &rustls::version::TLS12), (self.versions.1, &rustls::version::TLS13)]
                .into_iter()
                .filter_map(|(spoken, version)| spoken.then_some(version))
                .collect();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(failed)?;
        let config = match (self.clients, &self.authorities) {
            (ClientCertificates::No, _) => config.with_no_client_auth(),
            (ClientCertificates::Optional | ClientCertificates::Required, None) => {
                return Err(ServerTlsError(
                    "clients must show certificates, but no authority is given that signs them".to_owned(),
                ));
            }
            (choice, Some(pem)) => {
                let mut trusted = RootCertStore::empty();
                for certificate in certificates(pem)? {
                    trusted.add(certificate).map_err(failed)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider);
                let verifier = match choice {
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let verifier = verifier.build().map_err(|error| ServerTlsError(error.to_string()))?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let chain = certificates(&self.chain)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| ServerTlsError(format!("the key: {error}")))?;
        let config = config.with_single_cert(chain, key).map_err(failed)?;
        Ok(ServerTls::config(Arc::new(config)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(ServerTlsError("there is no certificate in the PEM text".to_owned()))
        }
        Ok(all) => Ok(all),
        Err(error) => Err(ServerTlsError(error.to_string())),
    }
}
