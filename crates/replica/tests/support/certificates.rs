//! Certificates for tests of TLS: an authority, and what it has signed.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test binary uses its part, and fails by panicking"
)]

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use replica::Tls;
use testkit::Builder;

/// The name in the server's certificate. Nothing resolves it.
pub const NAME: &str = "cache.primary.test";

/// An authority of our own, and what it has signed.
pub struct Certificates {
    pub ca: String,
    pub server: (String, String),
    pub client: (String, String),
}

impl Certificates {
    pub fn new(authority: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, authority);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let sign = |name: &str, purposes: &[ExtendedKeyUsagePurpose]| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = purposes.to_vec();
            (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
        };
        Self {
            ca: ca.pem(),
            // Nodes of a cluster show it to each other from either side.
            server: sign(NAME, &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]),
            client: sign("replica", &[ExtendedKeyUsagePurpose::ClientAuth]),
        }
    }

    pub fn tls(&self, name: &str) -> replica::TlsBuilder {
        Tls::builder(name).roots(self.ca.clone()).client_cert(self.client.0.clone(), self.client.1.clone())
    }

    /// Settings of a real server that speaks TLS at this port, too.
    pub fn at(&self, builder: Builder, port: u16, clients: &str) -> Builder {
        builder
            .file("ca.pem", self.ca.as_bytes())
            .file("server.pem", self.server.0.as_bytes())
            .file("server.key", self.server.1.as_bytes())
            .config("tls-port", &port.to_string())
            .config("tls-ca-cert-file", "ca.pem")
            .config("tls-cert-file", "server.pem")
            .config("tls-key-file", "server.key")
            .config("tls-auth-clients", clients)
    }
}
