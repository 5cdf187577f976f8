//! What connections do, made by chance.

use std::fmt::Write as _;

use testkit::Random;

use crate::Command;
use crate::pattern::{Atoms, Pattern};
use crate::spoil::spoil;

/// The connections.
pub(super) const NAMES: [char; 4] = ['a', 'b', 'c', 'd'];
/// In inline requests, this byte and those after it stand for the ids of the connections, which differ from round to
/// round.
pub(super) const ID_MARKS: u8 = 0xf0;

/// Something that a connection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It says bytes.
    Say(usize, Vec<u8>),
    /// It goes without a word.
    Leave(usize),
}

impl Step {
    /// Its words, as a line of a list.
    pub(super) fn written(&self) -> Command {
        let name = |who: &usize| NAMES[*who].to_string().into_bytes();
        match self {
            Self::Say(who, bytes) => vec![name(who), bytes.clone()],
            Self::Leave(who) => vec![name(who)],
        }
    }

    /// From those words.
    pub(super) fn read(written: &[Vec<u8>]) -> Option<Self> {
        let who = NAMES.iter().position(|name| name.to_string().as_bytes() == written[0])?;
        Some(written.get(1).map_or(Self::Leave(who), |bytes| Self::Say(who, bytes.clone())))
    }
}

fn one(random: &mut Random, of: &[&str]) -> Vec<u8> {
    random.pick(of).as_bytes().to_vec()
}

fn channel(random: &mut Random) -> Vec<u8> {
    one(random, &["channel:1", "channel:2", "channel:3", "__redis__:invalidate"])
}

fn client(random: &mut Random) -> Vec<u8> {
    vec![ID_MARKS + random.below(NAMES.len()) as u8]
}

fn script(random: &mut Random) -> Vec<u8> {
    one(
        random,
        &[
            "return redis.call('SET','s1',ARGV[1] or 'v')",
            "redis.call('RPUSH','l1','x') return redis.call('LPOP','l1')",
            "redis.call('RPUSH','l1','x','y') redis.call('ZADD','z1',1,'m') return 1",
            "return redis.call('PUBLISH','channel:1','from a script')",
            "return {redis.call('GET','s1'),{ok='fine'},{err='BAD luck'},false}",
            "redis.setresp(3) return redis.call('HGETALL','h1')",
            "return redis.call('SELECT','1')",
            "return redis.pcall('NOSUCH')",
            "redis.call('DEL','l1','z1','s1') return redis.call('EXISTS','s1')",
            "return redis.call('SUBSCRIBE','x')",
            "return redis.call('BLPOP','l1',0)",
            "return redis.error_reply('My Err')",
        ],
    )
}

fn text(random: &mut Random) -> Vec<u8> {
    one(random, &["v", "1", "hello", "x y", "", "\"quoted\"", "12"])
}

const ATOMS: Atoms = &[
    ("s", |random| one(random, &["s1", "s2"])),
    ("l", |random| one(random, &["l1", "l2"])),
    ("z", |random| one(random, &["z1", "z2"])),
    ("h", |random| one(random, &["h1", "h2"])),
    ("x", |random| one(random, &["x1", "x2"])),
    ("any", |random| one(random, &["s1", "s2", "l1", "l2", "z1", "h1", "x1"])),
    ("db", |random| one(random, &["0", "0", "0", "1", "2", "16", "x"])),
    ("channel", channel),
    // Of no two that match a channel: hash tables give them out in an order of their own.
    ("pattern", |random| one(random, &["channel:?", "__key*__:*"])),
    ("prefix", |random| one(random, &["s", "l1", "h", "z", ""])),
    ("client", client),
    ("script", script),
    ("v", text),
    ("entry", |random| format!("5-{}", random.below(9)).into_bytes()),
    ("end", |_| b"$".to_vec()),
    ("n", |random| random.within(-2..=3).to_string().into_bytes()),
];

const PATTERNS: &[(u32, &str)] = &[
    // Data.
    (20, "SET $s $v"),
    (10, "GET $any"),
    (4, "MSET $s $v $any $v"),
    (4, "MGET $any+"),
    (6, "INCR $s"),
    (3, "APPEND $s $v"),
    (12, "DEL $any+"),
    (14, "RPUSH $l $v+"),
    (5, "LPUSH $l $v+"),
    (6, "LPOP $l"),
    (3, "LRANGE $l 0 -1"),
    (3, "LMOVE $l $l LEFT RIGHT"),
    (8, "ZADD $z $n $v"),
    (3, "ZPOPMIN $z"),
    (5, "HSET $h f $v"),
    (2, "HGETALL $h"),
    (4, "SETEX $s 1000 $v"),
    (3, "EXPIRE $any (1000|-1)"),
    (2, "PERSIST $any"),
    (5, "XADD $x 1-1 f v; XLEN $x; DEL $x"),
    (5, "XADD $x $entry f v"),
    (3, "XGROUP CREATE $x g $end MKSTREAM"),
    (2, "XGROUP DESTROY $x g"),
    (3, "XREADGROUP GROUP g c STREAMS $x >"),
    (2, "PFADD p1 $v*"),
    (3, "PFCOUNT p1"),
    (2, "WATCH p1"),
    (3, "RENAME $any $any"),
    (2, "COPY $any $any REPLACE"),
    (2, "SORT $l ALPHA STORE l2"),
    (3, "MOVE $any 1"),
    (2, "SWAPDB $db $db"),
    (1, "FLUSHDB (SYNC|ASYNC|)"),
    (1, "FLUSHALL (SYNC|)"),
    (2, "EXISTS $any"),
    (2, "TYPE $any"),
    (1, "DBSIZE"),
    (1, "TOUCH $any"),
    // The session.
    (6, "SELECT $db"),
    (4, "SELECT 0"),
    (8, "MULTI"),
    (8, "EXEC"),
    (3, "DISCARD"),
    (7, "WATCH $any+"),
    (2, "UNWATCH"),
    (5, "MULTI; SET $s $v; GET $any; EXEC"),
    (3, "MULTI; RPUSH $l $v; LPOP $l; RPUSH $l $v $v; EXEC"),
    (2, "WATCH $s; MULTI; (GET $s|NOSUCH|SET $s|BLPOP $l 0|SUBSCRIBE $channel|PUBLISH $channel $v); EXEC"),
    (2, "MULTI; (SELECT 1|RESET|HELLO 3|CLIENT REPLY SKIP|WATCH a|MULTI|QUIT); EXEC"),
    (6, "HELLO (2|3|3|3 SETNAME me|4|x|3 AUTH default x|3 AUTH default|3 NOSUCH|)"),
    (3, "RESET"),
    (1, "QUIT"),
    (6, "PING"),
    (2, "PING $v"),
    (1, "PING a b"),
    (2, "ECHO $v"),
    (1, "AUTH (x|default x|default|a b c)"),
    (1, "NOSUCH a b"),
    (1, "READONLY"),
    (1, "READWRITE"),
    (1, "ASKING"),
    (1, "OBJECT (ENCODING $any|REFCOUNT|FREQ $any|NOSUCH $any)"),
    // Clients.
    (5, "CLIENT REPLY (ON|ON|SKIP|SKIP|OFF|x)"),
    (2, "CLIENT ID"),
    (1, "CLIENT GETNAME"),
    (1, "CLIENT SETNAME (me|you|)"),
    (1, "CLIENT (NO-EVICT|NO-TOUCH) (ON|OFF|x)"),
    (1, "CLIENT SETINFO (lib-name|lib-ver|x) (y|z)"),
    (4, "CLIENT UNBLOCK $client (TIMEOUT|ERROR|x|)"),
    (1, "CLIENT KILL (ID $client|ID $client SKIPME (yes|no)|$v|ID x|NOSUCH y)"),
    (4, "CLIENT TRACKING ON"),
    (3, "CLIENT TRACKING ON (OPTIN|OPTOUT|NOLOOP|BCAST)*"),
    (3, "CLIENT TRACKING ON BCAST (PREFIX $prefix|NOLOOP)*"),
    // Without BCAST: to a client that waits such a message comes, with the real servers, behind what it has said
    // meanwhile, which may have been that it listens.
    (4, "CLIENT TRACKING ON REDIRECT $client"),
    (3, "CLIENT TRACKING OFF"),
    (4, "CLIENT CACHING (YES|NO|x)"),
    (3, "CLIENT TRACKINGINFO"),
    (2, "CLIENT GETREDIR"),
    (1, "CLIENT NOSUCH"),
    // Channels.
    (8, "SUBSCRIBE $channel+"),
    (4, "PSUBSCRIBE $pattern+"),
    (4, "SSUBSCRIBE $channel+"),
    (4, "UNSUBSCRIBE $channel*"),
    (3, "PUNSUBSCRIBE $pattern*"),
    (3, "SUNSUBSCRIBE $channel*"),
    (12, "PUBLISH $channel $v"),
    (4, "SPUBLISH $channel $v"),
    (
        2,
        "PUBSUB (CHANNELS|CHANNELS $pattern|NUMPAT|NUMSUB $channel*|SHARDCHANNELS|SHARDNUMSUB $channel*|NOSUCH|)",
    ),
    // Waiting.
    (8, "(BLPOP|BRPOP) $l+ 0"),
    (3, "(BLMOVE $l $l LEFT RIGHT|BRPOPLPUSH $l $l) 0"),
    (3, "BLMPOP 0 #$l+ (LEFT|RIGHT) (COUNT 2|)"),
    (4, "(BZPOPMIN|BZPOPMAX) $z+ 0"),
    (2, "BZMPOP 0 #$z+ (MIN|MAX)"),
    (4, "XREAD BLOCK 0 STREAMS $x ($end|0|5-1)"),
    (4, "XREADGROUP GROUP g c BLOCK 0 STREAMS $x >"),
    (1, "BLPOP $l (-1|x|nan)"),
    (1, "WAIT 0 0"),
    // Scripts.
    (6, "EVAL $script 0 $v*"),
    (1, "EVAL_RO $script 0"),
    (1, "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0"),
    (1, "SCRIPT (EXISTS x|NOSUCH|)"),
];

/// What is no request, or not yet.
const BROKEN: &[&[u8]] = &[
    b"*1\r\n:4\r\nPING\r\n",
    b"*x\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-2\r\nPING\r\n",
    b"*1\r\n$999999999999\r\n",
    b"*99999999999\r\n",
    b"SET \"unbalanced\r\n",
    b"\r\n\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*-10\r\n",
    b"*\r\n",
    b"$3\r\nGET\r\n",
    b"+OK\r\n",
    b"\n",
    b" \r\n",
    b"PING\n",
    b"  PING  \t\r\n",
    b"*2\r\n$4\r\nECHO\r\n$3\r\n\r\n\0\r\n",
    b"*1\n$4\r\nPING\r\n",
    b"GET / HTTP/1.1\r\n",
    b"*1\r\n$0\r\n\r\n",
];

/// So many steps.
pub(super) fn make(random: &mut Random, count: usize) -> Vec<Step> {
    let patterns: Vec<Pattern> =
        PATTERNS.iter().map(|(weight, text)| Pattern::new(*weight, text, &[ATOMS])).collect();
    let total: u32 = PATTERNS.iter().map(|(weight, _)| weight).sum();
    let mut unsaid: [Vec<u8>; NAMES.len()] = Default::default();
    // Real servers do not hang up for a broken request on who wants no replies, and Redis 8.2 on who waits.
    let mut is_deaf = [false; NAMES.len()];
    let mut steps = Vec::with_capacity(count);
    while steps.len() < count {
        let who = random.below(NAMES.len());
        if random.one_in(80) {
            unsaid[who].clear();
            is_deaf[who] = false;
            steps.push(Step::Leave(who));
            continue;
        }
        let bytes = &mut unsaid[who];
        if bytes.is_empty() || random.one_in(4) {
            for _ in 0..1 + if random.one_in(3) { random.below(5) } else { 0 } {
                add(random, &patterns, total, bytes, &mut is_deaf[who]);
            }
        }
        if bytes.is_empty() {
            continue;
        }
        let said = if random.one_in(5) { 1 + random.below(bytes.len()) } else { bytes.len() };
        steps.push(Step::Say(who, bytes.drain(..said).collect()));
    }
    steps
}

fn add(random: &mut Random, patterns: &[Pattern], total: u32, bytes: &mut Vec<u8>, is_deaf: &mut bool) {
    if !*is_deaf && random.one_in(30) {
        bytes.extend_from_slice(random.pick(BROKEN));
        return;
    }
    let mut place = random.below(total as usize) as u32;
    let chosen = patterns.iter().find(|pattern| {
        let is_here = place < pattern.weight();
        place = place.wrapping_sub(if is_here { 0 } else { pattern.weight() });
        is_here
    });
    let Some(pattern) = chosen else { return };
    for mut command in pattern.make(random) {
        // What is told of changed keys waits with the real servers until those who were woken have gone on: who speaks
        // another protocol by then gets it in that one.
        if *is_deaf && command[0].eq_ignore_ascii_case(b"HELLO") {
            continue;
        }
        // One that waits waits for ever, and one that writes an id of its own does not.
        let is_sturdy = command[0].starts_with(b"B") || command[0].starts_with(b"X") || command[0] == b"WAIT";
        if !is_sturdy && random.one_in(40) {
            spoil(random, &mut command);
        }
        *is_deaf |= is_sturdy || command.iter().any(|word| word == b"REPLY");
        let names_clients = command.iter().any(|word| word.iter().any(|byte| *byte >= ID_MARKS));
        if names_clients || random.one_in(4) {
            inline(&command, bytes);
        } else {
            let begin = bytes.len();
            packed(&command, bytes);
            if !is_sturdy && !*is_deaf && random.one_in(200) {
                // Line ends stay: Valkey 9.1 looks at them, the others, and ours, do not.
                let at = begin + random.below(bytes.len() - begin);
                if !b"\r\n".contains(&bytes[at]) {
                    bytes[at] = random.pick(b"*$ 0-5x");
                }
            }
        }
    }
}

fn packed(command: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for word in command {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn inline(command: &[Vec<u8>], out: &mut Vec<u8>) {
    for (n, word) in command.iter().enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        if !word.is_empty()
            && word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'".contains(byte) || *byte >= ID_MARKS)
        {
            out.extend_from_slice(word);
            continue;
        }
        let mut quoted = String::from("\"");
        for byte in word {
            // Writing to a string cannot fail.
            let _ = match byte {
                b' '..=b'~' if !b"\"\\".contains(byte) => write!(quoted, "{}", char::from(*byte)),
                byte => write!(quoted, "\\x{byte:02x}"),
            };
        }
        quoted.push('"');
        out.extend_from_slice(quoted.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{read, shown};

    #[test]
    fn a_list_of_steps_is_read_as_it_was_written() {
        let steps = make(&mut Random::new(5), 500);
        assert!(steps.iter().any(|step| matches!(step, Step::Leave(_))));
        for step in steps {
            assert_eq!(Step::read(&read(&shown(&step.written()))), Some(step));
        }
    }
}
