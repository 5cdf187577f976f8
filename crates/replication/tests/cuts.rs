//! A real sync, cut at every byte and damaged at every bit: recorded once from a real primary, then repeated
//! without sockets, so that every place can be tried.
//!
//! After each cut the link continues where it stood. In the end the target has seen exactly what it would
//! have seen without the cut: the dump once unless the cut was inside it, every command once and in order.

#![expect(clippy::disallowed_types, reason = "the recording is made over a socket")]

use replication::testing::{Call, Recorder};
use replication::{Link, LinkError, LinkOptions, Offset, Recovery};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use testkit::{Running, Server};

const NOW: Duration = Duration::ZERO;

/// What a primary said over one connection.
struct Recording {
    /// The replies before the answer to PSYNC.
    greeting: Vec<u8>,
    /// From the answer to the end of the dump.
    dump: Vec<u8>,
    /// Where the RDB bytes lie in `dump`.
    rdb: std::ops::Range<usize>,
    stream: Vec<u8>,
    /// The offset at which the stream begins.
    start: Offset,
}

/// Follows a primary over a socket until it has said everything up to its present offset.
fn record(primary: &Running, writes: &[&str]) -> Recording {
    let mut client = primary.client();
    let mut link: Link<Recorder> = Link::new(LinkOptions::default());
    let mut target = Recorder::default();
    let mut socket = TcpStream::connect(primary.addr()).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a socket");
    link.handle_connected(NOW);
    let mut said = Vec::new();
    let (mut greeting, mut dump_end, mut written) = (None, None, false);
    loop {
        while let Some(bytes) = link.poll_transmit() {
            if bytes.windows(5).any(|word| word == b"PSYNC") {
                greeting = Some(said.len());
            }
            socket.write_all(&bytes).expect("it reads");
        }
        // One byte at a time, so that the places between the phases are known.
        let mut byte = [0];
        match socket.read(&mut byte) {
            Ok(1) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // An early ACK may be overlooked after a diskless transfer.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                link.acknowledge();
                continue;
            }
            other => panic!("{other:?}"),
        }
        said.push(byte[0]);
        link.handle_bytes(NOW, &byte, &mut target).expect("a good sync");
        if dump_end.is_none() && matches!(target.calls.first(), Some(Call::FullSync { .. })) {
            dump_end = Some(said.len());
        }
        if dump_end.is_some() && !written {
            // The answer to the first ACK opens a diskless stream; these are what it will carry.
            while let Some(bytes) = link.poll_transmit() {
                socket.write_all(&bytes).expect("it reads");
            }
            for write in writes {
                client.line(write);
            }
            written = true;
        }
        if written
            && let Some(position) = link.position()
            && said.ends_with(b"\r\n")
        {
            let info = client.call(&["INFO", "replication"]).text();
            let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
            if offset == Some(position.offset.to_string().as_str()) && said.len() > dump_end.unwrap_or(0) {
                break;
            }
        }
    }
    let (greeting, dump_end) = (greeting.expect("a PSYNC"), dump_end.expect("a dump"));
    let Some(Call::FullSync { position, .. }) = target.calls.first() else { panic!("no full sync") };
    let dump = said[greeting..dump_end].to_vec();
    let magic = dump.windows(6).position(|w| w == b"REDIS0" || w == b"VALKEY").expect("the magic");
    let mark = dump.windows(5).any(|w| w == b"$EOF:");
    let rdb = magic..dump.len() - if mark { 40 } else { 0 };
    Recording {
        greeting: said[..greeting].to_vec(),
        dump,
        rdb,
        stream: said[dump_end..].to_vec(),
        start: position.offset,
    }
}

impl Recording {
    fn whole(&self) -> Vec<u8> {
        [&self.greeting[..], &self.dump, &self.stream].concat()
    }

    /// What the primary says to a link that has everything up to `from`, or nothing.
    fn from(&self, from: Option<Offset>) -> Vec<u8> {
        match from {
            None => self.whole(),
            Some(offset) => {
                let skip = usize::try_from(offset.since(self.start)).expect("small");
                [&self.greeting[..], b"+CONTINUE\r\n", &self.stream[skip..]].concat()
            }
        }
    }
}

/// The stream that the target has applied since its last dump, and the number of dumps.
fn outcome(target: &Recorder) -> (usize, Vec<String>, Option<Offset>) {
    let full = target.calls.iter().filter(|call| matches!(call, Call::FullSync { .. })).count();
    let end = target.calls.iter().rev().find_map(|call| match call {
        Call::Apply { end, .. } | Call::Advance(end) => Some(*end),
        _ => None,
    });
    (full, target.commands(), end)
}

fn say(link: &mut Link<Recorder>, target: &mut Recorder, bytes: &[u8]) -> Result<(), LinkError> {
    // The replies are recorded: whatever the link asks, in this order it was answered. A reply is only given
    // once there is a question.
    link.handle_bytes(NOW, bytes, target)?;
    while link.poll_transmit().is_some() {}
    Ok(())
}

fn every_cut(recording: &Recording) -> (usize, usize) {
    let whole = recording.whole();
    let mut target = Recorder::default();
    let mut link = Link::new(LinkOptions::default());
    link.handle_connected(NOW);
    say(&mut link, &mut target, &whole).expect("the recording is good");
    let wanted = outcome(&target);
    assert!(!wanted.1.is_empty() && wanted.0 == 1, "{wanted:?}");
    let (mut partial, mut full) = (0, 0);
    for at in 0..=whole.len() {
        let mut target = Recorder::default();
        let mut link = Link::new(LinkOptions::default());
        link.handle_connected(NOW);
        say(&mut link, &mut target, &whole[..at]).expect("a beginning is no error");
        let error = link.handle_closed(NOW);
        assert_eq!(error.recovery(), Recovery::Resume);
        let held = link.position().map(|position| position.offset);
        let complete = at >= recording.greeting.len() + recording.dump.len();
        assert_eq!(held.is_some(), complete, "cut at {at}");
        link.handle_connected(NOW);
        say(&mut link, &mut target, &recording.from(held)).expect("the rest");
        assert_eq!(outcome(&target), wanted, "cut at {at}");
        *if complete { &mut partial } else { &mut full } += 1;
    }
    (full, partial)
}

fn every_bit(recording: &Recording) -> usize {
    let mut refused = 0;
    for at in recording.rdb.clone() {
        for bit in 0..8 {
            let mut damaged = recording.dump.clone();
            damaged[at] ^= 1 << bit;
            let mut target = Recorder::default();
            let mut link = Link::new(LinkOptions::default());
            link.handle_connected(NOW);
            // A length that has grown may want more than there is: then the end of the connection tells.
            let error = say(&mut link, &mut target, &[&recording.greeting[..], &damaged].concat())
                .err()
                .unwrap_or_else(|| link.handle_closed(NOW));
            assert!(
                target.calls.is_empty(),
                "byte {at}, bit {bit} of the dump was damaged, and it was taken"
            );
            assert_eq!(link.position(), None);
            refused += usize::from(!matches!(error, LinkError::Closed { .. }));
        }
    }
    refused
}

fn try_everything(server: Server, diskless: &str) {
    let primary = server
        .builder()
        .config("repl-diskless-sync", diskless)
        .config("repl-diskless-sync-delay", "0")
        .start();
    let mut client = primary.client();
    client.line("SET a before").ok();
    assert_eq!(client.line("RPUSH l 1 2 three").int(), 3);
    assert_eq!(client.line("ZADD z 1.5 m").int(), 1);
    let writes = [
        "SELECT 3",
        "SET k v",
        "MULTI",
        "SET t 1",
        "SELECT 0",
        "SET t 2",
        "EXEC",
        "WAIT 0 0",
        "DEL t",
        "SET end 1",
    ];
    let recording = record(&primary, &writes);
    let (full, partial) = every_cut(&recording);
    let refused = every_bit(&recording);
    println!(
        "{server:?}, diskless {diskless}: cut at {} places ({full} before the dump was whole, {partial} continued \
         without one), {} bits of the dump flipped one by one: none taken, {refused} refused by name",
        full + partial,
        recording.rdb.len() * 8,
    );
}

#[test]
fn a_sync_of_redis_from_disk() {
    try_everything(Server::R7_0, "no");
}

#[test]
fn a_sync_of_redis_from_memory() {
    try_everything(Server::R7_0, "yes");
}

#[test]
fn a_sync_of_valkey() {
    try_everything(Server::V9_1, "yes");
}

#[test]
fn a_sync_of_an_old_redis() {
    try_everything(Server::R6_0, "no");
}
