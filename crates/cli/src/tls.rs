//! Options for TLS to a primary.

use std::path::PathBuf;

use replica::Tls;

use crate::Failure;

/// How to speak TLS where an address says `rediss://`.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Certificates (PEM) of the authorities to trust, instead of those that browsers know.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Our own certificate (PEM), for primaries that ask who we are.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The name in the primary's certificate, if it is not the host of the address.
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
    /// Accept any certificate: whoever sits on the way can read and change everything.
    #[arg(long)]
    tls_insecure: bool,
}

impl Args {
    /// The settings that they make.
    pub fn build(&self) -> Result<Tls, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| Failure::from(format!("{}: {error}", path.display())))
        };
        let mut builder = Tls::builder(self.tls_name.clone().unwrap_or_default());
        if let Some(path) = &self.tls_ca {
            builder = builder.roots(read(path)?);
        }
        if let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) {
            builder = builder.client_cert(read(chain)?, read(key)?);
        }
        if self.tls_insecure {
            builder = builder.danger_accept_invalid_certs();
        }
        Ok(builder.build()?)
    }
}
