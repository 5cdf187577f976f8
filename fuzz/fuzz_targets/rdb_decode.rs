//! A dump in any chunks: never a panic, and the same calls as when it is fed whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rdb::json::JsonLines;
use rdb::{
    Decoder, EncodeOptions, EntryMeta, Error, Options, Part, Progress, Reject, Transcoder, Version, Visitor,
    Want,
};

/// What is wanted differs from key to key.
struct Mixed(u8);

impl Visitor for Mixed {
    fn entry(&mut self, key: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        self.0 = self.0.wrapping_mul(31).wrapping_add(key.len() as u8);
        Ok([Want::Skip, Want::Packed, Want::Elements][usize::from(self.0 % 3)])
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        if let Part::Member { score, .. } = part {
            assert!(!score.is_nan());
        }
        Ok(())
    }
}

fn feed<'a, V: Visitor>(
    chunks: impl Iterator<Item = &'a [u8]>,
    visitor: &mut V,
) -> Result<Option<usize>, Error> {
    let mut decoder = Decoder::new(Options::default().without_checksum());
    let mut before = 0;
    for chunk in chunks {
        match decoder.feed(chunk, visitor)? {
            Progress::NeedMore => before += chunk.len(),
            Progress::Done { consumed } => return Ok(Some(before + consumed)),
        }
    }
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    let Some((&seed, dump)) = input.split_first() else { return };
    let json = |size: usize| {
        let mut json = JsonLines::new(Vec::new());
        let result = feed(dump.chunks(size.max(1)), &mut json);
        (result, json.finish().expect("a vector takes all"))
    };
    let (whole, split) = (json(usize::MAX), json(usize::from(seed) + 1));
    match (&whole.0, &split.0) {
        (Ok(a), Ok(b)) => {
            assert_eq!(a, b);
            assert_eq!(whole.1, split.1);
        }
        (Err(a), Err(b)) => assert_eq!((&a.kind, &a.key), (&b.kind, &b.key)),
        (a, b) => panic!("whole {a:?}, in pieces {b:?}"),
    }
    let skimmed = feed(dump.chunks(usize::from(seed) + 1), &mut Mixed(seed));
    if let (Ok(a), Ok(b)) = (&whole.0, &skimmed) {
        assert_eq!(a, b);
    }
    // What can be read can be written again, and then says the same.
    let version = [Version::REDIS_11, Version::REDIS_12, Version::VALKEY_80][usize::from(seed % 3)];
    let mut to = Transcoder::new(version, EncodeOptions::default()).expect("these versions are written");
    if let Ok(Some(_)) = feed([dump].into_iter(), &mut to) {
        let again = to.finish();
        let mut json = JsonLines::new(Vec::new());
        let result = Decoder::default().feed(&again, &mut json);
        assert!(matches!(result, Ok(Progress::Done { consumed }) if consumed == again.len()), "{result:?}");
    }
});
