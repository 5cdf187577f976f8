//! How the elements of a list lie in its nodes: DUMP tells, node by node. It decides when a list is a single listpack
//! again, which OBJECT ENCODING tells.

mod support;

use rdb::payload::{Policy, decode};
use rdb::{EntryMeta, Part, Reject, Visitor, Want};
use store::Recorded;
use support::{Command, Pair, Random, for_seeds, shown, words};
use testkit::Server;

const STEPS: usize = 1500;

/// The nodes of a list, each in words.
#[derive(Debug, Default, PartialEq)]
struct Nodes(Vec<String>);

fn told(element: &[u8]) -> String {
    match element {
        [first, .., _] if element.len() > 9 => format!("{}*{}", char::from(*first), element.len()),
        _ => element.escape_ascii().to_string(),
    }
}

impl Visitor for Nodes {
    fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::Listpack(list) => {
                let elements: Vec<String> = list.iter().map(|item| told(&item.to_vec())).collect();
                self.0.push(elements.join(" "));
            }
            Part::PlainNode(element) => self.0.push(format!("plain {}", told(element))),
            // How many there will be.
            _ => {}
        }
        Ok(())
    }
}

fn nodes(dumped: Recorded) -> Nodes {
    let mut nodes = Nodes::default();
    if let Recorded::Bulk(payload) = dumped
        && let Err(error) = decode(&payload, Policy::default(), &mut nodes)
    {
        panic!("a dump that cannot be read: {error}");
    }
    nodes
}

/// Now and then one that is too large for a node with others.
fn element(random: &mut Random, large: bool) -> Vec<u8> {
    match random.below(30) {
        0 if large => vec![b'a' + random.below(3) as u8; 9000],
        1..6 => vec![b'd' + random.below(3) as u8; 1500],
        _ => format!("e{}", random.below(8)).into_bytes(),
    }
}

fn command(random: &mut Random, large: bool) -> Command {
    let mut command = words(random.pick(&[
        "RPUSH l",
        "RPUSH l",
        "LPUSH l",
        "LINSERT l AFTER",
        "LINSERT l BEFORE",
        "LSET l",
        "LREM l",
        "LTRIM l",
        "LPOP l",
        "RPOP l",
    ]));
    let index = random.within(-12, 12).to_string().into_bytes();
    match command[0].as_slice() {
        b"LINSERT" => command.extend([element(random, large), element(random, large)]),
        b"LSET" => command.extend([index, element(random, large)]),
        b"LREM" => command.extend([random.within(-1, 1).to_string().into_bytes(), element(random, large)]),
        b"LTRIM" => command.extend(words(random.pick(&["0 -2", "1 -1", "0 -1", "1 -3", "0 30"]))),
        b"LPOP" | b"RPOP" => {}
        _ => command.push(element(random, large)),
    }
    command
}

fn nodes_are_those_of(server: Server, large: bool) {
    let mut pair = Pair::start(server);
    for_seeds(&[1, 2, 3, 4, 5], |seed, mut random| {
        let size = [4, -2, 1, 7, -1][(seed % 5) as usize];
        pair.reset(&format!("seed {seed}"), false, &[("list-max-listpack-size", size)]);
        for _ in 0..STEPS {
            let before = nodes(pair.ours(&words("DUMP l")));
            let command = command(&mut random, large);
            pair.check(&command);
            let what = shown(&command.iter().map(|word| told(word).into_bytes()).collect());
            let (ours, theirs) = pair.both(&words("OBJECT ENCODING l"));
            assert_eq!(ours, theirs, "encoding, seed {seed}, size {size}, {what}, before {before:?}");
            let (ours, theirs) = pair.both(&words("DUMP l"));
            assert_eq!(nodes(ours), nodes(theirs), "seed {seed}, size {size}, {what}, before {before:?}");
        }
    });
}

#[test]
fn nodes_are_those_of_redis_7_0() {
    // There, an element has a node of its own from 1 GiB on only.
    nodes_are_those_of(Server::R7_0, false);
}

#[test]
fn nodes_are_those_of_redis_8_2() {
    nodes_are_those_of(Server::R8_2, true);
}
