//! The test kit: real servers to compare with, and an independent judge.
//!
//! Nothing here depends on our own crates, so that a mistake in them cannot hide a mistake in them.
//!
//! ```text
//! Server --fetch--> program on disk --start--> Running --client--> Client --call--> Reply
//!                   target/servers/            own port, own dir     |
//!                                              killed on drop        +-- fill_every_type, random_writes
//!                                                                    +-- differences (two clients)
//! ```
//!
//! A server that is not on the machine is fetched once, checked and kept under `target/servers`. When it cannot be
//! had, the test fails and says how to get it: no test is skipped.
//!
//! ```no_run
//! let primary = testkit::Server::R7_0.start();
//! let mut client = primary.client();
//! client.call(&["SET", "greeting", "hello"]).ok();
//! assert_eq!(client.call(&["GET", "greeting"]).bytes(), b"hello");
//! ```

mod batch;
mod client;
mod cluster;
mod compare;
mod counting;
mod dir;
mod error;
mod fetch;
mod fill;
mod known;
mod library;
mod link;
mod port;
mod process;
mod proxy;
mod random;
mod reply;
mod running;
mod server;
mod tool;
mod writes;

pub use client::Client;
pub use cluster::{Cluster, ClusterClient, eventually, id_of};
pub use compare::{Difference, assert_equal, differences, differences_after_full_sync};
pub use counting::Counting;
pub use dir::TempDir;
pub use error::FetchError;
pub use fill::fill_every_type;
pub use library::Library;
pub use link::wait_until_caught_up;
pub use port::free_port;
pub use process::{cpu_time_of, rss_bytes_of, thread_time_of};
pub use proxy::{Course, Fault, Plan, Proxy};
pub use random::Random;
pub use reply::Reply;
pub use running::{Builder, Running};
pub use server::Server;
pub use tool::Tool;
pub use writes::{Tally, random_writes};
