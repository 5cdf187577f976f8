//! Broken dumps: cut off, flipped, lying about lengths. Never a panic, never a false end, never much memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod feeding;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use feeding::{Random, Recorder, feed, specimens};
use rdb::{Decoder, EntryMeta, ErrorKind, Part, Progress, Reject, Visitor, Want};

#[test]
fn a_dump_that_breaks_off_is_neither_done_nor_wrong() {
    for (name, dump) in specimens() {
        let step = if dump.len() > 3000 { dump.len() / 251 } else { 1 };
        for end in (0..dump.len()).step_by(step) {
            for want in [Want::Skip, Want::Elements] {
                let mut recorder = Recorder::new(want);
                let result = feed([&dump[..end]], &mut recorder);
                assert_eq!(result, Ok(None), "{name} cut at {end}");
                assert!(!recorder.ended);
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum_at_the_latest() {
    for (name, dump) in specimens() {
        // Handmade specimens carry no checksum.
        if dump.ends_with(&[0; 8]) || name.ends_with("_v1") || name.ends_with("_v2") {
            continue;
        }
        let step = if dump.len() > 600 { dump.len() / 307 } else { 1 };
        for at in (0..dump.len()).step_by(step) {
            let mut broken = dump.clone();
            broken[at] ^= 1 << (at % 8);
            let mut recorder = Recorder::new(Want::Elements);
            // A flip may turn a length into a claim of more, or the rest into somebody else's bytes.
            let result = feed([&broken[..]], &mut recorder);
            assert!(!matches!(result, Ok(Some(n)) if n == dump.len()), "{name} flipped at {at}");
            assert!(!recorder.ended || matches!(result, Ok(Some(_))));
        }
    }
}

#[test]
fn random_damage_never_panics_in_any_chunks() {
    let mut random = Random(7);
    for (_, dump) in specimens() {
        for _ in 0..60 {
            let mut broken = dump.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(broken.len());
                broken[at] = [0, 0x3F, 0x80, 0x81, 0xC3, 0xFF, 0x7F][random.below(7)];
            }
            let size = 1 + random.below(400);
            let whole = feed([&broken[..]], &mut Recorder::new(Want::Elements));
            let pieces = feed(broken.chunks(size), &mut Recorder::new(Want::Elements));
            match (whole, pieces) {
                (Ok(a), Ok(b)) => assert_eq!(a, b),
                (Err(a), Err(b)) => assert_eq!(a.key, b.key),
                (a, b) => panic!("whole {a:?}, in pieces {b:?}"),
            }
        }
    }
}

#[test]
fn memory_is_bounded_by_the_bytes_received() {
    let huge = b"\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    for (what, value) in [
        ("string", [&b"\0\x01k"[..], huge].concat()),
        ("key", [&b"\0"[..], huge].concat()),
        ("list", [&b"\x01\x01k"[..], huge, b"\x01a"].concat()),
        ("hash value", [&b"\x04\x01k\x01\x01f"[..], huge].concat()),
        ("LZF value", b"\0\x01k\xC3\x80\x10\0\0\0\x80\xFF\0\0\0\x01aa".to_vec()),
        ("LZF element", b"\x01\x01k\x01\xC3\x80\x10\0\0\0\x80\xFF\0\0\0\x01aa".to_vec()),
        ("listpack", [&b"\x10\x01k"[..], huge].concat()),
        ("quicklist", [&b"\x12\x01k"[..], huge, b"\x02", huge].concat()),
        ("stream", [&b"\x15\x01k"[..], huge].concat()),
        ("pending", [&b"\x15\x01k\0\0\0\0\0\0\0\0\0\0\x01\x01g\0\0\0"[..], huge].concat()),
        ("aux", [&b"\xFA"[..], huge].concat()),
        ("module", [&b"\x07\x01k\x05\x05"[..], huge].concat()),
        ("template", [&b"\xF2\x01"[..], huge, b"\x01a"].concat()),
        ("resize", [&b"\xFB"[..], huge, huge].concat()),
    ] {
        for want in [Want::Skip, Want::Packed, Want::Elements] {
            let dump = [&b"REDIS0012"[..], &value, &[b'x'; 1000]].concat();
            let (result, peak) = peak_of(|| feed(dump.chunks(100), &mut Discard(want)));
            assert!(peak < 80_000, "{what}: {peak} bytes for {} received, {result:?}", dump.len());
        }
    }
    for (name, dump) in specimens() {
        let (result, peak) = peak_of(|| feed(dump.chunks(4096), &mut Discard(Want::Elements)));
        result.unwrap();
        // A unit may come compressed; fields of a stream are lent as slices.
        assert!(peak < 100_000 + 4 * dump.len(), "{name}: {peak} bytes for {}", dump.len());
    }
}

#[test]
fn a_string_of_any_size_takes_constant_memory() {
    let size = 64 << 20;
    let mut decoder = Decoder::default();
    let head = [&b"REDIS0003\0\x01k\x80"[..], &u32::try_from(size).unwrap().to_be_bytes()].concat();
    let chunk = vec![b'x'; 1 << 16];
    let (total, peak) = peak_of(|| {
        let mut total = Total(0);
        decoder.feed(&head, &mut total).unwrap();
        for _ in 0..size / chunk.len() {
            assert_eq!(decoder.feed(&chunk, &mut total).unwrap(), Progress::NeedMore);
        }
        assert_eq!(decoder.feed(b"\xFF", &mut total).unwrap(), Progress::Done { consumed: 1 });
        total.0
    });
    assert_eq!(total, size as u64);
    assert!(peak < 10_000, "{peak}");
}

#[test]
fn errors_name_the_place_and_the_key() {
    for (dump, offset, key, kind) in [
        (&b"RUDIS0003"[..], 0, None, ErrorKind::Magic),
        (b"REDIS0003\x08\x01k", 9, None, ErrorKind::UnknownType { byte: 8 }),
        (b"REDIS0003\0\x01a\x01b\xC8", 14, None, ErrorKind::UnknownType { byte: 0xC8 }),
        (b"REDIS0003\x01\x01l\x02\x01a\xC4", 15, Some("l"), ErrorKind::StringEncoding { byte: 0xC4 }),
        (b"REDIS0003\x01\x01l\xC0", 12, Some("l"), ErrorKind::Length { byte: 0xC0 }),
        (b"REDIS0003\x05\x01z\x01\x01m\0\0\0\0\0\0\xF8\x7F", 13, Some("z"), ErrorKind::Score),
    ] {
        for size in [1, usize::MAX] {
            let error = feed(dump.chunks(size), &mut Discard(Want::Elements)).unwrap_err();
            assert_eq!(error.kind, kind);
            assert_eq!(error.key.as_deref(), key.map(str::as_bytes), "{error}");
            assert!(error.offset >= offset && error.offset <= dump.len() as u64, "{error}");
            assert!(error.to_string().contains(&format!("offset {}", error.offset)));
        }
    }
}

#[test]
fn a_decoder_that_failed_stays_failed() {
    let mut decoder = Decoder::default();
    decoder.feed(b"REDIS0003\x08", &mut Discard(Want::Skip)).unwrap_err();
    let again = decoder.feed(b"\xFF", &mut Discard(Want::Skip)).unwrap_err();
    assert_eq!(again.kind, ErrorKind::Failed);
}

#[test]
fn a_wrong_checksum_is_an_error_and_zero_is_not() {
    let good = b"REDIS0009\xFF";
    let mut bad = good.to_vec();
    bad.extend_from_slice(&1_u64.to_le_bytes());
    let error = feed([&bad[..]], &mut Discard(Want::Skip)).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Checksum { stored: 1, .. }), "{error}");
    let mut zero = good.to_vec();
    zero.extend_from_slice(&[0; 8]);
    assert_eq!(feed([&zero[..]], &mut Discard(Want::Skip)), Ok(Some(18)));
}

#[test]
fn a_refusal_ends_the_decoding_with_its_reason() {
    struct Refuse;
    impl Visitor for Refuse {
        fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
            Ok(Want::Elements)
        }
        fn part(&mut self, _: Part<'_>) -> Result<(), Reject> {
            Err(Reject("not this one"))
        }
    }
    let error = feed([&b"REDIS0003\0\x01k\x01v"[..]], &mut Refuse).unwrap_err();
    assert_eq!((error.key.as_deref(), error.kind), (Some(&b"k"[..]), ErrorKind::Rejected("not this one")));
}

/// Takes all and keeps nothing.
struct Discard(Want);

impl Visitor for Discard {
    fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        Ok(self.0)
    }
}

struct Total(u64);

impl Visitor for Total {
    fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        Ok(Want::Elements)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        if let Part::String { bytes, .. } = part {
            self.0 += bytes.len() as u64;
        }
        Ok(())
    }
}

/// The most memory that this thread held while the body ran, beyond what it held before.
fn peak_of<T>(body: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let result = body();
    let peak = PEAK.with(Cell::get);
    (result, usize::try_from(peak - before).unwrap())
}

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held(change: i64) {
    // At the end of a thread its locals may be gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

#[expect(unsafe_code, reason = "an allocator that counts is an unsafe trait; it only passes on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        held(-(layout.size() as i64));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
