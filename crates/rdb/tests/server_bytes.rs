//! The builders put down the bytes that real servers do: the same commands, then DUMP, then the same blob.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use rdb::StreamId;
use rdb::encoding::{IntsetBuf, ListpackBuf, StreamNodeBuf};
use testkit::{Client, Server};

/// All that keep listpacks; Redis 6 has ziplists.
const SERVERS: [Server; 4] = [Server::R7_0, Server::R8_2, Server::V8_1, Server::V9_1];

/// Runs the body on each server, with limits out of the way and blobs uncompressed.
fn on_each(body: impl Fn(&mut Client, &mut Random)) {
    for server in SERVERS {
        let running = server.start();
        let mut client = running.client();
        for setting in [
            "rdbcompression no",
            "list-max-listpack-size -5",
            "hash-max-listpack-entries 100000",
            "hash-max-listpack-value 100000",
            "set-max-intset-entries 100000",
        ] {
            client.line(&format!("CONFIG SET {setting}")).ok();
        }
        for seed in 1..=8 {
            client.line("FLUSHALL").ok();
            body(&mut client, &mut Random(seed));
        }
    }
}

#[test]
fn lists_have_the_servers_bytes() {
    on_each(|client, random| {
        let mut list = ListpackBuf::new();
        for _ in 0..60 {
            let (len, element) = (list.len() as u64, random.element());
            let index = random.below(len.max(1)) as i64 - if random.below(2) == 0 { 0 } else { len as i64 };
            let place = list.as_listpack().seek(index);
            let index = index.to_string().into_bytes();
            match (random.below(8), place) {
                (0..=2, _) | (_, None) => {
                    client.call(&[&b"RPUSH"[..], b"l", &element[..]]).ok();
                    list.push(&element).unwrap();
                }
                (3, _) => {
                    client.call(&[&b"LPUSH"[..], b"l", &element[..]]).ok();
                    let first = list.as_listpack().first().unwrap();
                    list.insert(first, &element).unwrap();
                }
                (4, Some(place)) => {
                    client.call(&[&b"LSET"[..], b"l", &index[..], &element[..]]).ok();
                    list.replace(place, &element).unwrap();
                }
                (5, Some(place)) => {
                    let pivot = list.as_listpack().at(place).unwrap().to_vec();
                    client.call(&[&b"LINSERT"[..], b"l", b"BEFORE", &pivot[..], &element[..]]).ok();
                    let place = list.as_listpack().find(&pivot, 0).unwrap();
                    list.insert(place, &element).unwrap();
                }
                (6, Some(place)) if len > 1 => {
                    let victim = list.as_listpack().at(place).unwrap().to_vec();
                    client.call(&[&b"LREM"[..], b"l", b"1", &victim[..]]).ok();
                    let place = list.as_listpack().find(&victim, 0).unwrap();
                    list.remove(place);
                }
                _ if len > 4 => {
                    client.line("LTRIM l 2 -2").ok();
                    let first = list.as_listpack().first().unwrap();
                    list.remove_range(first, 2);
                    let last = list.as_listpack().last().unwrap();
                    list.remove(last);
                }
                _ => {}
            }
        }
        let dump = client.line("DUMP l").bytes().to_vec();
        let mut payload = Payload(&dump);
        assert_eq!((payload.byte(), payload.len(), payload.len()), (18, 1, 2));
        assert_eq!(payload.string(), list.as_bytes());
    });
}

#[test]
fn hashes_have_the_servers_bytes() {
    on_each(|client, random| {
        let mut hash = ListpackBuf::new();
        hash.push(b"stays").unwrap();
        hash.push(b"").unwrap();
        client.call(&[&b"HSET"[..], &b"h"[..], b"stays", b""]).ok();
        for _ in 0..80 {
            let field = format!("{}", random.below(12) * 50).into_bytes();
            let found = hash.as_listpack().find(&field, 1);
            if random.below(4) > 0 {
                let value = random.element();
                client.call(&[&b"HSET"[..], b"h", &field[..], &value[..]]).ok();
                match found {
                    Some(field) => {
                        let value_at = hash.as_listpack().next(field).unwrap();
                        hash.replace(value_at, &value).unwrap();
                    }
                    None => {
                        hash.push(&field).unwrap();
                        hash.push(&value).unwrap();
                    }
                }
            } else {
                client.call(&[&b"HDEL"[..], b"h", &field[..]]).ok();
                if let Some(field) = found {
                    assert_eq!(hash.remove_range(field, 2), 2);
                }
            }
        }
        let dump = client.line("DUMP h").bytes().to_vec();
        let mut payload = Payload(&dump);
        assert_eq!(payload.byte(), 16);
        assert_eq!(payload.string(), hash.as_bytes());
    });
}

#[test]
fn intsets_have_the_servers_bytes() {
    on_each(|client, random| {
        let mut set = IntsetBuf::new();
        set.insert(-3).unwrap();
        client.line("SADD s -3").ok();
        for round in 0..120 {
            // Narrow at first, so that both widenings happen, to either end.
            let value = random.integer() >> [56, 40, 8][round / 40];
            if random.below(3) > 0 {
                let added = client.line(&format!("SADD s {value}")).as_int();
                assert_eq!(added, Some(i64::from(set.insert(value).unwrap())));
            } else if set.len() > 1 {
                let victim = set.get(random.below(set.len() as u64) as usize).unwrap();
                client.line(&format!("SREM s {victim}")).ok();
                assert!(set.remove(victim));
            }
        }
        let dump = client.line("DUMP s").bytes().to_vec();
        let mut payload = Payload(&dump);
        assert_eq!(payload.byte(), 11);
        assert_eq!(payload.string(), set.as_bytes());
    });
}

#[test]
fn stream_nodes_have_the_servers_bytes() {
    on_each(|client, random| {
        let mut nodes: Vec<StreamNodeBuf> = Vec::new();
        let mut id = StreamId { ms: 1, seq: 1 };
        let shapes: [&[&str]; 4] = [&["a"], &["temp", "unit"], &["unit", "temp"], &["1", "b", "c"]];
        for _ in 0..400 {
            if random.below(8) > 0 || nodes.is_empty() {
                id = match random.below(3) {
                    0 => StreamId { ms: id.ms + 1 + random.below(70_000), seq: random.below(3) },
                    _ => StreamId { ms: id.ms, seq: id.seq + 1 + random.below(200) },
                };
                let shape = shapes[(random.below(10) / 3) as usize];
                let fields: Vec<_> = shape.iter().map(|name| (name.as_bytes(), random.element())).collect();
                let mut command = vec![b"XADD".to_vec(), b"x".to_vec(), text(id)];
                command.extend(fields.iter().flat_map(|(field, value)| [field.to_vec(), value.clone()]));
                client.call(&command).ok();
                let payload = fields.iter().map(|(field, value)| field.len() + value.len()).sum();
                let fields = fields.iter().map(|(field, value)| (*field, &value[..]));
                match nodes.last_mut().filter(|node| node.takes(payload, 4096, 100)) {
                    Some(node) => node.append(id, fields).unwrap(),
                    None => nodes.push(StreamNodeBuf::new(id, fields).unwrap()),
                }
            } else if random.below(4) > 0 {
                let index = random.below(nodes.len() as u64) as usize;
                let victims: Vec<_> = nodes[index].as_node().iter().map(|entry| entry.id()).collect();
                let victim = victims[random.below(victims.len() as u64) as usize];
                client.call(&[b"XDEL".to_vec(), b"x".to_vec(), text(victim)]).ok();
                assert!(nodes[index].delete(victim));
                if nodes[index].is_empty() {
                    nodes.remove(index);
                }
            } else {
                let live: u64 = nodes.iter().map(StreamNodeBuf::len).sum();
                let mut surplus = random.below(live / 4 + 1);
                client.line(&format!("XTRIM x MAXLEN = {}", live - surplus)).ok();
                while surplus > 0 {
                    if nodes[0].len() <= surplus {
                        surplus -= nodes.remove(0).len();
                    } else {
                        surplus -= nodes[0].delete_oldest(surplus);
                    }
                }
            }
        }
        let dump = client.line("DUMP x").bytes().to_vec();
        let mut payload = Payload(&dump);
        assert!(matches!(payload.byte(), 19 | 21));
        assert_eq!(payload.len(), nodes.len());
        for node in &nodes {
            let base = node.base();
            assert_eq!(payload.string(), [base.ms.to_be_bytes(), base.seq.to_be_bytes()].concat());
            assert_eq!(payload.string(), node.as_bytes());
        }
    });
}

fn text(id: StreamId) -> Vec<u8> {
    format!("{}-{}", id.ms, id.seq).into_bytes()
}

/// The front of a DUMP, uncompressed.
struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn len(&mut self) -> usize {
        match self.byte() {
            short @ 0..=63 => short.into(),
            medium @ 64..=127 => usize::from(medium & 63) * 256 + usize::from(self.byte()),
            0x80 => u32::from_be_bytes(self.take(4).try_into().unwrap()) as usize,
            other => panic!("not a length: {other:#04x}"),
        }
    }

    fn string(&mut self) -> &'a [u8] {
        let len = self.len();
        self.take(len)
    }
}

/// SplitMix64: the same run on every machine.
struct Random(u64);

impl Random {
    fn integer(&mut self) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).cast_signed()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.integer().cast_unsigned() % bound
    }

    /// Integers of every width, what only looks like one, and strings up to and past each bound.
    fn element(&mut self) -> Vec<u8> {
        const ODD: [&str; 9] = ["", "-", "-0", "+1", "01", " 1", "1 ", "9223372036854775808", "1e3"];
        match self.below(8) {
            0..=2 => (self.integer() >> self.below(64)).to_string().into_bytes(),
            3 => ODD[self.below(9) as usize].as_bytes().to_vec(),
            4 => vec![b'x'; [62, 63, 64, 65, 124, 125, 126, 127, 128][self.below(9) as usize]],
            5 => {
                let edge =
                    [127, -128, 4095, -4096, 32_767, -32_768, 8_388_607, -8_388_608][self.below(8) as usize];
                (edge + self.below(3) as i64 - 1).to_string().into_bytes()
            }
            _ => (0..self.below(20)).map(|_| self.integer() as u8).collect(),
        }
    }
}
