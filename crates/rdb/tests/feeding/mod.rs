//! The four ways to feed a decoder, and a visitor that writes down what it is told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use rdb::{Decoder, EntryMeta, Error, Part, Progress, Reject, Version, Visitor, Want};

/// Every call as text. Pieces of a string or of a module's value are put together: where they are cut depends on the
/// feeding, and nothing else may.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) want: Want,
    pub(crate) calls: Vec<String>,
    pub(crate) ended: bool,
    pieces: Vec<u8>,
}

impl Recorder {
    pub(crate) fn new(want: Want) -> Self {
        Self { want, calls: Vec::new(), ended: false, pieces: Vec::new() }
    }
}

impl Visitor for Recorder {
    fn header(&mut self, version: Version) {
        self.calls.push(version.to_string());
    }
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.calls.push(format!("aux {} {}", name.escape_ascii(), value.escape_ascii()));
    }
    fn select_db(&mut self, db: u64) {
        self.calls.push(format!("db {db}"));
    }
    fn resize_db(&mut self, keys: u64, expires: u64) {
        self.calls.push(format!("resize {keys} {expires}"));
    }
    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.calls.push(format!("function {}", code.escape_ascii()));
        Ok(())
    }
    fn module_aux(&mut self, bytes: &[u8]) {
        self.calls.push(format!("module aux {}", bytes.escape_ascii()));
    }
    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.calls.push(format!("{} {meta:?}", key.escape_ascii()));
        Ok(self.want)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::String { offset, bytes, total } => {
                assert_eq!(offset, self.pieces.len() as u64, "pieces follow each other");
                assert!(!bytes.is_empty() || total == 0);
                self.pieces.extend_from_slice(bytes);
                if self.pieces.len() as u64 == total {
                    self.calls.push(format!("{}", std::mem::take(&mut self.pieces).escape_ascii()));
                }
            }
            Part::Module { bytes, last } => {
                self.pieces.extend_from_slice(bytes);
                if last {
                    self.calls.push(format!("{}", std::mem::take(&mut self.pieces).escape_ascii()));
                }
            }
            part => self.calls.push(format!("{part:?}")),
        }
        Ok(())
    }
    fn entry_end(&mut self) -> Result<(), Reject> {
        assert!(self.pieces.is_empty(), "the value is complete");
        self.calls.push("end of entry".to_owned());
        Ok(())
    }
    fn end(&mut self) -> Result<(), Reject> {
        self.ended = true;
        Ok(())
    }
}

/// A small generator: the same chunks at every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Feeds chunks until the dump is complete; answers how many bytes belonged to it.
pub(crate) fn feed<'a, V: Visitor>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    visitor: &mut V,
) -> Result<Option<usize>, Error> {
    let mut decoder = Decoder::default();
    let mut before = 0;
    for chunk in chunks {
        match decoder.feed(chunk, visitor)? {
            Progress::NeedMore => before += chunk.len(),
            Progress::Done { consumed } => return Ok(Some(before + consumed)),
        }
        assert_eq!(decoder.offset(), before as u64);
    }
    Ok(None)
}

/// Feeds a dump whole, byte by byte, in two pieces split at every place (at a sample of places if it is long), and in
/// random chunks: every time the calls must be the same. Returns them.
pub(crate) fn every_way(dump: &[u8], want: Want) -> Vec<String> {
    let record = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut recorder = Recorder::new(want);
        // The bytes behind the dump are somebody else's.
        let done = feed(chunks, &mut recorder).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(done, Some(dump.len()));
        assert!(recorder.ended);
        recorder.calls
    };
    let mut with_tail = dump.to_vec();
    with_tail.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    let whole = record(&mut std::iter::once(&with_tail[..]));
    assert!(whole == record(&mut dump.chunks(1)), "byte by byte");
    let step = if dump.len() > 20_000 {
        dump.len() / 97
    } else if dump.len() > 3000 {
        7
    } else {
        1
    };
    for split in (0..dump.len()).step_by(step) {
        let (a, b) = with_tail.split_at(split);
        assert!(whole == record(&mut [a, b].into_iter()), "split at {split}");
    }
    for seed in 1..=10 {
        let mut random = Random(seed);
        let mut rest = dump;
        let mut chunks = std::iter::from_fn(|| {
            let n = random.below(rest.len().min(1 << (4 + seed))) + 1;
            let (chunk, tail) = rest.split_at_checked(n)?;
            rest = tail;
            Some(chunk)
        });
        assert!(whole == record(&mut chunks), "random chunks {seed}");
    }
    whole
}

/// All specimens: name and bytes.
pub(crate) fn specimens() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(corpus()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rdb") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            all.push((name, std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    assert!(all.len() > 70, "the corpus is there");
    all
}

pub(crate) fn corpus() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}
