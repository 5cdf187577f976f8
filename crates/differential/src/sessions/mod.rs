//! Sessions, down to the byte: a few connections to a real server and as many to ours, which speak in turn, and every
//! byte that any of them gets compared.
//!
//! ```text
//! seed --> Steps: "a" says these bytes | "b" leaves        (requests whole, cut anywhere, or broken)
//!            |
//!            v                          .-- a, b, c, d --> ours
//!          each step, on both sides  ---|
//!            |                          '-- a, b, c, d --> the real server
//!            v
//!          what has come on a, b, c, d must be the same
//! ```
//!
//! Nobody waits for a clock: see `side.rs` for how it is known that a server has nothing more to say.

mod ours;
mod side;
mod steps;

use std::fmt;
use std::io;
use std::time::Duration;

use testkit::{Random, Running, Server};

use crate::command::{read, shown, words};
use crate::shrink::shrink;
use crate::{Difference, compat_of};
use ours::Ours;
use side::Side;
pub use steps::Step;

/// Steps of a round; then everything begins anew.
const ROUND: usize = 250;
/// How many rounds the shrinking of one difference may cost.
const SHRINK_RUNS: usize = 600;
const SHRINK_PATIENCE: Duration = Duration::from_millis(200);
/// What is written of what each side said.
const SHOWN: usize = 2000;
/// Which events subscribers hear in a round.
const EVENTS: &[&str] = &["", "KEA", "E$lszhgxtd"];

/// Two servers with the same connections.
#[derive(Debug)]
pub struct Sessions {
    server: Server,
    theirs: Side,
    ours: Side,
    /// What one side has said is waited for so long on the other.
    patience: Duration,
    // Servers outlive the connections.
    _real: Running,
    _ours: Ours,
}

/// A round that showed a difference, and how to see it again.
#[derive(Debug)]
pub struct SessionFailure {
    server: Server,
    seed: u64,
    events: &'static str,
    steps: Vec<Step>,
    difference: Box<Difference>,
}

impl Sessions {
    /// Starts both servers.
    ///
    /// # Errors
    /// A socket or thread that cannot be had.
    pub fn new(server: Server) -> io::Result<Self> {
        let real = server.start();
        let ours = Ours::start(compat_of(server))?;
        Ok(Self {
            server,
            theirs: Side::new(real.addr())?,
            ours: Side::new(ours.addr().to_string())?,
            patience: side::PATIENCE,
            _real: real,
            _ours: ours,
        })
    }

    /// Runs rounds until so many steps are done, from this seed and those that follow it; answers how many.
    ///
    /// # Errors
    /// The first difference, made short.
    pub fn run(&mut self, seed: u64, count: usize) -> Result<usize, Box<SessionFailure>> {
        let (mut done, mut round_seed) = (0, seed);
        while done < count {
            let mut random = Random::new(round_seed);
            let events = random.pick(EVENTS);
            let steps = steps::make(&mut random, ROUND.min(count - done));
            done += steps.len();
            if let Err(difference) = self.round(events, &steps) {
                return Err(Box::new(self.fail(round_seed, events, steps, difference)));
            }
            round_seed = round_seed.wrapping_add(1);
        }
        Ok(done)
    }

    /// Runs steps as a [`SessionFailure`] prints them.
    ///
    /// # Errors
    /// The difference that they show.
    pub fn replay(&mut self, text: &str) -> Result<usize, Box<Difference>> {
        let mut events = "";
        let mut steps = Vec::new();
        for line in text.lines() {
            if let Some(wanted) = line.strip_prefix("# events ") {
                events = wanted.trim();
            } else if !line.starts_with('#') && !line.trim().is_empty() {
                steps.extend(Step::read(&read(line)));
            }
        }
        self.round(events, &steps).map(|()| steps.len())
    }

    fn round(&mut self, events: &str, steps: &[Step]) -> Result<(), Box<Difference>> {
        let broken = |index: usize, error: &io::Error| {
            let ours = error.to_string();
            Box::new(Difference {
                index,
                what: "the comparison broke".to_owned(),
                ours,
                theirs: String::new(),
            })
        };
        self.begin(events).map_err(|error| broken(0, &error))?;
        for (index, step) in steps.iter().enumerate() {
            for side in [&mut self.theirs, &mut self.ours] {
                side.take(step).map_err(|error| broken(index, &error))?;
            }
            let found = side::compare(&mut self.theirs, &mut self.ours, self.patience);
            if let Some([who, theirs, ours]) = found.map_err(|error| broken(index, &error))? {
                let what = format!("{step}, what {who} gets");
                return Err(Box::new(Difference { index, what, ours, theirs }));
            }
        }
        Ok(())
    }

    /// Both sides as on their first day, and at the same number of connections ever made.
    fn begin(&mut self, events: &str) -> io::Result<()> {
        let config = [b"CONFIG".to_vec(), b"SET".to_vec(), b"notify-keyspace-events".to_vec(), events.into()];
        for side in [&mut self.theirs, &mut self.ours] {
            side.hang_up();
            side.settle()?;
            for command in [&words("FLUSHALL SYNC")[..], &words("SCRIPT FLUSH"), &config] {
                side.ask(command)?;
            }
        }
        let (mut theirs, mut ours) = (self.theirs.burn()?, self.ours.burn()?);
        while theirs != ours {
            if theirs < ours {
                theirs = self.theirs.burn()?;
            } else {
                ours = self.ours.burn()?;
            }
        }
        Ok(())
    }

    fn fail(
        &mut self,
        seed: u64,
        events: &'static str,
        steps: Vec<Step>,
        difference: Box<Difference>,
    ) -> SessionFailure {
        let mut runs = 0;
        // What was missing is not waited for again and again.
        self.patience = SHRINK_PATIENCE;
        let mut fails = |steps: &[Step]| {
            runs += 1;
            if runs > SHRINK_RUNS { None } else { self.round(events, steps).err() }
        };
        let (steps, difference) = shrink(steps, difference, &mut fails);
        self.patience = side::PATIENCE;
        SessionFailure { server: self.server, seed, events, steps, difference }
    }
}

impl fmt::Display for SessionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}, sessions, seed {}", compat_of(self.server).name(), self.seed)?;
        writeln!(f, "# events {}", self.events)?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        let cut = |text: &str| text.chars().take(SHOWN).collect::<String>();
        writeln!(f, "# differs: {}", cut(&self.difference.what))?;
        writeln!(f, "#   ours:   {}", cut(&self.difference.ours))?;
        write!(f, "#   theirs: {}", cut(&self.difference.theirs))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.written()))
    }
}
