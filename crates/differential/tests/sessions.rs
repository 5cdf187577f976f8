//! Interleaved connections, byte for byte, beside each real server.
//!
//! `DIFFERENTIAL_STEPS=100000 SEED=7 cargo test -p replica-differential --test sessions` for more of them.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use differential::Sessions;
use testkit::Server;

fn compare(server: Server) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let steps = number("DIFFERENTIAL_STEPS").unwrap_or(250);
    let seed = number("SEED").unwrap_or(101);
    eprintln!("{server:?}: seed {seed}, {steps} steps");
    if let Err(failure) = Sessions::new(server).unwrap().run(seed, steps as usize) {
        panic!("{failure}");
    }
}

#[test]
fn redis_7_0_says_the_same_to_everybody() {
    compare(Server::R7_0);
}

#[test]
fn redis_8_2_says_the_same_to_everybody() {
    compare(Server::R8_2);
}

#[test]
fn valkey_9_1_says_the_same_to_everybody() {
    compare(Server::V9_1);
}
