//! Many rounds, and what is printed when one shows a difference.

use std::fmt;
use std::io;

use testkit::Server;

use crate::command::{read, shown};
use crate::family::Family;
use crate::pair::{Pair, compat_of};
use crate::shrink::shrink;
use crate::{Command, Difference, Round};

/// How many rounds the shrinking of one difference may cost.
const SHRINK_RUNS: usize = 600;

/// Rounds of one family beside one server.
#[derive(Debug)]
pub struct Soak {
    server: Server,
    family: &'static Family,
    pair: Pair,
    /// Whether a difference is made short.
    pub shrinks: bool,
}

impl Soak {
    /// Starts the servers.
    ///
    /// # Errors
    /// A socket or thread that cannot be had.
    pub fn new(server: Server, family: &'static Family) -> io::Result<Self> {
        Ok(Self { server, family, pair: Pair::start(server)?, shrinks: true })
    }

    /// Runs rounds until `commands` have run; the seeds are `seed` and those that follow from it. Answers how many
    /// have run.
    ///
    /// # Errors
    /// The first difference, made short.
    pub fn run(&mut self, seed: u64, commands: usize) -> Result<usize, Box<Failure>> {
        let (mut done, mut round_seed) = (0, seed);
        while done < commands {
            let round = self.family.round(round_seed, commands - done, self.pair.known());
            done += round.commands.len();
            if let Err(difference) = self.pair.run(&round) {
                return Err(Box::new(self.fail(round_seed, round, difference)));
            }
            round_seed = round_seed.wrapping_add(1);
        }
        Ok(done)
    }

    /// Whether a real server loads our dump of what the last round left, and holds the same.
    ///
    /// # Errors
    /// The difference.
    pub fn check_saved(&mut self) -> Result<(), Box<Difference>> {
        self.pair.check_saved()
    }

    fn fail(&mut self, seed: u64, round: Round, difference: Box<Difference>) -> Failure {
        let mut runs = 0;
        let (server, pair) = (self.server, &mut self.pair);
        let mut fails = |commands: &[Command]| {
            let round = &Round { commands: commands.to_vec(), ..round.clone() };
            runs += 1;
            if runs > SHRINK_RUNS {
                return None;
            }
            // What the last run left behind (a lost connection, a replica that fell behind) must not count.
            if runs == 1 || runs % 100 == 0 {
                *pair = Pair::start(server).ok()?;
            }
            let found = pair.run(round).err();
            // A server that has died would fail whatever comes next, too.
            let needs_others = |found: &Difference| {
                found.what.starts_with("our replica")
                    || found.ours.contains("Connection")
                    || found.index == round.commands.len()
            };
            if found.as_deref().is_some_and(needs_others) {
                *pair = Pair::start(server).ok()?;
            }
            found
        };
        let all = round.commands.clone();
        let (commands, difference) =
            if self.shrinks { shrink(all, difference, &mut fails) } else { (all, difference) };
        let round = Round { commands, ..round };
        Failure { server: self.server, family: self.family.name, seed, round, difference }
    }
}

/// A difference with all that is needed to see it again.
#[derive(Debug)]
pub struct Failure {
    server: Server,
    family: &'static str,
    seed: u64,
    round: Round,
    difference: Box<Difference>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = compat_of(self.server).name();
        writeln!(f, "# {name}, family {}, seed {}", self.family, self.seed)?;
        for (name, value) in &self.round.settings {
            writeln!(f, "# set {name} {value}")?;
        }
        writeln!(f, "# resp {}", if self.round.resp3 { 3 } else { 2 })?;
        for command in &self.round.commands {
            writeln!(f, "{}", shown(command))?;
        }
        let cut = |text: &str| text.chars().take(2000).collect::<String>();
        writeln!(f, "# differs: {}", cut(&self.difference.what))?;
        writeln!(f, "#   ours:   {}", cut(&self.difference.ours))?;
        write!(f, "#   theirs: {}", cut(&self.difference.theirs))
    }
}

/// Runs a list as [`Failure`] prints it.
///
/// # Errors
/// The difference that it shows.
///
/// # Panics
/// When the servers do not come up.
pub fn replay(server: Server, text: &str) -> Result<usize, Box<Difference>> {
    let mut round = Round {
        settings: Vec::new(),
        resp3: false,
        compare_streams: true,
        compare_encodings: true,
        commands: Vec::new(),
    };
    for line in text.lines() {
        match line.strip_prefix('#').map(|rest| rest.split_ascii_whitespace().collect::<Vec<_>>()) {
            Some(rest) => match rest[..] {
                ["set", name, value] => round.settings.push((name.to_owned(), value.to_owned())),
                ["resp", version] => round.resp3 = version == "3",
                _ => {}
            },
            None if line.trim().is_empty() => {}
            None => round.commands.push(read(line)),
        }
    }
    let mut pair = Pair::start(server).unwrap_or_else(|error| panic!("{error}"));
    pair.run(&round).map(|()| round.commands.len())
}
