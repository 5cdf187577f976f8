//! DUMP payloads, to and from real servers.
#![expect(
    clippy::unwrap_used,
    clippy::unit_arg,
    reason = "a test that cannot go on fails; most values cannot fail"
)]

mod feeding;

use feeding::Recorder;
use rdb::encoding::{IntsetBuf, ListpackBuf, StreamNodeBuf};
use rdb::payload::{self, PayloadError, Policy};
use rdb::{
    EncodeError, EntryMeta, ListNode, Part, Reject, StreamId, StreamMeta, ValueEncoder, Version, Visitor,
    Want,
};
use testkit::{Client, Reply, Server};

/// The version that a server of its kind writes.
fn native(server: Server) -> Version {
    match server {
        Server::R6_0 | Server::R6_2 => Version::REDIS_9,
        Server::R7_0 => Version::REDIS_10,
        Server::V8_1 => Version::REDIS_11,
        Server::R8_2 => Version::REDIS_12,
        Server::V9_1 => Version::VALKEY_80,
    }
}

fn listpack(elements: &[&[u8]]) -> ListpackBuf {
    let mut list = ListpackBuf::new();
    elements.iter().for_each(|element| list.push(element).unwrap());
    list
}

type Value = Box<dyn Fn(ValueEncoder<'_>) -> Result<(), EncodeError>>;

/// A value and the reads that show it.
struct Case {
    name: &'static str,
    value: Value,
    reads: &'static [(&'static str, &'static str)],
}

fn case(
    name: &'static str,
    reads: &'static [(&'static str, &'static str)],
    value: impl Fn(ValueEncoder<'_>) -> Result<(), EncodeError> + 'static,
) -> Case {
    Case { name, value: Box::new(value), reads }
}

fn cases() -> Vec<Case> {
    let id = |ms, seq| StreamId { ms, seq };
    vec![
        case("string", &[("GET k", "abc")], |to| Ok(to.string(b"abc"))),
        case("empty string", &[("STRLEN k", "0")], |to| Ok(to.string(b""))),
        case("integer", &[("GET k", "-70000")], |to| Ok(to.string(b"-70000"))),
        case("compressed", &[("STRLEN k", "100000")], |to| Ok(to.string(&b"0123456789".repeat(10_000)))),
        case("list", &[("LRANGE k 0 1", "[a, 5]"), ("LLEN k", "3"), ("LINDEX k 2", LONG)], |to| {
            let packed = listpack(&[b"a", b"5"]);
            let nodes = [ListNode::Packed(packed.as_listpack()), ListNode::Plain(LONG.as_bytes())];
            Ok(to.list(nodes))
        }),
        case("plain list", &[("LRANGE k 0 -1", "[a, , 7]")], |to| {
            Ok(to.list_elements(3, [&b"a"[..], b"", b"7"]))
        }),
        case("intset", &[("SCARD k", "3"), ("SISMEMBER k 70000", "1")], |to| {
            let mut set = IntsetBuf::new();
            [1, 2, 70000].into_iter().for_each(|value| {
                let _ = set.insert(value);
            });
            Ok(to.set_intset(set.as_intset()))
        }),
        case("set listpack", &[("SCARD k", "2"), ("SISMEMBER k 12", "1")], |to| {
            Ok(to.set_listpack(listpack(&[b"x", b"12"]).as_listpack()))
        }),
        case("set", &[("SCARD k", "2"), ("SISMEMBER k y", "1")], |to| Ok(to.set(2, [&b"x"[..], b"y"]))),
        case("zset", &[("ZRANGE k 0 -1 WITHSCORES", "[b, -inf, a, 1.5]")], |to| {
            Ok(to.zset(2, [(&b"a"[..], 1.5), (b"b", f64::NEG_INFINITY)]))
        }),
        case("zset listpack", &[("ZRANGE k 0 -1 WITHSCORES", "[a, -3, b, 2.5]")], |to| {
            Ok(to.zset_listpack(listpack(&[b"a", b"-3", b"b", b"2.5"]).as_listpack()))
        }),
        case("hash", &[("HGET k g", "7"), ("HLEN k", "2")], |to| {
            Ok(to.hash(2, [(&b"f"[..], &b"v"[..]), (b"g", b"7")]))
        }),
        case("hash listpack", &[("HGET k g", "7"), ("HLEN k", "2")], |to| {
            Ok(to.hash_listpack(listpack(&[b"f", b"v", b"g", b"7"]).as_listpack()))
        }),
        case("hash that could expire", &[("HGET k g", "7"), ("HLEN k", "2")], |to| {
            to.hash_fields(2, [(&b"f"[..], &b"v"[..], None), (b"g", b"7", None)])
        }),
        case("hash listpack that could expire", &[("HGET k g", "7"), ("HLEN k", "2")], |to| {
            to.hash_listpack_ex(listpack(&[b"f", b"v", b"0", b"g", b"7", b"0"]).as_listpack())
        }),
        case(
            "stream",
            &[
                ("XRANGE k - +", "[[5-1, [a, 1]], [5-2, [a, x]]]"),
                ("XPENDING k g", "[1, 5-1, 5-1, [[c, 1]]]"),
                ("XLEN k", "2"),
            ],
            move |to| {
                let mut node = StreamNodeBuf::new(id(5, 1), [(&b"a"[..], &b"1"[..])].into_iter()).unwrap();
                node.append(id(5, 2), [(&b"a"[..], &b"x"[..])].into_iter()).unwrap();
                let mut stream = to.stream(1);
                stream.node(id(5, 1), node.as_node().listpack());
                let mut meta = StreamMeta::default();
                (meta.length, meta.last_id, meta.first_id, meta.entries_added) = (2, id(5, 2), id(5, 1), 2);
                stream.figures(&meta, 1);
                stream.group(b"g", id(5, 1), Some(1), 1);
                stream.pending(id(5, 1), 1_700_000_000_000, 3);
                stream.consumers(1);
                stream.consumer(b"c", 1_700_000_000_000, Some(1_700_000_000_000), 1);
                stream.owned(id(5, 1));
                Ok(())
            },
        ),
        case("empty stream", &[("XLEN k", "0")], |to| {
            Ok(to.stream_without_groups(std::iter::empty(), &StreamMeta::default()))
        }),
    ]
}

/// Nine kilobytes in one element: too long for a packed node.
const LONG: &str = match std::str::from_utf8(&[b'q'; 9000]) {
    Ok(text) => text,
    Err(_) => "",
};

/// A reply on one line.
fn show(reply: &Reply) -> String {
    if reply.is_null() {
        "null".to_owned()
    } else if reply.is_error() {
        reply.error().to_owned()
    } else if let Some(items) = reply.as_array() {
        format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
    } else if let Some(int) = reply.as_int() {
        int.to_string()
    } else {
        reply.text()
    }
}

fn restore(client: &mut Client, payload: &[u8]) -> String {
    show(&client.call(&[&b"RESTORE"[..], b"k", b"0", payload, b"REPLACE"]))
}

#[test]
fn every_server_restores_what_we_write_and_reads_the_same() {
    for server in Server::ALL {
        let running = server.start();
        let mut client = running.client();
        for version in
            [Version::REDIS_9, Version::REDIS_10, Version::REDIS_11, Version::REDIS_12, Version::VALKEY_80]
        {
            let newest = native(server);
            let readable = match (newest.number, version.number) {
                (80, number) => number != 12,
                (newest, number) => number <= newest,
            };
            for Case { name, value, reads } in cases() {
                let bytes = payload::encode(version, &value).unwrap();
                let answer = restore(&mut client, &bytes);
                if !readable {
                    assert!(answer.contains("DUMP payload version or checksum"), "{name}: {answer}");
                    continue;
                }
                assert_eq!(answer, "OK", "{name} of {version} to {server:?}");
                for (command, expected) in reads {
                    let answer = show(&client.line(command));
                    assert_eq!(&answer, expected, "{name} of {version} to {server:?}: {command}");
                }
                // And back: its own payload says to us what ours says.
                let theirs = client.line("DUMP k").bytes().to_vec();
                let told = |bytes: &[u8]| {
                    let mut elements = Elements::default();
                    payload::decode(bytes, Policy::default(), &mut elements).unwrap();
                    elements.0.sort();
                    elements.0
                };
                assert_eq!(told(&theirs), told(&bytes), "{name} of {version} from {server:?}");
            }
        }
    }
}

#[test]
fn fields_that_expire_are_restored_by_either_family() {
    const FAR: i64 = 4_102_444_800_000;
    for (server, version) in [(Server::R8_2, Version::REDIS_12), (Server::V9_1, Version::VALKEY_80)] {
        let running = server.start();
        let mut client = running.client();
        let fields = [(&b"f"[..], &b"v"[..], Some(FAR)), (b"g", b"w", Some(FAR + 9)), (b"h", b"x", None)];
        let table = payload::encode(version, |to| to.hash_fields(3, fields)).unwrap();
        let list = listpack(&[b"f", b"v", b"4102444800000", b"g", b"w", b"4102444800009", b"h", b"x", b"0"]);
        let packed = payload::encode(version, |to| to.hash_listpack_ex(list.as_listpack())).unwrap();
        for bytes in [table, packed] {
            assert_eq!(restore(&mut client, &bytes), "OK");
            let times = show(&client.line("HPEXPIRETIME k FIELDS 3 f g h"));
            assert_eq!(times, "[4102444800000, 4102444800009, -1]");
            assert_eq!(show(&client.line("HGET k h")), "x");
        }
        let older = payload::encode(Version::REDIS_11, |to| to.hash_fields(3, fields));
        assert_eq!(older, Err(EncodeError::FieldExpiry(Version::REDIS_11)));
    }
}

#[test]
fn functions_go_to_a_server_and_back() {
    let code = b"#!lua name=lib\nredis.register_function('f', function() return 'from us' end)";
    for server in [Server::R7_0, Server::R8_2, Server::V8_1, Server::V9_1] {
        let running = server.start();
        let mut client = running.client();
        let bytes = payload::encode_functions(native(server), [&code[..]]).unwrap();
        assert_eq!(show(&client.call(&[&b"FUNCTION"[..], b"RESTORE", &bytes])), "OK");
        assert_eq!(show(&client.line("FCALL f 0")), "from us");
        let back = client.line("FUNCTION DUMP").bytes().to_vec();
        let mut recorder = Recorder::new(Want::Elements);
        payload::decode_functions(&back, Policy::default(), &mut recorder).unwrap();
        assert_eq!(recorder.calls, [format!("function {}", code.escape_ascii())]);
    }
}

#[test]
fn errors_have_the_texts_of_restore() {
    let mut recorder = Recorder::new(Want::Elements);
    let good = payload::encode(Version::REDIS_9, |to| Ok(to.string(b"abc"))).unwrap();
    for end in 0..good.len() {
        let error = payload::decode(&good[..end], Policy::default(), &mut recorder).unwrap_err();
        assert_eq!(error, PayloadError::Footer);
        assert_eq!(error.to_string(), "DUMP payload version or checksum are wrong");
    }
    for value in
        [&b"\0\x03ab"[..], b"\0\x03abcd", b"", b"\x01\0", b"\x10\x07\x07\0\0\0\0\0\xFF", b"\x08", b"\x16\x01"]
    {
        let error = payload::decode(&sealed(value, 9), Policy::default(), &mut recorder).unwrap_err();
        assert!(matches!(error, PayloadError::Value(_)), "{value:?}");
        assert_eq!(error.to_string(), "Bad data format");
    }
}

#[test]
fn the_policy_decides_on_versions_and_zero_checksums() {
    let mut recorder = Recorder::new(Want::Elements);
    let mut accepts = |bytes: &[u8], policy| payload::decode(bytes, policy, &mut recorder).is_ok();
    let mut old = Policy::default();
    (old.redis_max, old.valkey_max) = (10, 0);
    for (number, by_default, by_old) in [
        (1, true, true),
        (10, true, true),
        (11, true, false),
        (16, true, false),
        (17, false, false),
        (79, false, false),
        (80, true, false),
        (81, true, false),
        (82, false, false),
    ] {
        let bytes = sealed(b"\0\x01a", number);
        assert_eq!(accepts(&bytes, Policy::default()), by_default, "{number}");
        assert_eq!(accepts(&bytes, old), by_old, "{number}");
    }
    let mut zero = sealed(b"\0\x01a", 9);
    let crc = zero.len() - 8;
    zero[crc..].fill(0);
    assert!(!accepts(&zero, Policy::default()));
    assert!(accepts(&zero, Policy::default().with_zero_checksum()));
}

fn sealed(value: &[u8], version: u16) -> Vec<u8> {
    let mut bytes = value.to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&rdb::crc64::checksum(&bytes).to_le_bytes());
    bytes
}

/// Elements alone, without hints and encodings.
#[derive(Default)]
struct Elements(Vec<String>);

impl Visitor for Elements {
    fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        Ok(Want::Elements)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::Count(_) | Part::StreamMeta(_) | Part::Group { .. } | Part::Consumer { .. } => {}
            part => self.0.push(format!("{part:?}")),
        }
        Ok(())
    }
}
