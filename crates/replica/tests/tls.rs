//! TLS to real primaries: Debian's Redis 7.0 speaks it by itself. The builds of the others here do not, so
//! a small rustls server stands before them; what passes through it is theirs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;

use replica::{FailureKind, Profile, Replica, Tls, TlsVersion};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use testkit::{Running, Server, fill_every_type, random_writes};
use tokio_rustls::TlsAcceptor;

#[path = "support/certificates.rs"]
mod certificates;
mod support;
use certificates::{Certificates, NAME};
use support::{assert_equal, caught_up, client_of, start, until};

/// A real Redis 7.0 with a TLS port.
fn redis(certificates: &Certificates, clients: &str) -> (Running, String) {
    let port = testkit::free_port();
    let server = certificates.at(Server::R7_0.builder(), port, clients);
    let server = server.config("repl-diskless-sync-delay", "0").start();
    (server, format!("rediss://127.0.0.1:{port}"))
}

async fn equal(primary: &Running, replica: &Replica) {
    let mut real = primary.client();
    caught_up(&mut real, replica).await;
    assert_equal(&mut real, &mut client_of(replica));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_primary_with_client_certificates_is_followed() {
    let certificates = Certificates::new("ours");
    let (primary, url) = redis(&certificates, "yes");
    fill_every_type(&mut primary.client(), 1, 500);
    for tls in [
        certificates.tls(NAME).build().unwrap(),
        certificates.tls(NAME).min_version(TlsVersion::V1_3).build().unwrap(),
        certificates.tls(NAME).cipher_suites(["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]).build().unwrap(),
        Tls::profile(NAME, Profile::Production)
            .roots(certificates.ca.clone())
            .client_cert(certificates.client.0.clone(), certificates.client.1.clone())
            .build()
            .unwrap(),
        certificates.tls("another.name").danger_accept_invalid_certs().build().unwrap(),
    ] {
        let replica = start(support::builder(&url).tls(tls)).await;
        equal(&primary, &replica).await;
        random_writes(&mut primary.client(), 2, 300);
        support::cut(&primary, &replica).await;
        equal(&primary, &replica).await;
        assert_eq!((replica.status().full_syncs, replica.status().partial_syncs), (1, 1));
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_who_it_should_be_is_told_so() {
    let certificates = Certificates::new("ours");
    let (primary, url) = redis(&certificates, "yes");
    primary.client().call(&["SET", "k", "v"]).ok();
    let stranger = Certificates::new("strangers");
    let no_client = Tls::builder(NAME).roots(certificates.ca.clone()).build().unwrap();
    for (what, tls, words) in [
        ("another name", certificates.tls("another.name").build().unwrap(), "not valid for name"),
        ("an unknown authority", stranger.tls(NAME).build().unwrap(), "UnknownIssuer"),
        ("browsers' authorities", Tls::secure(NAME).unwrap(), "UnknownIssuer"),
        ("no client certificate", no_client, "ertificate"),
    ] {
        let replica = support::builder(&url).tls(tls).start().await.unwrap();
        let down = |status: &replica::Status| status.failures.total() > 0;
        let status = until(&replica, what, down).await;
        assert_eq!(status.failures.of(FailureKind::Tls), status.failures.total(), "{what}: {status:?}");
        let said = format!("{:?}", status.phase);
        assert!(said.contains(words), "{what}: {said}");
        assert!(!status.synced());
        replica.shutdown().await.unwrap();
    }
    // Plain bytes to the TLS port, and TLS to the plain port.
    let plain = support::builder(url.replace("rediss", "redis")).start().await.unwrap();
    until(&plain, "a failure", |status| status.failures.total() > 0).await;
    let tls = certificates.tls(NAME).build().unwrap();
    let impatient = std::time::Duration::from_millis(300);
    let mistaken = support::builder(primary.url()).tls(tls).connect_timeout(impatient).start().await.unwrap();
    until(&mistaken, "a failure", |status| status.failures.total() > 0).await;
    for replica in [plain, mistaken] {
        replica.shutdown().await.unwrap();
    }
}

/// Speaks TLS for a server that cannot.
async fn before(primary: &Running, certificates: &Certificates) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificates.server.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificates.server.1.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = primary.addr();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(socket).await else { return };
                let Ok(mut server) = tokio::net::TcpStream::connect(target).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

async fn through_tls(server: Server) {
    let certificates = Certificates::new("ours");
    let mut primary =
        server.builder().config("repl-diskless-sync", "yes").config("repl-diskless-sync-delay", "0");
    if server.family() == "Valkey" {
        primary = primary.config("dual-channel-replication-enabled", "yes");
    }
    let primary = primary.start();
    fill_every_type(&mut primary.client(), 3, 500);
    let address = before(&primary, &certificates).await;
    let replica =
        start(support::builder(format!("rediss://{address}")).tls(certificates.tls(NAME).build().unwrap()))
            .await;
    equal(&primary, &replica).await;
    random_writes(&mut primary.client(), 4, 300);
    support::cut(&primary, &replica).await;
    equal(&primary, &replica).await;
    let two = u64::from(matches!(server, Server::R8_2 | Server::V8_1 | Server::V9_1));
    assert_eq!(replica.status().two_channel_syncs, two);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_primaries_through_tls() {
    for server in [Server::R6_0, Server::R6_2, Server::R8_2, Server::V8_1, Server::V9_1] {
        through_tls(server).await;
    }
}
