//! TLS as the configuration has it: files by their names, read when they are needed.

use std::fmt;

use store::{Differences, SettingKind};

use crate::engine::Engine;
use crate::listener::{ClientCertificates, ServerTls, ServerTlsError};
use crate::settings::{Row, any_text};

/// The settings, and what was made of them.
#[derive(Debug, Default)]
pub(crate) struct TlsSettings {
    certificate: String,
    key: String,
    authorities: String,
    clients: ClientCertificates,
    /// Versions of the protocol, as they were given; all if there are none.
    protocols: String,
    /// What a listener has.
    live: Option<ServerTls>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSettingsError {
    /// A file that is needed is not named.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Its name.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// What the files hold cannot be used.
    #[error(transparent)]
    Tls(#[from] ServerTlsError),
}

/// The contents of the files: our certificate, its key, and the authorities.
pub(crate) struct TlsFiles {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) authorities: Option<Vec<u8>>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFiles")
    }
}

impl TlsSettings {
    fn files(&self) -> Result<TlsFiles, TlsSettingsError> {
        let read = |path: &str| {
            std::fs::read(path).map_err(|source| TlsSettingsError::Io { path: path.to_owned(), source })
        };
        let named =
            |path: &str, name| if path.is_empty() { Err(TlsSettingsError::Missing(name)) } else { Ok(()) };
        named(&self.certificate, "tls-cert-file")?;
        named(&self.key, "tls-key-file")?;
        let authorities = Some(self.authorities.as_str()).filter(|path| !path.is_empty());
        Ok(TlsFiles {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            authorities: authorities.map(read).transpose()?,
        })
    }

    fn build(&self) -> Result<ServerTls, TlsSettingsError> {
        let files = self.files()?;
        if files.authorities.is_none() && self.clients != ClientCertificates::No {
            return Err(TlsSettingsError::Missing("tls-ca-cert-file (which tls-auth-clients needs)"));
        }
        let spoken = |version: &str| {
            let mut words = self.protocols.split_whitespace();
            self.protocols.trim().is_empty() || words.any(|word| word.eq_ignore_ascii_case(version))
        };
        let mut builder = ServerTls::builder(files.certificate, files.key)
            .client_certificates(self.clients)
            .versions(spoken("TLSv1.2"), spoken("TLSv1.3"));
        if let Some(pem) = files.authorities {
            builder = builder.client_authorities(pem);
        }
        Ok(builder.build()?)
    }
}

impl Engine {
    /// TLS as the configuration has it (`tls-cert-file` and the like), for a listener. CONFIG SET changes it under
    /// the listener's hands.
    ///
    /// # Errors
    /// A file that is missing, or holds nothing good.
    pub fn server_tls(&self) -> Result<ServerTls, TlsSettingsError> {
        let mut settings = self.tls.lock();
        let made = settings.build()?;
        Ok(settings.live.insert(made).clone())
    }

    /// Our certificate, its key and the authorities, as PEM, for a link with TLS (`tls-replication`).
    ///
    /// # Errors
    /// As [`server_tls`](Self::server_tls).
    #[expect(clippy::type_complexity, reason = "three files")]
    pub fn tls_files(&self) -> Result<(Vec<u8>, Vec<u8>, Option<Vec<u8>>), TlsSettingsError> {
        let TlsFiles { certificate, key, authorities } = self.tls.lock().files()?;
        Ok((certificate, key, authorities))
    }

    /// Settings have changed: so does what the listener has.
    pub(crate) fn reload_tls(&self) -> Result<(), TlsSettingsError> {
        let settings = self.tls.lock();
        if let Some(live) = &settings.live {
            live.replace(&settings.build()?);
        }
        Ok(())
    }
}

fn check_protocols(text: &str, _: &Differences) -> Result<(), String> {
    let known = ["TLSv1.2", "TLSv1.3"];
    match text.split_whitespace().find(|word| !known.iter().any(|name| name.eq_ignore_ascii_case(word))) {
        Some(word) => Err(format!("{word} is not spoken here, but TLSv1.2 and TLSv1.3")),
        None => Ok(()),
    }
}

/// TLS, for CONFIG.
pub(crate) const SETTINGS: &[Row] = &[
    Row::text(
        "tls-cert-file",
        |engine| engine.tls.lock().certificate.clone(),
        any_text,
        |engine, path| path.clone_into(&mut engine.tls.lock().certificate),
    ),
    Row::text(
        "tls-key-file",
        |engine| engine.tls.lock().key.clone(),
        any_text,
        |engine, path| path.clone_into(&mut engine.tls.lock().key),
    ),
    Row::text(
        "tls-ca-cert-file",
        |engine| engine.tls.lock().authorities.clone(),
        any_text,
        |engine, path| path.clone_into(&mut engine.tls.lock().authorities),
    ),
    Row::number(
        "tls-auth-clients",
        SettingKind::Choice(&ClientCertificates::NAMES),
        |engine| engine.tls.lock().clients as i64,
        |engine, place| engine.tls.lock().clients = ClientCertificates::at(place),
    ),
    Row::text(
        "tls-protocols",
        |engine| engine.tls.lock().protocols.clone(),
        check_protocols,
        |engine, names| names.clone_into(&mut engine.tls.lock().protocols),
    ),
];
