//! RDB alone: a dump written and read again, without a server or any other crate. Give it a file to read that instead.
//!
//! `cargo run --example rdb_only [-- dump.rdb]`

use std::fs::File;
use std::io::Read;

use rdb::{
    Decoder, EncodeOptions, Encoder, EntryMeta, KeyMeta, Part, Progress, Reject, Version, Visitor, Want,
};

/// What a dump says, in lines and in figures.
#[derive(Default)]
struct Report {
    keys: u64,
    expiring: u64,
    elements: u64,
    largest: u64,
}

impl Visitor for Report {
    fn select_db(&mut self, db: u64) {
        println!("database {db}");
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.keys += 1;
        self.expiring += u64::from(meta.expire_ms.is_some());
        if self.keys <= 20 {
            println!("  {:?} {}", meta.kind, key.escape_ascii());
        }
        // `Want::Skip` would jump over the value, `Want::Packed` give packed ones in one piece.
        Ok(Want::Elements)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::String { offset: 0, total, .. } => self.largest = self.largest.max(total),
            Part::Element(_) | Part::Field { .. } | Part::Member { .. } => self.elements += 1,
            _ => {}
        }
        Ok(())
    }
}

fn made_here() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut dump = Encoder::new(Version::REDIS_11, EncodeOptions::default())?;
    dump.entry(b"page", KeyMeta::default()).string(&[b'x'; 5000]);
    dump.entry(b"session", KeyMeta { expire_ms: Some(4_102_444_800_000), ..KeyMeta::default() }).string(b"1");
    Ok(dump.finish())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut bytes: Box<dyn Read> = match std::env::args().nth(1) {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(std::io::Cursor::new(made_here()?)),
    };
    // In pieces and in constant memory, however large the file.
    let (mut decoder, mut report, mut piece) = (Decoder::default(), Report::default(), vec![0; 64 * 1024]);
    loop {
        let read = bytes.read(&mut piece)?;
        if read == 0 {
            return Err("the dump breaks off".into());
        }
        if let Progress::Done { .. } = decoder.feed(&piece[..read], &mut report)? {
            break;
        }
    }
    println!(
        "{} keys, {} of them expire; {} elements; the longest string has {} bytes",
        report.keys, report.expiring, report.elements, report.largest
    );
    Ok(())
}
