//! Several addresses, TLS and Unix sockets, beside the real servers where they can do it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use server::{ClientCertificates, Configuration, Endpoint, Engine, Listener, Options, Role, ServerTls};
use store::Compat;
use support::JUDGES;
use testkit::Server;

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("replica-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn engine(compat: Compat) -> Arc<Engine> {
    let mut options = Options::default();
    options.compat = Some(compat);
    let engine = Engine::new(Role::Primary, options);
    engine.tick();
    engine
}

/// What comes back for inline commands, up to the answer to a last, unmistakable one; or up to the end.
fn converse(stream: &mut (impl Read + Write), lines: &[&str]) -> std::io::Result<String> {
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes())?;
    }
    stream.write_all(b"ECHO that-is-all\r\n")?;
    stream.flush()?;
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while !all.ends_with(b"that-is-all\r\n") {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&piece[..n]),
            // A machine that stood still for a while.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8(all).unwrap())
}

/// The fields of a CLIENT LIST line that say where somebody comes from.
fn place(text: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with("id=")).unwrap();
    let wanted = |field: &&str| ["addr=", "laddr=", "flags="].iter().any(|name| field.starts_with(name));
    line.split(' ').filter(wanted).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_unix_socket_is_told_as_there() {
    let dir = Dir::new("unix");
    for (judge, compat) in JUDGES {
        let path = dir.file("ours.sock");
        let listener = Listener::open(engine(compat), &[Endpoint::Unix(path.clone(), 0o700)]).await.unwrap();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777,
            0o700
        );
        let there = dir.file("real.sock");
        let mine = path.clone();
        tokio::task::spawn_blocking(move || {
            let _real =
                judge.start_with(&["--unixsocket", there.to_str().unwrap(), "--unixsocketperm", "700"]);
            let talk = |path: &PathBuf| {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let name = path.to_str().unwrap();
                let info = converse(&mut stream, &["CLIENT INFO"]).unwrap();
                let rest = converse(
                    &mut stream,
                    &[
                        "CONFIG GET unixsocket*",
                        "CONFIG SET unixsocket /elsewhere",
                        &format!("CLIENT KILL ADDR {name}:1 SKIPME no"),
                        &format!("CLIENT KILL ADDR {name}:0"),
                        "PING",
                    ],
                );
                let hidden =
                    |text: String| text.replace(name, "PATH").replace(&format!("${}", name.len()), "$N");
                let info: Vec<String> = place(&info).into_iter().map(hidden).collect();
                let mut rest: Vec<String> = hidden(rest.unwrap()).lines().map(str::to_owned).collect();
                rest.retain(|line| {
                    !line.starts_with("unixsocketgroup") && !line.starts_with('$') && !line.starts_with('*')
                });
                rest.retain(|line| !line.is_empty());
                // The order of CONFIG GET is nobody's business.
                rest.sort();
                (info, rest)
            };
            let (ours, theirs) = (talk(&mine), talk(&there));
            assert_eq!(ours, theirs, "{compat} (ours, theirs)");
        })
        .await
        .unwrap();
        listener.shutdown().await;
        drop(listener);
        assert!(!path.exists(), "the file stays");
    }
}

#[tokio::test]
async fn several_addresses_are_served_and_told() {
    let dir = Dir::new("several");
    let path = dir.file("s.sock");
    // Left by another run: it is replaced. What is no socket is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let plain = dir.file("plain");
    std::fs::write(&plain, "data").unwrap();
    let engine = engine(Compat::Redis82);
    let listener = Listener::open(
        Arc::clone(&engine),
        &[
            Endpoint::Tcp("127.0.0.1:0".to_owned()),
            Endpoint::Tcp("localhost:0".to_owned()),
            // Nobody has this one, and it need not be there.
            Endpoint::Tcp("-203.0.113.77:0".to_owned()),
            Endpoint::Unix(path.clone(), 0),
        ],
    )
    .await
    .unwrap();
    let addrs = listener.local_addrs().to_vec();
    assert_eq!(addrs.len(), 2);
    assert_eq!(listener.local_addr(), addrs[0]);
    for wrong in ["203.0.113.77:0", "nowhere", "127.0.0.1:x"] {
        let error =
            Listener::open(Arc::clone(&engine), &[Endpoint::Tcp(wrong.to_owned())]).await.unwrap_err();
        assert!(error.to_string().contains(wrong), "{error}");
    }
    let error = Listener::open(Arc::clone(&engine), &[Endpoint::Unix(plain.clone(), 0)]).await.unwrap_err();
    assert!(error.to_string().contains("plain"), "{error}");
    assert_eq!(std::fs::read(&plain).unwrap(), b"data");
    tokio::task::spawn_blocking(move || {
        let mut unix = UnixStream::connect(&path).unwrap();
        assert!(converse(&mut unix, &["SET k v"]).unwrap().starts_with("+OK"));
        for addr in &addrs {
            let mut stream = TcpStream::connect(addr).unwrap();
            assert!(converse(&mut stream, &["GET k"]).unwrap().starts_with("$1\r\nv"), "{addr}");
        }
        let info = converse(&mut unix, &["INFO server"]).unwrap();
        let listeners: Vec<&str> = info.lines().filter(|line| line.starts_with("listener")).collect();
        assert_eq!(
            listeners,
            [
                format!("listener0:name=tcp,bind=127.0.0.1,port={}", addrs[0].port()),
                format!("listener1:name=tcp,bind=localhost,port={}", addrs[1].port()),
                format!("listener2:name=unix,bind={}", path.display()),
            ]
        );
        let told =
            converse(&mut unix, &["CONFIG GET bind", "CONFIG GET port", "CONFIG GET unixsocket"]).unwrap();
        assert!(
            told.contains("127.0.0.1 localhost") && told.contains(&addrs[0].port().to_string()),
            "{told}"
        );
    })
    .await
    .unwrap();
    listener.shutdown().await;
}

/// An authority of our own, and what it has signed.
struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
}

impl Certificates {
    fn new(authority: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, authority);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let sign = |name: &str, purpose| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![purpose];
            (params.signed_by(&key, &ca).unwrap().pem(), key.serialize_pem())
        };
        Self {
            ca: ca.pem(),
            server: sign("server.test", ExtendedKeyUsagePurpose::ServerAuth),
            client: sign("client", ExtendedKeyUsagePurpose::ClientAuth),
        }
    }

    /// What a client that trusts `self` and shows `own` hears.
    fn ask(&self, port: u16, own: Option<&(String, String)>, lines: &[&str]) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
                config
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                    .unwrap()
            }
        };
        let name = ServerName::try_from("server.test").unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket);
        converse(&mut stream, lines)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_asks_for_certificates_as_redis_does() {
    let (ours, others) = (Certificates::new("ours"), Certificates::new("others"));
    let tls = |clients| {
        ServerTls::builder(ours.server.0.clone(), ours.server.1.clone())
            .client_authorities(ours.ca.clone())
            .client_certificates(clients)
            .build()
            .unwrap()
    };
    let choices = [
        ("no", ClientCertificates::No),
        ("optional", ClientCertificates::Optional),
        ("yes", ClientCertificates::Required),
    ];
    for (word, choice) in choices {
        let place = Endpoint::Tls("127.0.0.1:0".to_owned(), tls(choice));
        let listener = Listener::open(engine(Compat::Redis70), &[place]).await.unwrap();
        let mine = listener.local_addr().port();
        let (ca, server) = (ours.ca.clone(), ours.server.clone());
        let there = testkit::free_port();
        let real = tokio::task::spawn_blocking(move || {
            Server::R7_0
                .builder()
                .file("ca.pem", ca.as_bytes())
                .file("server.pem", server.0.as_bytes())
                .file("server.key", server.1.as_bytes())
                .config("tls-port", &there.to_string())
                .config("tls-ca-cert-file", "ca.pem")
                .config("tls-cert-file", "server.pem")
                .config("tls-key-file", "server.key")
                .config("tls-auth-clients", word)
                .start()
        })
        .await
        .unwrap();
        let lines = ["PING", "SET k v", "GET k", "MULTI", "GET k", "EXEC", "NOSUCH"];
        // Nobody, one of ours, and one whom no authority of ours has signed.
        for (who, shown) in
            [("nobody", None), ("ours", Some(&ours.client)), ("another", Some(&others.client))]
        {
            let (answer, real_answer) = tokio::task::block_in_place(|| {
                (ours.ask(mine, shown, &lines), ours.ask(there, shown, &lines))
            });
            let (answer, real_answer) = (answer.ok(), real_answer.ok());
            // Who is refused hears nothing.
            let told = |answer: Option<String>| answer.filter(|text| !text.is_empty());
            assert_eq!(
                told(answer),
                told(real_answer),
                "tls-auth-clients {word}, {who} comes (ours, theirs)"
            );
        }
        // We trust nobody who was signed by another.
        assert!(tokio::task::block_in_place(|| others.ask(mine, None, &["PING"])).is_err());
        drop(real);
        listener.shutdown().await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_while_it_runs() {
    let dir = Dir::new("certificates");
    let (first, second) = (Certificates::new("first"), Certificates::new("second"));
    for (name, of) in [("first", &first), ("second", &second)] {
        std::fs::write(dir.file(&format!("{name}.pem")), &of.server.0).unwrap();
        std::fs::write(dir.file(&format!("{name}.key")), &of.server.1).unwrap();
    }
    let path = move |name: &str| dir.file(name).display().to_string();
    let port = testkit::free_port();
    let mut configuration = Configuration::default();
    configuration.push("bind", ["127.0.0.1"]);
    configuration.push("tls-port", [port.to_string()]);
    configuration.push("tls-cert-file", [path("first.pem")]);
    configuration.push("tls-key-file", [path("first.key")]);
    let mut options = Options::default();
    let startup = configuration.startup(&mut options).unwrap();
    let engine = Engine::new(Role::Primary, options);
    engine.configure(&configuration).unwrap();
    // Clients must show certificates unless somebody says otherwise: then an authority is needed.
    assert!(engine.endpoints(&startup).unwrap_err().to_string().contains("tls-ca-cert-file"));
    engine.call(&[b"CONFIG", b"SET", b"tls-auth-clients", b"no"]).unwrap();
    let listener = Listener::open(Arc::clone(&engine), &engine.endpoints(&startup).unwrap()).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let set = |cert: &str, key: &str| {
            let (cert, key) = (path(cert), path(key));
            engine.call(&[
                b"CONFIG",
                b"SET",
                b"tls-cert-file",
                cert.as_bytes(),
                b"tls-key-file",
                key.as_bytes(),
            ])
        };
        let told = first.ask(port, None, &["CONFIG GET tls-port", "INFO server"]).unwrap();
        assert!(told.contains(&format!("listener0:name=tls,bind=127.0.0.1,port={port}")), "{told}");
        assert!(second.ask(port, None, &["PING"]).is_err());
        // A key that does not fit: nothing changes.
        let error = set("second.pem", "first.key").unwrap_err().to_string();
        assert!(error.contains("Unable to update TLS configuration. Check server logs."), "{error}");
        assert!(first.ask(port, None, &["PING"]).unwrap().starts_with("+PONG"));
        set("second.pem", "second.key").unwrap();
        assert!(second.ask(port, None, &["PING"]).unwrap().starts_with("+PONG"));
        assert!(first.ask(port, None, &["PING"]).is_err());
    })
    .await
    .unwrap();
    listener.shutdown().await;
}
