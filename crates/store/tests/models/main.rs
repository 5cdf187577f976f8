//! Every type of value beside a naive model: the same operations, the same answers, the same contents after each
//! change of encoding and after a dump and its loading, and accounts that equal a recount.
//!
//! ```text
//! ops --> Model::step --> command, expected answer --> keyspace
//!  every few: contents == model, accounts == recount, load(save(keyspace)) == model
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collections;
mod hash;
mod hyperloglog;
mod stream;
mod string;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, RngSeed, TestRng, TestRunner};
use store::{
    Aggregate, Args, Keyspace, Loader, Null, Recorded, Recorder, ShardSet, View, Viewer, Writer, command,
};

type Command = Vec<Vec<u8>>;

/// A command from its parts.
fn command_of(parts: &[&[u8]]) -> Command {
    parts.iter().map(|part| part.to_vec()).collect()
}

/// How operations look to both sides.
trait Model: Default {
    type Op: std::fmt::Debug + Clone;

    /// What the command for an operation is and what it must answer.
    fn step(&mut self, op: &Self::Op) -> (Command, Recorded);

    /// A command that reads everything, and its answer.
    fn contents(&self) -> (Command, Recorded);

    /// Whether the elements of that answer have no order; in groups of so many.
    const UNORDERED: Option<usize> = None;
}

struct Db {
    keyspace: Arc<Keyspace>,
    writer: Writer,
}

/// The clock of every keyspace here.
const NOW: i64 = 1_000;

impl Db {
    fn new(limits: &[(&str, i64)]) -> Self {
        let (keyspace, writer) = Keyspace::new(1);
        keyspace.clock().set(NOW);
        for (name, value) in limits {
            assert!(keyspace.limits().set(name, *value), "no setting {name}");
        }
        Self { keyspace, writer }
    }

    fn run(&mut self, command: &Command) -> Recorded {
        let parts: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let args = Args::new(&parts);
        let row = command::find(args).unwrap();
        row.check_arity(args).unwrap();
        let mut set = ShardSet::none();
        row.add_shards(&self.keyspace, 0, args, &mut set);
        let mut out = Recorder::default();
        let result = row.write(&mut self.writer.begin(&set, Viewer::Client, 0), args, &mut out);
        match result {
            Ok(()) => out.finish().unwrap(),
            Err(error) => Recorded::Error(error.to_string()),
        }
    }

    /// The accounts must equal what is there.
    fn recount(&self) {
        let view = View::new(&self.keyspace, &ShardSet::none(), Viewer::Stream, 0);
        let (mut cursor, mut keys, mut bytes) = (0, 0, 0);
        loop {
            cursor = view.scan(0, cursor, 100, |entry| {
                keys += 1;
                bytes += entry.weight();
            });
            if cursor == 0 {
                break;
            }
        }
        let counts = self.keyspace.counts();
        assert_eq!((counts.keys, counts.bytes), (keys, bytes), "accounts, recount");
    }

    /// The same contents in another keyspace, by way of a dump.
    fn reloaded(&self, limits: &[(&str, i64)]) -> Self {
        let mut dump = Vec::new();
        store::save::save(&self.keyspace, rdb::Version::REDIS_12, &[], |piece| dump.extend(piece)).unwrap();
        let other = Self::new(limits);
        let mut loader = Loader::new(&other.keyspace);
        rdb::Decoder::default().feed(&dump, &mut loader).unwrap();
        drop(other.keyspace.swap_contents(loader.finish(), || {}));
        other
    }
}

fn ordered(reply: Recorded, unordered: Option<usize>) -> Recorded {
    match (reply, unordered) {
        (Recorded::Aggregate(_, items), Some(group)) => {
            let mut groups: Vec<Vec<Recorded>> = items.chunks(group).map(<[Recorded]>::to_vec).collect();
            groups.sort_by_cached_key(|group| format!("{group:?}"));
            Recorded::Aggregate(Aggregate::Array, groups.concat())
        }
        (reply, _) => reply,
    }
}

/// Runs the operations on both sides.
fn check<M: Model>(ops: &[M::Op], limits: &[(&str, i64)]) {
    let (mut db, mut model) = (Db::new(limits), M::default());
    for (index, op) in ops.iter().enumerate() {
        let (command, expected) = model.step(op);
        assert_eq!(db.run(&command), expected, "step {index}: {op:?} (ours, the model's)");
        if index % 24 == 23 || index + 1 == ops.len() {
            let (command, expected) = model.contents();
            let expected = ordered(expected, M::UNORDERED);
            assert_eq!(
                ordered(db.run(&command), M::UNORDERED),
                expected,
                "after step {index} (ours, the model's)"
            );
            db.recount();
            let mut again = db.reloaded(limits);
            again.recount();
            assert_eq!(ordered(again.run(&command), M::UNORDERED), expected, "loaded, after step {index}");
        }
    }
}

/// Settings to begin with.
type Limits = Vec<(&'static str, i64)>;

/// A case's operations.
fn several<Op: std::fmt::Debug>(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op, 1..150)
}

/// Runs a case that bytes choose: the settings, then three for each operation.
fn of_bytes<M: Model>(
    limits: &impl Strategy<Value = Limits>,
    op: &impl Strategy<Value = M::Op>,
    bytes: &[u8],
) {
    const EACH: usize = 3;
    fn chosen<T: std::fmt::Debug>(by: &[u8], strategy: &impl Strategy<Value = T>) -> T {
        let mut seed = [0; 32];
        seed[..by.len()].copy_from_slice(by);
        let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        strategy.new_tree(&mut TestRunner::new_with_rng(ProptestConfig::default(), chance)).unwrap().current()
    }
    let (first, rest) = bytes.split_at(bytes.len().min(EACH));
    let ops: Vec<M::Op> = rest.chunks_exact(EACH).take(200).map(|by| chosen(by, op)).collect();
    check::<M>(&ops, &chosen(first, limits));
}

/// Runs a case that these bytes choose: the first the model, the others everything else. For a fuzzer, which can take
/// operations out, put others in and exchange them.
pub(crate) fn run_bytes(bytes: &[u8]) {
    const MODELS: [fn(&[u8]); 6] = [
        string::of_bytes,
        hash::of_bytes,
        stream::of_bytes,
        collections::list_of_bytes,
        collections::set_of_bytes,
        collections::zset_of_bytes,
    ];
    if let Some((which, bytes)) = bytes.split_first() {
        MODELS[usize::from(*which) % MODELS.len()](bytes);
    }
}

#[test]
fn bytes_choose_cases() {
    let mut random = testkit::Random::new(1);
    for which in 0..60 {
        let bytes = random.bytes(10 * usize::from(which));
        run_bytes(&[&[which], &bytes[..]].concat());
    }
}

fn bulk(text: impl AsRef<[u8]>) -> Recorded {
    Recorded::Bulk(text.as_ref().to_vec())
}

fn bulks<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Recorded {
    Recorded::Aggregate(Aggregate::Array, texts.into_iter().map(bulk).collect())
}

fn bulk_or_null(text: Option<impl AsRef<[u8]>>) -> Recorded {
    text.map_or(Recorded::Null(Null::Bulk), bulk)
}

fn int(n: usize) -> Recorded {
    Recorded::Integer(i64::try_from(n).unwrap())
}

/// A text that packed forms keep as an integer, or as it is, short or long.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (-20..20_i64).prop_map(|n| n.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        4 => "[a-c]{0,3}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..100),
        1 => Just(b"007".to_vec()),
    ]
}

/// How many cases each model runs, from a seed that stays; variables change both.
fn cases() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let rng_seed = match number("SEED") {
        Some(seed) => RngSeed::Fixed(seed.into()),
        None if std::env::var("SEED").is_ok_and(|seed| seed == "random") => RngSeed::Random,
        None => RngSeed::Fixed(1),
    };
    let cases = number("PROPTEST_CASES").unwrap_or(60);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}
