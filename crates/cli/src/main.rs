//! The `replica` binary: one subcommand a file.
#![expect(
    unreachable_pub,
    reason = "a binary has no public items; `pub` marks what a module offers its siblings"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod allocator;
mod commands;
mod demo;
mod filter;
mod rdb;
mod serve;
mod tls;
mod verify;

/// Your Redis or Valkey data set, inside your process.
#[derive(Debug, Parser)]
#[command(name = "replica", version, about)]
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
    /// Read dump files.
    #[command(subcommand)]
    Rdb(rdb::Command),
    /// Compare two servers key by key.
    Verify(Box<verify::Args>),
    /// List the commands that clients can call, as a page of Markdown.
    Commands,
}

/// The allocator of the binary; the libraries leave the choice to the program that embeds them.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    let command = Cli::parse().command;
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
        Command::Rdb(command) => rdb::run(command),
        Command::Verify(args) => verify::run(&args),
        Command::Commands => {
            commands::run();
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_make_sense() {
        super::Cli::command().debug_assert();
    }
}
