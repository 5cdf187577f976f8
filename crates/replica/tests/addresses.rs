//! Primaries that are not at one host and port: behind a Unix socket, or at one of several places.
#![cfg(unix)]

use replica::{Error, FailureKind, Replica, cmd};
use testkit::{Server, fill_every_type, free_port};

mod support;
use support::{assert_equal, caught_up, client_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_followed_and_written_through() {
    let primary = Server::R7_0.builder().config("unixsocket", "here.sock").start();
    let path = primary.dir().join("here.sock");
    let mut real = primary.client();
    fill_every_type(&mut real, 1, 300);
    let replica = Replica::builder()
        .master(format!("unix://{}", path.display()))
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    replica.ready().await.unwrap();
    let (_, at) = replica.write(cmd!("SET", "written:through", "the socket")).await.unwrap();
    replica.wait_for(at).await.unwrap();
    assert_eq!(replica.db(0).get("written:through").unwrap().unwrap(), b"the socket");
    caught_up(&mut real, &replica).await;
    assert_equal(&mut real, &mut client_of(&replica));
    assert_eq!(replica.status().primary.0.as_ref(), path.to_str().unwrap());
    // Whom it is sent to later is reached as usual.
    let other = Server::V9_1.start();
    other.client().call(&["SET", "whose", "the other's"]).ok();
    replica.follow(&other.addr()).unwrap();
    until(&replica, "the other's data", |_| replica.db(0).exists("whose")).await;
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_several_places_that_answers_is_followed() {
    let mut first = Server::R7_0.start();
    let second = Server::R7_0.start();
    first.client().call(&["SET", "whose", "the first's"]).ok();
    second.client().call(&["SET", "whose", "the second's"]).ok();
    let address = format!("redis://127.0.0.1:{},{},{}", free_port(), first.addr(), second.addr());
    let replica = Replica::connect(&address).await.unwrap();
    let whose = || replica.db(0).get("whose").unwrap().unwrap();
    assert_eq!(whose(), b"the first's");
    first.kill();
    until(&replica, "the second's data", |_| whose() == b"the second's").await;
    assert_eq!(replica.status().failures.of(FailureKind::Unreachable), 0);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_cannot_be_followed_later_are_refused() {
    let primary = Server::R7_0.start();
    let replica = Replica::connect(&primary.url()).await.unwrap();
    for address in ["unix:///run/redis.sock", "a,b", "redis-cluster://a"] {
        assert!(matches!(replica.follow(address), Err(Error::Config(_))), "{address}");
    }
    until(&replica, "the link", |status| status.is_connected()).await;
    assert_eq!(replica.status().reconnects, 0);
    replica.shutdown().await.unwrap();
}
