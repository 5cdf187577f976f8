//! Runs rounds for as long as one likes: the soak of the comparison with real servers.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use clap::Parser;
use differential::{Family, Sessions, Soak, replay, server_of};
use testkit::Server;

/// Compares our server with a real one, by random commands.
#[derive(Debug, Parser)]
struct Arguments {
    /// redis-7.0, redis-8.2, valkey-8.1 or valkey-9.1; without it, 7.0, 8.2 and 9.1 in turn.
    #[arg(long)]
    server: Vec<String>,
    /// The family of commands; without it, all in turn.
    #[arg(long)]
    family: Vec<String>,
    /// How many commands, for each family and server.
    #[arg(long, default_value_t = 100_000)]
    commands: usize,
    /// The first seed; without it, one that nobody chose.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs this list of commands instead, as a difference was printed.
    #[arg(long)]
    replay: Option<std::path::PathBuf>,
    /// Prints a difference with all the commands before it.
    #[arg(long)]
    whole: bool,
    /// Compares whole sessions of several connections, so many steps, instead of commands.
    #[arg(long)]
    sessions: Option<usize>,
    /// Goes on with the next family after a difference.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.server.is_empty() {
        arguments.server = ["redis-7.0", "redis-8.2", "valkey-9.1"].map(str::to_owned).to_vec();
    }
    if arguments.family.is_empty() {
        arguments.family = Family::all().iter().map(|family| family.name.to_owned()).collect();
    }
    let chosen = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |d| d.as_micros() as u64);
    let seed = arguments.seed.unwrap_or(chosen);
    let mut failed = false;
    for name in &arguments.server {
        let Some(server) = server_of(name) else {
            eprintln!("no server {name}");
            return ExitCode::from(2);
        };
        if let Some(steps) = arguments.sessions {
            failed |= !compare_sessions(name, server, seed, steps, arguments.replay.as_deref());
            continue;
        }
        if let Some(path) = &arguments.replay {
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            match replay(server, &text) {
                Ok(commands) => println!("{name}: {commands} commands, no difference"),
                Err(difference) => {
                    println!(
                        "{name}: {}\n  ours:   {}\n  theirs: {}",
                        difference.what, difference.ours, difference.theirs
                    );
                    failed = true;
                }
            }
            continue;
        }
        for family in &arguments.family {
            let Some(family) = Family::find(family) else {
                eprintln!("no family {family}");
                return ExitCode::from(2);
            };
            let started = Instant::now();
            let mut soak = match Soak::new(server, family) {
                Ok(soak) => soak,
                Err(error) => {
                    eprintln!("{name}: {error}");
                    return ExitCode::FAILURE;
                }
            };
            soak.shrinks = !arguments.whole;
            match soak.run(seed, arguments.commands) {
                Ok(done) => {
                    let rate = done as f64 / started.elapsed().as_secs_f64();
                    println!(
                        "{name} {}: {done} commands without a difference, seed {seed}, {rate:.0} a second",
                        family.name
                    );
                }
                Err(failure) => {
                    println!("{failure}");
                    failed = true;
                    if !arguments.keep_going {
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether the real server and ours say the same.
fn compare_sessions(name: &str, server: Server, seed: u64, steps: usize, list: Option<&Path>) -> bool {
    let mut sessions = match Sessions::new(server) {
        Ok(sessions) => sessions,
        Err(error) => {
            eprintln!("{name}: {error}");
            return false;
        }
    };
    let result = match list {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            sessions.replay(&text).map_err(|difference| format!("{difference:?}"))
        }
        None => sessions.run(seed, steps).map_err(|failure| failure.to_string()),
    };
    match result {
        Ok(done) => println!("{name}: {done} steps of sessions without a difference, seed {seed}"),
        Err(text) => {
            println!("{text}");
            return false;
        }
    }
    true
}
