//! The `replica` binary: one subcommand a file.
#![expect(
    unreachable_pub,
    reason = "a binary has no public items; `pub` marks what a module offers its siblings"
)]
#![deny(clippy::print_stdout, reason = "it panics where nobody reads any more: `say!`")]

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

#[macro_use]
mod output;
mod allocator;
mod bench;
mod commands;
mod connection;
mod demo;
mod filter;
mod giving_back;
#[cfg(feature = "http")]
mod http;
mod rdb;
mod serve;
mod tls;
mod top;
mod verify;

/// Your Redis or Valkey data set, inside your process.
#[derive(Debug, Parser)]
#[command(name = "replica", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a live copy of a primary, or a data set of its own, to RESP clients.
    Serve(Box<serve::Args>),
    /// Show the whole thing on this machine alone: a primary, a replica that follows it, and the proof.
    Demo(demo::Args),
    /// Read, compare and convert dump files.
    #[command(subcommand, after_help = rdb::EXIT_CODES)]
    Rdb(Box<rdb::Command>),
    /// Compare two servers key by key. Ends with 0 if they are equal, 1 if not, 2 if that could not be found out.
    Verify(Box<verify::Args>),
    /// Measure reads in this process, of the served copy, and of the primary.
    Bench(Box<bench::Args>),
    /// Watch a running server (ours, Redis or Valkey): a live view on a terminal, one look otherwise.
    Top(Box<top::Args>),
    /// List the commands that clients can call, as a page of Markdown.
    Commands,
    /// Write the completions of a shell to the standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// The allocator of the binary; the libraries leave the choice to the program that embeds them.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    // At once, for a page that is large stays so; a server's configuration decides (`disable-thp`).
    server::huge_pages::disable(true);
    let command = Cli::parse().command;
    if !matches!(command, Command::Serve(_)) {
        server::huge_pages::disable(false);
    }
    // A server tells what it does; the others answer on standard output.
    let level = if matches!(command, Command::Serve(_)) { "info" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
    let done = match command {
        Command::Serve(args) => serve::run(*args).map(|()| true),
        Command::Demo(args) => demo::run(&args),
        Command::Rdb(command) => rdb::run(*command),
        Command::Verify(args) => verify::run(&args),
        Command::Bench(args) => bench::run(&args).map(|()| true),
        Command::Top(args) => top::run(&args).map(|()| true),
        Command::Commands => {
            commands::run();
            Ok(true)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "replica", &mut script);
            say!("{}", String::from_utf8_lossy(&script).trim_end());
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("replica: {error}");
            ExitCode::from(2)
        }
    }
}

/// What a subcommand fails with: a sentence for people. `Ok(false)` is a check that did not pass.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A runtime for the subcommands that need one.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The same with so many threads.
fn runtime_of(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.on_thread_park(giving_back::before_sleep);
    Ok(builder.worker_threads(threads).enable_all().build()?)
}

/// Threads that serve where nobody says how many: half of the cores. The other half has the kernel's side of the
/// connections, a replica's link, and the clients, if they are on this machine. More threads than are needed cost
/// twice, for they wake each other, and wait for the one writer.
fn half_of_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_make_sense() {
        Cli::command().debug_assert();
    }
}
