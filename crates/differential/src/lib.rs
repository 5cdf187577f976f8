//! Our server beside a real one: the same random commands for both, valid and invalid, and every answer compared.
//!
//! ```text
//! Family --seed--> Round { settings, commands } --> Pair --first difference--> shrink --> the shortest list
//! ```
//!
//! A round depends on its seed alone, never on replies: so it can be run again, and shortened.
//!
//! # How to add a family
//!
//! Write a file in `families/` with one [`Family`]: its commands in the language of [`pattern`], atoms (arguments)
//! that the common ones do not offer, settings to choose from; name it in `families/mod.rs`. Commands whose replies
//! have no order, depend on the moment, or choose by chance get a row in `judge.rs`; a type that needs more than one
//! reading command for all of its data, a line in `contents.rs`. Then
//!
//! ```sh
//! cargo run -p replica-differential -- --server redis-8.2 --family NAME --commands 100000
//! ```

mod atoms;
mod body;
pub mod command;
mod contents;
pub mod families;
pub mod family;
mod judge;
mod pair;
pub mod pattern;
mod report;
pub mod sessions;
mod shrink;
mod spoil;
mod tap;
mod tree;
mod wire;

pub use command::Command;
pub use family::Family;
pub use pair::{Pair, compat_of, server_of};
pub use report::{Failure, Soak, replay};
pub use sessions::Sessions;

/// What is run from an empty data set.
#[derive(Debug, Clone)]
pub struct Round {
    /// Settings of both sides, by their names in CONFIG.
    pub settings: Vec<(String, String)>,
    /// The version of the protocol.
    pub resp3: bool,
    /// Whether what replicas are told must be the same.
    pub compare_streams: bool,
    /// Whether OBJECT ENCODING of every key must be the same at the end.
    pub compare_encodings: bool,
    /// The commands.
    pub commands: Vec<Command>,
}

/// Something on which the two sides do not agree.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The command that showed it, or the number of commands if only the end did.
    pub index: usize,
    /// That command, or what of the data set.
    pub what: String,
    /// What our side says.
    pub ours: String,
    /// What the real server says.
    pub theirs: String,
}
