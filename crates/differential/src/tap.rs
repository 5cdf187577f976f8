//! Listens to what a primary tells its replicas.

use std::io;

use crate::Command;
use crate::command::{shown, words};
use crate::tree::Tree;
use crate::wire::Wire;

/// How far apart moments may lie in the two streams.
const TIME_TOLERANCE: u64 = 3000;
/// A number from here on may be a moment in Unix milliseconds.
const A_MOMENT: i64 = 1_000_000_000_000;

/// A replica that keeps nothing.
#[derive(Debug)]
pub(crate) struct Tap {
    wire: Wire,
    offset: usize,
    db: Vec<u8>,
}

impl Tap {
    /// Attaches to a primary and passes over its dump.
    pub(crate) fn attach(addr: &str) -> io::Result<Self> {
        let mut wire = Wire::connect(addr, false)?;
        for line in ["PING", "REPLCONF listening-port 1", "REPLCONF capa psync2"] {
            wire.ask(&words(line))?;
        }
        wire.send(&words("PSYNC ? -1"));
        wire.flush()?;
        let mut line = wire.receive_line()?;
        let mut offset = 0;
        while !line.starts_with(b"$") {
            let last = line.rsplit(|b| *b == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
            offset = last.and_then(|word| word.parse().ok()).unwrap_or(offset);
            line = wire.receive_line()?;
        }
        // Without `capa eof` a dump has a known length, and the stream follows at once.
        let len = std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse().ok());
        wire.receive_raw(len.ok_or(io::ErrorKind::InvalidData)?)?;
        let mut tap = Self { wire, offset, db: b"0".to_vec() };
        tap.acknowledge()?;
        Ok(tap)
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        self.wire.send(&words(&format!("REPLCONF ACK {}", self.offset)));
        self.wire.flush()
    }

    /// Everything up to the command that sets `marker`: each command with its database before it.
    pub(crate) fn read_until(&mut self, marker: &[u8]) -> io::Result<Vec<Command>> {
        let mut all = Vec::new();
        loop {
            let bytes = self.wire.receive()?;
            self.offset += bytes.len();
            let mut command = Tree::parse(&bytes).strings();
            let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
            match &name[..] {
                b"PING" | b"REPLCONF" => continue,
                b"SELECT" => {
                    self.db = command.pop().unwrap_or_default();
                    continue;
                }
                b"SET" if command[1] == marker => break,
                _ => {}
            }
            // Servers keep the name as the client wrote it.
            command[0] = name;
            // MULTI is of no database: SELECT comes before it or behind it.
            let is_multi = command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"MULTI"));
            command.insert(0, if is_multi { Vec::new() } else { self.db.clone() });
            all.push(command);
        }
        // Whoever is silent for a minute is dropped.
        self.acknowledge()?;
        Ok(all)
    }
}

/// The first place where two streams differ, with what went before it.
pub(crate) fn difference(ours: &[Command], theirs: &[Command]) -> Option<[String; 2]> {
    let same = ours.iter().zip(theirs).take_while(|(x, y)| agree(x, y)).count();
    if same == ours.len() && same == theirs.len() {
        return None;
    }
    let part = |all: &[Command]| {
        let from = same.saturating_sub(2);
        let to = all.len().min(same + 3);
        let mut lines: Vec<String> = all[from.min(to)..to].iter().map(|command| shown(command)).collect();
        if to == all.len() {
            lines.push("(end)".to_owned());
        }
        lines.join("; ")
    };
    Some([part(ours), part(theirs)])
}

fn agree(a: &[Vec<u8>], b: &[Vec<u8>]) -> bool {
    let moment = |arg: &[u8]| std::str::from_utf8(arg).ok()?.parse::<i64>().ok().filter(|n| *n >= A_MOMENT);
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| {
            x == y
                || matches!((moment(x), moment(y)), (Some(m), Some(n)) if m.abs_diff(n) <= TIME_TOLERANCE)
                || x.eq_ignore_ascii_case(y) && x.len() < 12
        })
}
