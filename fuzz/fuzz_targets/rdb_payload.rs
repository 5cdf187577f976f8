//! DUMP payloads: the footer is made good, so that the value is what is tried.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rdb::payload::{self, PayloadError, Policy};
use rdb::{EntryMeta, Part, Reject, Visitor, Want};

struct Count {
    want: Want,
    entries: usize,
    ends: usize,
    string: u64,
}

impl Visitor for Count {
    fn entry(&mut self, key: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        assert!(key.is_empty());
        self.entries += 1;
        Ok(self.want)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        if let Part::String { offset, bytes, total } = part {
            assert_eq!(offset, self.string);
            self.string += bytes.len() as u64;
            assert!(self.string <= total);
        }
        Ok(())
    }
    fn entry_end(&mut self) -> Result<(), Reject> {
        self.ends += 1;
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&seed, value)) = input.split_first() else { return };
    let version = [9_u16, 10, 11, 12, 13, 15, 80, 81][usize::from(seed & 7)];
    let mut sealed = value.to_vec();
    sealed.extend_from_slice(&version.to_le_bytes());
    sealed.extend_from_slice(&rdb::crc64::checksum(&sealed).to_le_bytes());
    for want in [Want::Skip, Want::Packed, Want::Elements] {
        let mut count = Count { want, entries: 0, ends: 0, string: 0 };
        match payload::decode(&sealed, Policy::default(), &mut count) {
            Ok(()) => {
                assert_eq!(count.entries, 1);
                assert_eq!(count.ends, usize::from(want != Want::Skip));
            }
            Err(PayloadError::Value(_)) => assert!(count.entries <= 1),
            Err(PayloadError::Footer) => panic!("the footer is good"),
        }
        let _ = payload::decode_functions(&sealed, Policy::default(), &mut count);
    }
});
