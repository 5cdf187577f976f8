//! Records that no specimen has: cluster, module and metadata records, pre-release hashes, and what is known at second
//! hand. Each is put down byte by byte after the format reference.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod feeding;

use feeding::{Recorder, every_way, feed};
use rdb::{Decoder, EntryMeta, ErrorKind, Filter, Flavour, Kind, Reject, Visitor, Want, stat::Stat};

fn redis(records: &[u8]) -> Vec<u8> {
    [b"REDIS0015", records, b"\xFF\0\0\0\0\0\0\0\0"].concat()
}

fn valkey(records: &[u8]) -> Vec<u8> {
    [b"VALKEY080", records, b"\xFF\0\0\0\0\0\0\0\0"].concat()
}

/// The parts of the values, fed in every way, as elements; and that skipping passes over them.
fn parts(dump: &[u8]) -> Vec<String> {
    every_way(dump, Want::Skip);
    every_way(dump, Want::Packed);
    let calls = every_way(dump, Want::Elements);
    calls.into_iter().skip(1).filter(|call| !call.starts_with("Count") && call != "end of entry").collect()
}

fn kind_of(dump: &[u8]) -> ErrorKind {
    let mut kinds = [1, 3, usize::MAX]
        .map(|size| feed(dump.chunks(size), &mut Recorder::new(Want::Elements)).unwrap_err().kind);
    assert_eq!(kinds[0], kinds[2]);
    assert_eq!(kinds[1], kinds[2]);
    std::mem::replace(&mut kinds[0], ErrorKind::Failed)
}

const STRING: &[u8] = b"\0\x01k\x01v";

/// A value's parts behind the call that announces the key.
fn value(dump: &[u8]) -> Vec<String> {
    let mut calls = parts(dump);
    calls.remove(0);
    calls
}

fn field(name: &str, value: &str, expire_ms: Option<i64>) -> String {
    let bytes = |text: &str| format!("{:?}", text.as_bytes());
    format!("Field {{ field: {}, value: {}, expire_ms: {expire_ms:?} }}", bytes(name), bytes(value))
}

#[test]
fn slot_marks_are_passed_over() {
    let calls = parts(&redis(&[b"\xF4\x4C\xE4\x01\0", STRING].concat()));
    assert_eq!(calls.len(), 2, "{calls:?}");
}

#[test]
fn opcode_243_means_metadata_to_redis_and_slots_to_valkey() {
    // Two classes: a number and a string of 300 bytes; the key follows.
    let text = [&b"\x05\x41\x2C"[..], &[b'x'; 300]].concat();
    let meta = [&b"\xF3\x02\x01\x02\x03\x04\x02\x05\0\x01\x02\x03\x05"[..], &text, b"\0"].concat();
    assert_eq!(parts(&redis(&[&meta, STRING].concat())).len(), 2);
    let slots = [&b"\xF3\x28"[..], &[b'j'; 40], b"\x02\x01\x05\x41\0\x7F\xFF"].concat();
    assert_eq!(parts(&valkey(&[&slots, STRING].concat())).len(), 2);
    let bad = [&b"\xF3\x28"[..], &[b'j'; 40], b"\x01\x05\x01"].concat();
    assert_eq!(kind_of(&valkey(&bad)), ErrorKind::Corrupt("not a range of slots"));
}

#[test]
fn module_records_are_handed_over_raw() {
    // Every opcode once, a long string twice.
    let long = [&b"\x05\x80\0\x01\0\0"[..], &[b'm'; 65536]].concat();
    let raw = [
        &b"\x81\xBD\xE7\x2D\xA2\xBB\x1E\xB4\0\x01\x05\x02\x41\0\x03abcd\x04abcdefgh\x05\xC0\x07\x05\0"[..],
        &long,
        &long,
        b"\0",
    ]
    .concat();
    let calls = value(&redis(&[&b"\x07\x01k"[..], &raw, STRING].concat()));
    assert_eq!(calls[0], raw.escape_ascii().to_string());
    assert_eq!(calls.len(), 3);
    let aux = b"\x81\xBD\xE7\x2D\xA2\xBB\x1E\xB4\0\x02\x02\x05\x03abc\0";
    let calls = parts(&redis(&[&b"\xF7"[..], aux, STRING].concat()));
    assert_eq!(calls[0], format!("module aux {}", aux.escape_ascii()));
    assert_eq!(kind_of(&redis(b"\x07\x01k\x01\x06")), ErrorKind::ModuleOpcode(6));
}

#[test]
fn types_22_and_23_depend_on_the_family() {
    let pre_release = b"\x16\x01h\x02\x0A\x01f\x01v\0\x01g\x01w";
    assert_eq!(value(&redis(pre_release)), [field("f", "v", Some(10)), field("g", "w", None)]);
    let released = b"\x16\x01h\x02\x01f\x01v\x0A\0\0\0\0\0\0\0\x01g\x01w\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    assert_eq!(value(&valkey(released)), [field("f", "v", Some(10)), field("g", "w", None)]);
    let packed = b"\x17\x01h\x0F\x0F\0\0\0\x03\0\x81f\x02\x81v\x02\x0A\x01\xFF";
    assert_eq!(value(&redis(packed)), [field("f", "v", Some(10))]);
    let unknown = ErrorKind::Unsupported { byte: 0x17, flavour: Flavour::Valkey };
    assert_eq!(kind_of(&valkey(packed)), unknown);
    let unknown = ErrorKind::Unsupported { byte: 0xF2, flavour: Flavour::Valkey };
    assert_eq!(kind_of(&valkey(b"\xF2\x01")), unknown);
}

#[test]
fn relative_field_expiries_count_from_the_earliest() {
    let dump = b"\x18\x01h\0\xD8\xC3\x2C\xBB\x03\0\0\x03\x0A\x01b\xC0\x02\0\x01c\xC0\x03\x01\x01a\xC0\x01";
    let expected = [
        field("b", "2", Some(4_102_444_800_009)),
        field("c", "3", None),
        field("a", "1", Some(4_102_444_800_000)),
    ];
    assert_eq!(value(&redis(dump)), expected);
    let beyond = b"\x18\x01h\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x01\x02\x01f\x01v";
    assert_eq!(kind_of(&redis(beyond)), ErrorKind::FieldExpiry);
}

#[test]
fn idempotent_producers_follow_the_groups() {
    let head = b"\x1A\x01s\0\0\0\0\0\0\0\0\0\0";
    let plain = [&head[..], b"\x40\x64\x40\x64\0\0\0"].concat();
    let calls = value(&redis(&plain));
    assert!(
        calls[1].starts_with("StreamIdmp(StreamIdmp { duration_seconds: 100, max_entries: 100"),
        "{calls:?}"
    );
    let full = [&head[..], b"\x05\x06\x01\x01p\x02\x01a\x07\x01\x01b\x07\x02\x09\x03"].concat();
    let calls = value(&redis(&full));
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[2], "StreamIid { producer: [112], iid: [98], id: StreamId { ms: 7, seq: 2 } }");
    assert!(calls[3].contains("iids_added: 9, duplicates: 3"));
    let out_of_range = [&head[..], b"\0\x06\0\0\0"].concat();
    assert!(matches!(kind_of(&redis(&out_of_range)), ErrorKind::Corrupt(_)));
}

#[test]
fn pending_entries_must_agree_with_their_consumers() {
    let id = |n: u8| [&[0; 15][..], &[n]].concat();
    let group = |pending: &[u8], owned: &[&[u8]], released: Option<&[u8]>| {
        let mut dump = [b"REDIS0014", &b"\x15\x01s\0\0\0\0\0\0\0\0\0\x01\x01g\0\0\0"[..]].concat();
        if released.is_some() {
            dump[9] = 27;
        }
        dump.push(pending.len() as u8);
        for n in pending {
            dump.extend([&id(*n)[..], &[0; 8], &[1]].concat());
        }
        dump.push(owned.len() as u8);
        for (index, ids) in owned.iter().enumerate() {
            dump.extend([1, b'a' + index as u8]);
            dump.extend([0; 16]);
            dump.push(ids.len() as u8);
            ids.iter().for_each(|n| dump.extend(id(*n)));
        }
        if let Some(ids) = released {
            dump.push(ids.len() as u8);
            ids.iter().for_each(|n| dump.extend(id(*n)));
            dump.extend(b"\x40\x64\x40\x64\0\0\0");
        }
        dump.extend(b"\xFF\0\0\0\0\0\0\0\0");
        dump
    };
    assert_eq!(value(&group(&[1, 2, 3], &[&[1], &[3, 2]], None)).len(), 10);
    // Not in order, which no server writes but every server reads.
    assert_eq!(value(&group(&[3, 1, 2], &[&[1, 2, 3]], None)).len(), 9);
    assert_eq!(value(&group(&[1, 2], &[&[1]], Some(&[2]))).len(), 7);
    for (bad, rule) in [
        (group(&[1], &[&[2]], None), "a consumer's entry is not pending in its group"),
        (group(&[1], &[&[1], &[1]], None), "a pending entry has two consumers"),
        (group(&[1, 1], &[], None), "a group has a pending entry twice"),
        (group(&[1], &[], Some(&[2])), "a released entry is not pending in its group"),
    ] {
        assert_eq!(kind_of(&bad), ErrorKind::Corrupt(rule));
    }
}

#[test]
fn arrays_and_rate_limiters_are_read_as_far_as_known() {
    let array = b"\x1C\x01a\x04\x01\x05\0\0\x01x\x02\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x03\x02\0\0\0\0\0\0\x08\x40\x09\x03\x02yz";
    let slot = |index, text: &str| format!("Slot {{ index: {index}, value: {:?} }}", text.as_bytes());
    assert_eq!(value(&redis(array)), [slot(0, "x"), slot(2, "-1"), slot(3, "3.0"), slot(9, "yz")]);
    assert_eq!(value(&redis(b"\x21\x01g\x43\xE8")), [format!("Element({:?})", b"1000")]);
}

#[test]
fn hash_templates_give_names_to_values() {
    let define = b"\xF2\x07\x02\x01a\x02bb";
    let expected = [field("a", "1", None), field("bb", "x", None)];
    let packed = b"\x1E\x01h\x0E\x0E\0\0\0\x03\0\x07\x01\x01\x01\x81x\x02\xFF";
    assert_eq!(value(&redis(&[&define[..], packed].concat())), expected);
    let strings = b"\x20\x01h\x07\xC0\x01\x01x";
    assert_eq!(value(&redis(&[&define[..], strings].concat())), expected);
    let own = b"\x1F\x01h\x01\x02\x01a\x02bb\xC0\x01\x01x";
    assert_eq!(value(&redis(own)), expected);
    let own_packed = b"\x1D\x01h\0\x0E\x0E\0\0\0\x02\0\x81a\x02\x82bb\x03\xFF\x0E\x0E\0\0\0\x03\0\x07\x01\x01\x01\x81x\x02\xFF";
    assert_eq!(value(&redis(own_packed)), expected);
    assert_eq!(kind_of(&redis(strings)), ErrorKind::Corrupt("an unknown hash template"));
    let twice = [&define[..], define].concat();
    assert_eq!(kind_of(&redis(&twice)), ErrorKind::Corrupt("a hash template twice"));
}

#[test]
fn empty_collections_are_dropped_without_a_word() {
    let empty_listpack = b"\x07\x07\0\0\0\0\0\xFF";
    let empty_ziplist = b"\x0B\x0B\0\0\0\x0A\0\0\0\0\0\xFF";
    let mut records = Vec::new();
    for byte in [1, 2, 3, 4, 5, 14, 18, 22] {
        records.extend([byte, 1, b'e', 0]);
    }
    records.extend([24, 1, b'e', 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for byte in [16, 17, 20] {
        records.extend([&[byte, 1, b'e'][..], empty_listpack].concat());
    }
    records.extend([&[25, 1, b'e', 0, 0, 0, 0, 0, 0, 0, 0][..], empty_listpack].concat());
    for byte in [10, 12, 13] {
        records.extend([&[byte, 1, b'e'][..], empty_ziplist].concat());
    }
    records.extend([&b"\x12\x01e\x01\x02"[..], empty_listpack].concat());
    records.extend([&b"\xFC\x05\0\0\0\0\0\0\0\x0E\x01e\x02"[..], empty_ziplist, empty_ziplist].concat());
    // The expiry of a dropped key is not the next one's.
    records.extend_from_slice(STRING);
    let calls = parts(&redis(&records));
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].contains("expire_ms: None"));
    assert!(matches!(kind_of(&redis(b"\x0B\x01e\x08\x02\0\0\0\0\0\0\0")), ErrorKind::Corrupt(_)));
}

#[test]
fn what_is_skipped_is_not_decompressed() {
    // 0xFF.. is no LZF stream, and no listpack: only whoever wants the values can tell.
    let records = b"\0\x01k\xC3\x02\x14\xFF\xFF\x10\x01h\xC3\x02\x14\xFF\xFF\x05\x01z\x01\xC3\x02\x14\xFF\xFF\0\0\0\0\0\0\xF8\x7F";
    assert!(feed([&redis(records)[..]], &mut Recorder::new(Want::Skip)).unwrap().is_some());
    assert!(matches!(kind_of(&redis(records)), ErrorKind::Lzf(_)));
}

#[test]
fn unknown_bytes_and_versions_are_named() {
    assert_eq!(kind_of(&redis(b"\x22\x01k")), ErrorKind::UnknownType { byte: 34 });
    assert_eq!(kind_of(&redis(b"\xC8")), ErrorKind::UnknownType { byte: 200 });
    assert_eq!(kind_of(&redis(b"\x06\x01k")), ErrorKind::Unsupported { byte: 6, flavour: Flavour::Redis });
    assert_eq!(kind_of(&redis(b"\xF6")), ErrorKind::Unsupported { byte: 0xF6, flavour: Flavour::Redis });
    for magic in [b"REDIS0017", b"REDIS0000", b"VALKEY079", b"VALKEY082"] {
        assert!(matches!(kind_of(magic), ErrorKind::UnsupportedVersion(_)));
    }
}

#[test]
fn a_filter_drops_before_a_value_is_built() {
    #[derive(Default)]
    struct Keys(Vec<(u64, Vec<u8>)>);
    impl Visitor for Keys {
        fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
            self.0.push((meta.db, key.to_vec()));
            Ok(Want::Elements)
        }
    }
    // The list cannot be decompressed, the value in database 1 neither.
    let dump = redis(b"\xFE\0\0\x02u1\x01v\x01\x02u2\x01\xC3\x02\x14\xFF\xFF\0\x02x1\x01v\xFE\x01\0\x02u3\xC3\x02\x14\xFF\xFF");
    let mut filter = Filter::new(Keys::default()).databases([0]).kinds([Kind::String]).prefix("u");
    feed([&dump[..]], &mut filter).unwrap();
    assert_eq!(filter.into_inner().0, [(0, b"u1".to_vec())]);
    let mut odd = 0;
    let filter = Filter::new(Keys::default()).kinds([Kind::String]).databases([0]).keys(move |_, _| {
        odd += 1;
        odd % 2 == 0
    });
    let mut filter = filter;
    feed([&dump[..]], &mut filter).unwrap();
    assert_eq!(filter.into_inner().0, [(0, b"x1".to_vec())]);
}

#[test]
fn figures_add_up() {
    let dump = redis(
        b"\xFE\0\0\x01a\x03abc\xFC\x05\0\0\0\0\0\0\0\0\x01b\x01x\x01\x01l\x02\x01p\x02qq\xFE\x07\x16\x01h\x01\x05\x01f\x01v",
    );
    let mut stat = Stat::default();
    Decoder::default().feed(&dump, &mut stat).unwrap();
    assert_eq!(stat.keys(), 4);
    assert_eq!(stat.databases().collect::<Vec<_>>(), [(0, 3), (7, 1)]);
    let strings = stat.kind(Kind::String);
    assert_eq!((strings.keys, strings.value_bytes, strings.largest), (2, 4, 3));
    assert_eq!(stat.kind(Kind::List).elements, 2);
    assert_eq!((stat.expiring(), stat.expiring_fields(), stat.expiry_range()), (1, 1, Some((5, 5))));
    assert_eq!(stat.sizes().map(|(_, keys)| keys).sum::<u64>(), 4);
    let encodings: Vec<_> = stat.encodings().map(|(byte, name, _)| (byte, name)).collect();
    assert_eq!(encodings, [(0, "string"), (1, "list"), (22, "hash with field expiry (pre-release)")]);
    assert!(stat.to_string().contains("4 keys"));
}
