//! Commands of a primary's stream that arrive together are taken together: nothing else about them may differ.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use replication::{Link, LinkOptions};
use server::{Engine, EngineTarget, EventFilter, Options, Role};

/// A copy that follows a primary without a socket.
struct Copy {
    engine: Arc<Engine>,
    target: EngineTarget,
    link: Link<EngineTarget>,
}

impl Copy {
    fn new(filter: &str) -> Self {
        let mut options = Options::default();
        options.filter = filter.parse().unwrap();
        let engine = Engine::new(Role::Replica { host: "127.0.0.1".to_owned(), port: 1 }, options);
        let mut copy = Self {
            target: EngineTarget::new(Arc::clone(&engine)),
            engine,
            link: Link::new(LinkOptions::default()),
        };
        copy.link.handle_connected(Duration::ZERO);
        copy.take(b"+PONG\r\n");
        copy.take(b"+OK\r\n+OK\r\n+OK\r\n");
        let empty_dump = b"REDIS0010\xff\0\0\0\0\0\0\0\0";
        copy.take(b"+FULLRESYNC 0123456789012345678901234567890123456789 0\r\n$18\r\n");
        copy.take(empty_dump);
        assert!(copy.engine.is_loaded());
        copy
    }

    fn take(&mut self, bytes: &[u8]) {
        self.link.handle_bytes(Duration::ZERO, bytes, &mut self.target).unwrap();
    }

    /// Everything that can be told of it.
    fn state(&self) -> String {
        let ask = |words: &[&str]| {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            format!("{:?}", self.engine.call(&words))
        };
        let divergence = self.engine.divergence();
        format!(
            "{} keys {} bytes {} position {:?} divergence {:?} filter {:?}",
            ask(&["DEBUG", "DIGEST"]),
            self.engine.keyspace().counts().keys,
            self.engine.keyspace().payload(),
            self.engine.position(),
            divergence.by_name(),
            self.engine.filter_status(),
        )
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn command(random: &mut Random, out: &mut Vec<u8>) {
    let key = format!("key:{}", random.below(40));
    let other = format!("key:{}", random.below(40));
    let n = random.below(1000).to_string();
    let words: Vec<&str> = match random.below(18) {
        0..=4 => vec!["SET", &key, &n],
        5 => vec!["SET", &key, &n, "PX", "100000000"],
        6 => vec!["DEL", &key, &other],
        7 => vec!["INCRBY", &key, &n],
        8 => vec!["HSET", &key, &n, &other],
        9 => vec!["RPUSH", &key, &n, &n],
        10 => vec!["SADD", &key, &n],
        // Takes longer than its arguments tell.
        11 => vec!["SUNIONSTORE", &key, &other, &key],
        12 => vec!["RENAME", &key, &other],
        13 => vec!["PUBLISH", "channel", &n],
        14 => vec!["SELECT", if random.below(2) == 0 { "0" } else { "3" }],
        15 => vec!["EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", &key, &n],
        16 => vec!["NOSUCHCOMMAND", &key],
        _ => {
            resp::encode_command(out, &["MULTI"]);
            for key in [&key, &other] {
                resp::encode_command(out, &["SET", key, &n]);
            }
            vec!["EXEC"]
        }
    };
    resp::encode_command(out, &words);
}

/// What the events say; the link's own, and when several were seen together, left out.
fn changes(events: &mut server::Events) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(event) = events.try_next() {
        if let server::Event::Change(change) = event {
            all.push(format!(
                "{} {:?} {} {:?} {:?} {:?}",
                change.db, change.key, change.what, change.command, change.kind, change.position
            ));
        }
    }
    all
}

#[test]
fn taken_together_or_one_by_one_they_do_the_same() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = [1, 2, 3].into_iter().chain(seed.or_else(|| Some(u64::from(std::process::id()))));
    for seed in seeds {
        println!("SEED={seed}");
        let mut random = Random(seed);
        let mut alone = Copy::new("");
        let (mut together, mut watched, mut filtered) = (Copy::new(""), Copy::new(""), Copy::new("db=0"));
        let mut filtered_alone = Copy::new("db=0");
        let [mut told_alone, mut told] =
            [&alone, &watched].map(|copy| copy.engine.events(EventFilter::default()));
        let mut seen = 0;
        for _ in 0..60 {
            let mut batch = Vec::new();
            for _ in 0..random.below(60) {
                let from = batch.len();
                command(&mut random, &mut batch);
                alone.take(&batch[from..]);
                filtered_alone.take(&batch[from..]);
            }
            together.take(&batch);
            watched.take(&batch);
            filtered.take(&batch);
            assert_eq!(together.state(), alone.state());
            assert_eq!(watched.state(), alone.state());
            assert_eq!(filtered.state(), filtered_alone.state());
            let expected = changes(&mut told_alone);
            seen += expected.len();
            assert_eq!(changes(&mut told), expected);
        }
        assert!(seen > 500, "{seen} changes");
    }
}
