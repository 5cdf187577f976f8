//! A few thousand commands of every family beside each real server.
//!
//! `DIFFERENTIAL_COMMANDS=1000000 SEED=7 cargo test -p replica-differential` for more of them; `SEED=random` takes
//! another seed each time, and prints it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::hash::{BuildHasher, Hasher};

use differential::{Family, Soak};
use testkit::Server;

fn compare(server: Server) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let commands = number("DIFFERENTIAL_COMMANDS").unwrap_or(3000);
    let random = || std::hash::RandomState::new().build_hasher().finish();
    let is_random = std::env::var("SEED").is_ok_and(|seed| seed == "random");
    let chosen = number("SEED").unwrap_or_else(|| if is_random { random() } else { 2 });
    for family in Family::all() {
        let mut soak = Soak::new(server, family).unwrap();
        for seed in [1, chosen] {
            eprintln!("{server:?} {} seed {seed}", family.name);
            if let Err(failure) = soak.run(seed, commands as usize) {
                panic!("{failure}");
            }
        }
        if let Err(difference) = soak.check_saved() {
            panic!("{} seed {chosen}: {difference:?}", family.name);
        }
    }
}

#[test]
fn redis_7_0_answers_and_holds_the_same() {
    compare(Server::R7_0);
}

#[test]
fn redis_8_2_answers_and_holds_the_same() {
    compare(Server::R8_2);
}

#[test]
fn valkey_9_1_answers_and_holds_the_same() {
    compare(Server::V9_1);
}
