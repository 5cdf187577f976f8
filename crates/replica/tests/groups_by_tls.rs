//! Sentinels and clusters of Debian's Redis 7.0 that speak TLS, with users of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use replica::{Credentials, Replica};
use testkit::{
    Builder, Client, Cluster, Running, Server, assert_equal, eventually, free_port, random_writes,
};

#[path = "support/certificates.rs"]
mod certificates;
mod support;
use certificates::{Certificates, NAME};
use support::{client_of, info, ready, until};

const SERVICE: &str = "service";

/// The user by whom ours comes.
fn with_user(builder: Builder, name: &str, password: &str) -> Builder {
    builder.args(&["--user", name, "on", &format!(">{password}"), "~*", "&*", "+@all"])
}

/// TLS with whoever asks for it; between the servers it is all that there is.
fn by_tls(certificates: &Certificates, builder: Builder) -> Builder {
    certificates.at(builder, free_port(), "no").config("tls-replication", "yes")
}

fn data_server(certificates: &Certificates, primary: Option<&Running>) -> Running {
    let server = by_tls(certificates, Server::R7_0.builder());
    let server = with_user(server, "app", "of-the-app");
    let server = server.config("requirepass", "data").config("masterauth", "data");
    let follow = primary.map(|primary| format!("127.0.0.1 {}", primary.tls_port().unwrap()));
    follow.iter().fold(server, |server, place| server.config("replicaof", place)).start()
}

fn sentinel(certificates: &Certificates, primary: &Running) -> Running {
    let auth = format!("sentinel auth-pass {SERVICE} data");
    let more = [auth.as_str(), "sentinel sentinel-pass watched"];
    let server = Server::R7_0.builder().watching_at(SERVICE, primary.tls_port().unwrap(), &more);
    let server = with_user(by_tls(certificates, server), "observer", "of-the-observer");
    server.config("requirepass", "watched").start()
}

/// Whether a user has a connection here.
fn has_come(client: &mut Client, user: &str) -> bool {
    client.call(&["CLIENT", "LIST"]).text().contains(&format!(" user={user} "))
}

async fn caught_up(primary: &Running, replica: &Replica) {
    let port = primary.tls_port().unwrap();
    until(replica, "the primary", |status| status.primary.1 == port && status.is_connected()).await;
    support::caught_up(&mut primary.client(), replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_by_tls_with_a_user_of_their_own() {
    let certificates = Certificates::new("ours");
    let primary = data_server(&certificates, None);
    let second = data_server(&certificates, Some(&primary));
    let sentinels: Vec<Running> = (0..3).map(|_| sentinel(&certificates, &primary)).collect();
    for sentinel in &sentinels {
        let mut client = sentinel.client();
        eventually("everybody is known", || {
            let master = client.call(&["SENTINEL", "MASTER", SERVICE]);
            let says = |name: &str| master.field(name).unwrap().text();
            says("num-slaves") == "1" && says("num-other-sentinels") == "2"
        });
    }
    let ports: Vec<String> =
        sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.tls_port().unwrap())).collect();
    let url = format!("rediss-sentinel://app:of-the-app@{}/{SERVICE}", ports.join(","));
    let builder = support::builder(url)
        .tls(certificates.tls(NAME).build().unwrap())
        .sentinel_credentials(Credentials::user("observer", "of-the-observer"));
    let replica = builder.start().await.unwrap();
    ready(&replica).await;
    random_writes(&mut primary.client(), 1, 500);
    caught_up(&primary, &replica).await;
    assert_equal(&mut primary.client(), &mut client_of(&replica));
    assert!(has_come(&mut primary.client(), "app"));
    let report = replica.verify().await.unwrap();
    assert!(report.total() == 0 && report.keys > 10, "{report:?}");
    for sentinel in &sentinels {
        assert!(has_come(&mut sentinel.client(), "observer"));
    }

    let mut asked = sentinels[0].client();
    eventually("the Sentinels are ready for a failover", || {
        !asked.call(&["SENTINEL", "FAILOVER", SERVICE]).is_error()
    });
    until(&replica, "the new primary", |status| {
        status.primary.1 == second.tls_port().unwrap() && status.is_connected()
    })
    .await;
    eventually("that it is one", || info(&mut second.client(), "replication", "role") == "master");
    random_writes(&mut second.client(), 2, 500);
    caught_up(&second, &replica).await;
    assert_equal(&mut second.client(), &mut client_of(&replica));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_by_tls_with_a_user() {
    let certificates = Certificates::new("ours");
    let cluster = Cluster::start_with(Server::R7_0, 3, false, |builder| {
        with_user(by_tls(&certificates, builder), "app", "of-the-app").config("tls-cluster", "yes")
    });
    let mut client = cluster.client();
    for n in 0..500 {
        assert!(client.call(&["SET", &format!("k{n}"), &n.to_string()]).is_some());
    }
    let seed = cluster.nodes[1].tls_port().unwrap();
    let builder = support::builder(format!("rediss-cluster://app:of-the-app@127.0.0.1:{seed}"))
        .tls(certificates.tls(NAME).build().unwrap());
    let replica = builder.start().await.unwrap();
    ready(&replica).await;
    assert_eq!(replica.status().keys, 500);
    let (_, at) = replica.write(replica::cmd!("SET", "k1", "other")).await.unwrap();
    replica.wait_for(at).await.unwrap();
    assert_eq!(replica.db(0).get("k1").unwrap().unwrap(), "other");
    let report = replica.verify().await.unwrap();
    assert_eq!((report.total(), report.keys), (0, 500), "{:?}", report.examples);
    let mut ports: Vec<u16> = replica.shards().iter().map(|shard| shard.primary.1).collect();
    let mut wanted: Vec<u16> = cluster.nodes.iter().filter_map(Running::tls_port).collect();
    ports.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(ports, wanted);
    for node in &cluster.nodes {
        assert!(has_come(&mut node.client(), "app"));
    }
    replica.shutdown().await.unwrap();
}
