//! The link against written conversations: `tests/script/*.txt`, whose first file explains the lines.
//!
//! Every script runs with what is received fed whole, byte by byte, and cut in two at each place: the
//! bytes sent, the calls at the target, the events and the offsets must be the same.

use replication::testing::{Call, Recorder};
use replication::{Credentials, Event, Link, LinkError, LinkOptions, Offset, Position};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    Bytes,
    At(usize),
}

struct Run {
    link: Link<Recorder>,
    target: Recorder,
    seen_calls: usize,
    now: Duration,
    sent: Vec<u8>,
    /// Sent over the second connection.
    sent_second: Vec<u8>,
    error: Option<LinkError>,
    events: VecDeque<Event>,
    cut: Cut,
}

#[test]
fn every_script_holds_however_the_bytes_are_cut() {
    let mut names: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/script"))
        .expect("the scripts lie beside this file")
        .map(|entry| entry.expect("readable").path())
        .collect();
    names.sort();
    assert!(names.len() >= 8, "scripts are missing: {names:?}");
    for path in names {
        let text = std::fs::read_to_string(&path).expect("readable");
        let longest =
            text.lines().map(|line| received(line).map_or(0, |bytes| bytes.len())).max().unwrap_or(0);
        let cuts = [Cut::Whole, Cut::Bytes].into_iter().chain((1..longest).map(Cut::At));
        for cut in cuts {
            let mut run = Run::new(cut);
            for (number, line) in text.lines().enumerate() {
                let place = format!("{}:{} ({cut:?}): {line}", path.display(), number + 1);
                run.line(line.trim(), &place);
            }
            run.nothing_left(&format!("{} ({cut:?}), at the end", path.display()));
        }
    }
}

impl Run {
    fn new(cut: Cut) -> Self {
        Self {
            link: Link::new(LinkOptions::default()),
            target: Recorder::default(),
            seen_calls: 0,
            now: Duration::ZERO,
            sent: Vec::new(),
            sent_second: Vec::new(),
            error: None,
            events: VecDeque::new(),
            cut,
        }
    }

    fn line(&mut self, line: &str, place: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "" | "#" => {}
            "auth" => {
                let (user, password) = rest.split_once(' ').unwrap_or(("", rest));
                let user = Some(user.to_owned()).filter(|user| !user.is_empty());
                let mut options = LinkOptions::default();
                options.credentials = Some(Credentials { user, password: password.to_owned() });
                options.ip_address = Some("10.0.0.1".to_owned());
                options.listening_port = 7000;
                self.link = Link::new(options);
            }
            "two-channels" => {
                let mut options = LinkOptions::default();
                options.two_channels = true;
                self.link = Link::new(options);
            }
            "second" => {
                assert!(self.link.wants_dump_channel(), "{place}: no second connection is wanted");
                self.link.handle_dump_connected(self.now);
            }
            "second-unwanted" => assert!(!self.link.wants_dump_channel(), "{place}"),
            "second-closed" => self.error = self.link.handle_dump_closed().err(),
            "resume" => {
                let rest = expand(rest);
                let words: Vec<&str> = rest.split(' ').collect();
                let offset = Offset(words[1].parse().expect("an offset"));
                let position = Position { replid: words[0].parse().expect("an id"), offset };
                self.link.resume(position, words[2].parse().expect("a database"));
            }
            "connect" => {
                self.nothing_left(place);
                self.link.handle_connected(self.now);
            }
            "close" => self.error = Some(self.link.handle_closed(self.now)),
            "clock" => {
                self.now += Duration::from_secs(rest.parse().expect("seconds"));
                self.error = self.link.handle_timeout(self.now).err();
            }
            "<" | "<*" => self.receive(&received(line).expect("bytes"), place, false),
            "2<" => self.receive(&unescape(rest), place, true),
            ">" => expect_sent(&mut self.sent, &array(&expand(rest)), place),
            ">raw" => expect_sent(&mut self.sent, &unescape(rest), place),
            "2>" => expect_sent(&mut self.sent_second, &array(&expand(rest)), place),
            "2>raw" => expect_sent(&mut self.sent_second, &unescape(rest), place),
            "call" => {
                let call = self.target.calls.get(self.seen_calls).cloned();
                let shown = call.as_ref().map_or_else(|| "nothing".to_owned(), show);
                assert_eq!(shown, expand(rest), "{place}");
                self.seen_calls += 1;
            }
            "event" => assert_eq!(self.event(), expand(rest), "{place}"),
            "error" => {
                let error = self.error.take().unwrap_or_else(|| panic!("{place}: no error"));
                assert_eq!(format!("{:?}: {error}", error.recovery()), expand(rest), "{place}");
            }
            "applied" => {
                let position =
                    self.link.position().map_or_else(|| "none".to_owned(), |p| p.offset.to_string());
                assert_eq!(position, rest, "{place}");
            }
            "read" => {
                let read =
                    self.link.read_offset().map_or_else(|| "none".to_owned(), |offset| offset.to_string());
                assert_eq!(read, rest, "{place}");
            }
            "db" => assert_eq!(format!("{:?}", self.link.stream_db()), format!("Some({rest})"), "{place}"),
            _ => panic!("{place}: unknown line"),
        }
        while let Some(bytes) = self.link.poll_transmit() {
            self.sent.extend_from_slice(&bytes);
        }
        while let Some(bytes) = self.link.poll_dump_transmit() {
            self.sent_second.extend_from_slice(&bytes);
        }
        while let Some(event) = self.link.poll_event() {
            self.events.push_back(event);
        }
    }

    fn receive(&mut self, bytes: &[u8], place: &str, second: bool) {
        let chunks: Vec<&[u8]> = match self.cut {
            Cut::Whole => vec![bytes],
            Cut::Bytes => bytes.chunks(1).collect(),
            Cut::At(at) => {
                let (head, tail) = bytes.split_at(at.min(bytes.len()));
                vec![head, tail]
            }
        };
        for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
            let handled = if second {
                self.link.handle_dump_bytes(self.now, chunk, &mut self.target)
            } else {
                self.link.handle_bytes(self.now, chunk, &mut self.target)
            };
            match handled {
                Ok(()) => {}
                Err(error) => {
                    assert!(self.error.is_none(), "{place}: a second error: {error}");
                    self.error = Some(error);
                }
            }
        }
    }

    fn event(&mut self) -> String {
        match self.events.pop_front() {
            Some(Event::FullSyncStarted(Some(position))) => format!("full-sync-started {position}"),
            Some(Event::FullSyncStarted(None)) => "full-sync-started somewhere".to_owned(),
            Some(Event::FullSyncFinished { position, received }) => {
                format!("full-sync-finished {position} bytes={received}")
            }
            Some(Event::Resumed { position, previous: None }) => format!("resumed {position}"),
            Some(Event::Resumed { position, previous: Some(id) }) => format!("resumed {position} was {id}"),
            other => format!("{other:?}"),
        }
    }

    /// Whatever happened must stand in the script.
    fn nothing_left(&self, place: &str) {
        for sent in [&self.sent, &self.sent_second] {
            assert_eq!(sent.escape_ascii().to_string(), "", "{place}: sent but not expected");
        }
        assert!(self.error.is_none(), "{place}: not expected: {:?}", self.error);
        assert_eq!(self.events, [], "{place}: not expected");
        let calls: Vec<String> = self.target.calls.iter().skip(self.seen_calls).map(show).collect();
        assert_eq!(calls, Vec::<String>::new(), "{place}: not expected");
    }
}

fn expect_sent(sent: &mut Vec<u8>, wanted: &[u8], place: &str) {
    let sent: Vec<u8> = sent.drain(..wanted.len().min(sent.len())).collect();
    assert_eq!(sent.escape_ascii().to_string(), wanted.escape_ascii().to_string(), "{place}");
}

fn show(call: &Call) -> String {
    let one = Recorder { calls: vec![call.clone()], begun: 0, raw: Vec::new() };
    one.lines().remove(0)
}

fn received(line: &str) -> Option<Vec<u8>> {
    match line.trim().split_once(' ')? {
        ("<" | "2<", rest) => Some(unescape(rest)),
        ("<*", rest) => Some(array(&expand(rest))),
        _ => None,
    }
}

fn expand(text: &str) -> String {
    text.replace("{a}", &"a".repeat(40)).replace("{b}", &"b".repeat(40))
}

fn array(words: &str) -> Vec<u8> {
    let words: Vec<&str> = words.split(' ').collect();
    let mut out = format!("*{}\r\n", words.len());
    for word in words {
        out.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    out.into_bytes()
}

/// Expands `{dump}` (25 bytes, key k = v in database 0, no checksum), `{dump-db3}` (the same from a
/// chained primary that has database 3 selected), `{dump-known}` (the same, and it says where it stands), `{mark}`, the ids, and the escapes.
fn unescape(text: &str) -> Vec<u8> {
    let dump = r"\xfe\x00\x00\x01k\x01v\xff\x00\x00\x00\x00\x00\x00\x00\x00";
    let text = expand(text)
        .replace("{dump}", &format!("REDIS0009{dump}"))
        .replace("{dump-db3}", &format!(r"REDIS0009\xfa\x0erepl-stream-db\x013{dump}"))
        .replace(
            "{dump-known}",
            &format!(r"REDIS0009\xfa\x07repl-id\x28{}\xfa\x0brepl-offset\x041500{dump}", "a".repeat(40)),
        )
        .replace("{mark}", &"f".repeat(40));
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next().expect("an escape") {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b'x' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).expect("hex");
                out.push(u8::from_str_radix(digits, 16).expect("hex"));
            }
            other => panic!("unknown escape {:?}", char::from(other)),
        }
    }
    out
}
