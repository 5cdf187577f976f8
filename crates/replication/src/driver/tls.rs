//! TLS to the primary, by rustls.
//!
//! The cryptography is ring's, named explicitly: no process-wide default is read or set.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How to speak TLS to a primary. The primary's certificate is verified unless
/// [`danger_accept_invalid_certs`](TlsBuilder::danger_accept_invalid_certs) says otherwise.
///
/// ```
/// use replication::{Tls, TlsVersion};
///
/// # fn run() -> Result<(), replication::TlsError> {
/// let public = Tls::secure("cache.example.com")?; // 1.3, and the authorities that browsers know
/// let own = Tls::builder("cache.internal")
///     .roots(std::fs::read("ca.pem").unwrap_or_default())
///     .client_cert(std::fs::read("app.pem").unwrap_or_default(), std::fs::read("app.key").unwrap_or_default())
///     .min_version(TlsVersion::V1_2)
///     .build()?;
/// # drop((public, own));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    /// The name in the primary's certificate; without one, the host that is connected to.
    name: Option<String>,
}

/// What cannot be used for TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS: {0}")]
pub struct TlsError(String);

/// Versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Settings for a stage of a program's life. All of them verify the primary's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// TLS 1.2 and later, with every cipher suite that there is.
    Development,
    /// TLS 1.2 and later; of 1.2 only suites with AES-256 or ChaCha20.
    Staging,
    /// TLS 1.3.
    Production,
}

/// Settings of [`Tls`], by [`Tls::builder`].
#[derive(Debug)]
pub struct TlsBuilder {
    name: Option<String>,
    least: TlsVersion,
    roots: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
    suites: Option<Vec<String>>,
    unverified: bool,
}

impl Tls {
    /// A configuration of the caller's own.
    #[must_use]
    pub fn config(config: Arc<ClientConfig>) -> Self {
        Self { config, name: None }
    }

    /// TLS 1.3 with a primary whose certificate says `name`, signed by an authority that browsers know.
    ///
    /// # Errors
    /// As [`TlsBuilder::build`].
    pub fn secure(name: impl Into<String>) -> Result<Self, TlsError> {
        Self::builder(name).min_version(TlsVersion::V1_3).build()
    }

    /// The settings of a profile.
    #[must_use]
    pub fn profile(name: impl Into<String>, profile: Profile) -> TlsBuilder {
        let builder = Self::builder(name);
        match profile {
            Profile::Development => builder,
            Profile::Staging => builder.cipher_suites([
                "TLS13_AES_256_GCM_SHA384",
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ]),
            Profile::Production => builder.min_version(TlsVersion::V1_3),
        }
    }

    /// Settings one by one, for a primary whose certificate says `name`; an empty name stands for the host
    /// that is connected to.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> TlsBuilder {
        TlsBuilder {
            name: Some(name.into()).filter(|name| !name.is_empty()),
            least: TlsVersion::V1_2,
            roots: None,
            client: None,
            suites: None,
            unverified: false,
        }
    }

    /// The settings, for a connection that is not a link's.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The name that the certificate of a primary at `host` must have.
    ///
    /// # Errors
    /// It is neither a name nor an address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|error| TlsError(format!("{name:?}: {error}")))
    }

    pub(crate) async fn wrap<S>(&self, host: &str, socket: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.server_name(host).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, socket).await
    }
}

impl TlsBuilder {
    /// The oldest version to accept. Default 1.2.
    #[must_use]
    pub fn min_version(mut self, least: TlsVersion) -> Self {
        self.least = least;
        self
    }

    /// Certificates (PEM) of the authorities to trust, instead of those that browsers know.
    #[must_use]
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Our own certificate with its chain, and its key (both PEM), for primaries that ask who we are.
    #[must_use]
    pub fn client_cert(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client = Some((chain.into(), key.into()));
        self
    }

    /// Cipher suites to offer, by rustls' names, such as `TLS13_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn cipher_suites<S: Into<String>>(mut self, suites: impl IntoIterator<Item = S>) -> Self {
        self.suites = Some(suites.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts whatever certificate is shown: anybody on the way can then read and change everything,
    /// the password included.
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self) -> Self {
        self.unverified = true;
        self
    }

    /// Checks it all.
    ///
    /// # Errors
    /// PEM that is none, a key that does not fit its certificate, an unknown cipher suite.
    pub fn build(self) -> Result<Tls, TlsError> {
        let provider = Arc::new(self.provider()?);
        let all: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        let versions = if self.least == TlsVersion::V1_3 { all.get(..1) } else { all.get(..) };
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions.unwrap_or_default())
            .map_err(|error| TlsError(error.to_string()))?;
        let config = if self.unverified {
            config.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            config.with_root_certificates(self.trusted()?)
        };
        let config = match &self.client {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain)?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| TlsError(format!("the key of the client certificate: {error}")))?;
                config.with_client_auth_cert(chain, key).map_err(|error| TlsError(error.to_string()))?
            }
        };
        Ok(Tls { config: Arc::new(config), name: self.name })
    }

    fn provider(&self) -> Result<CryptoProvider, TlsError> {
        let mut provider = ring::default_provider();
        if let Some(names) = &self.suites {
            let find = |name: &String| -> Result<SupportedCipherSuite, TlsError> {
                let known = provider.cipher_suites.iter();
                known
                    .copied()
                    .find(|suite| format!("{:?}", suite.suite()).eq_ignore_ascii_case(name))
                    .ok_or_else(|| TlsError(format!("no cipher suite is called {name:?}")))
            };
            provider.cipher_suites = names.iter().map(find).collect::<Result<_, _>>()?;
        }
        Ok(provider)
    }

    fn trusted(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for certificate in certificates(pem)? {
                    store.add(certificate).map_err(|error| TlsError(error.to_string()))?;
                }
            }
        }
        Ok(store)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(TlsError("there is no certificate in the PEM text".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(TlsError(error.to_string())),
    }
}

/// Trusts everybody, but still checks that they hold the key of what they show.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_can_be_built_and_mistakes_are_named() {
        for profile in [Profile::Development, Profile::Staging, Profile::Production] {
            Tls::profile("cache.internal", profile).build().unwrap();
        }
        Tls::secure("cache.internal").unwrap();
        let error = Tls::builder("h").cipher_suites(["TLS_NONSENSE"]).build().unwrap_err();
        assert_eq!(error.to_string(), "TLS: no cipher suite is called \"TLS_NONSENSE\"");
        assert!(Tls::builder("h").roots("no PEM at all").build().is_err());
        assert!(Tls::builder("h").client_cert("x", "y").build().is_err());
    }
}
