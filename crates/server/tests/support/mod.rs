//! Servers of ours, and the personality to compare with each real one.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;

use server::{DebugCommand, Engine, Listener, Options, Role};
use store::Compat;
use testkit::{Client, Server};

/// The real servers that a personality is tested against.
pub const JUDGES: [(Server, Compat); 4] = [
    (Server::R7_0, Compat::Redis70),
    (Server::R8_2, Compat::Redis82),
    (Server::V8_1, Compat::Valkey81),
    (Server::V9_1, Compat::Valkey91),
];

/// The words of a command line; what is quoted is one word.
pub fn words(line: &str) -> Vec<&[u8]> {
    let pieces = line.split('"').enumerate();
    let all = pieces.flat_map(|(i, piece)| match i % 2 {
        0 => piece.split_ascii_whitespace().collect(),
        _ => vec![piece],
    });
    all.map(str::as_bytes).collect()
}

/// A writable server of ours with this personality.
pub async fn ours(compat: Compat) -> (Arc<Engine>, Listener) {
    let mut options = Options::default();
    options.compat = Some(compat);
    options.debug_command = DebugCommand::Local;
    let engine = Engine::new(Role::Primary, options);
    engine.tick();
    let listener = Listener::bind(Arc::clone(&engine), "127.0.0.1:0").await.unwrap();
    (engine, listener)
}

/// Calls `f` with a client of each real server and one of ours in the same role, on a thread that may block.
pub async fn beside_each(f: impl Fn(Compat, &mut Client, &mut Client) + Clone + Send + 'static) {
    for (judge, compat) in JUDGES {
        let (_engine, listener) = ours(compat).await;
        let addr = listener.local_addr();
        let f = f.clone();
        tokio::task::spawn_blocking(move || {
            let real = judge.start();
            f(compat, &mut real.client(), &mut Client::connect(addr).unwrap());
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}
