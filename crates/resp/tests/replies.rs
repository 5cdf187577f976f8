//! The reply decoder against the grammar, however the bytes are cut.

mod oracle;

use oracle::{feed, reply};
use proptest::prelude::*;
use resp::{Encoder, Limits, Protocol, ProtocolError, Value, ValueDecoder};

fn tight() -> Limits {
    Limits { bulk_len: 20, elements: 5, line_len: 32, frame_len: 100, depth: 3 }
}

fn line_text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_filter("no line end", |byte| !b"\r\n".contains(byte)), 0..12)
}

/// Any value that RESP3 can say and the encoder writes without loss.
fn value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let leaf = prop_oneof![
        line_text().prop_map(|text| Value::Simple(text.into())),
        line_text().prop_map(|text| Value::Error(text.into())),
        any::<i64>().prop_map(Value::Integer),
        bytes().prop_map(|text| Value::Bulk(text.into())),
        bytes().prop_map(|text| Value::BulkError(text.into())),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_map(Value::Double),
        "-?[0-9]{1,40}".prop_map(|digits| Value::BigNumber(digits.into())),
        bytes().prop_map(|text| Value::Verbatim { format: *b"txt", text: text.into() }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let values = || prop::collection::vec(inner.clone(), 0..4);
        let pairs = || prop::collection::vec((inner.clone(), inner.clone()), 0..3);
        prop_oneof![
            values().prop_map(Value::Array),
            values().prop_map(Value::Set),
            values().prop_map(Value::Push),
            pairs().prop_map(Value::Map),
            (pairs(), inner.clone()).prop_map(|(attributes, value)| {
                Value::Attributed(Box::new(resp::Attributed { attributes, value }))
            }),
        ]
    })
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut Encoder::new(&mut out, Protocol::Resp3));
    out
}

/// Fragments that are likely to meet in interesting ways.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => value().prop_map(|value| encoded(&value)),
        4 => prop::sample::select(vec![
            &b"*?\r\n"[..], b"%?\r\n", b"~?\r\n", b".\r\n", b"$?\r\n", b";4\r\nabcd\r\n", b";0\r\n", b">?\r\n", b"|?\r\n",
            b"*-1\r\n", b"$-1\r\n", b"%-1\r\n", b"_\r\n", b"*2\r\n", b"%1\r\n", b"~1\r\n", b">1\r\n", b"|1\r\n", b"|0\r\n",
            b"*0\r\n", b"%0\r\n", b",inf\r\n", b",-inf\r\n", b",nan\r\n", b",1e400\r\n", b",.5\r\n", b",+1.\r\n", b",e\r\n",
            b"#t\r\n", b"#x\r\n", b":+007\r\n", b":-9223372036854775808\r\n", b":9223372036854775808\r\n", b":\r\n",
            b"(123\r\n", b"(-\r\n", b"=3\r\ntxt\r\n", b"=4\r\ntxt:\r\n", b"=5\r\ntxt_a\r\n", b"!3\r\nERR\r\n", b"$01\r\n",
            b"$3\r\nabcde", b"$2\r\nab\r\n", b"\r\n", b"\n", b"\r", b"+a\rb\r\n", b"-ERR\r\n", b"+\r\n", b"$", b"*6\r\n",
            b"$21\r\n", b"._\r\n", b"_x\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn every_way(input: &[u8], limits: Limits, sizes: &[usize]) {
    let expected = reply::replies(input, limits);
    let check = |chunks: Vec<&[u8]>| {
        let outcome = feed::replies(chunks.iter().copied(), limits);
        assert!(
            reply::same(&outcome, &expected),
            "{} as {chunks:?}\n left {outcome:?}\nright {expected:?}",
            input.escape_ascii()
        );
    };
    check(vec![input]);
    check(input.chunks(1).collect());
    check(feed::cut(input, sizes));
    for at in 0..=input.len() {
        check(vec![&input[..at], &input[at..]]);
    }
}

proptest! {
    #[test]
    fn any_cut_of_any_input_gives_what_the_grammar_says(
        input in soup(),
        sizes in prop::collection::vec(1usize..30, 1..5),
        small: bool,
    ) {
        every_way(&input, if small { tight() } else { Limits::replies() }, &sizes);
    }

    #[test]
    fn what_is_written_in_resp3_is_read_back(value in value()) {
        let mut decoder = ValueDecoder::new(Limits::replies());
        decoder.feed(&encoded(&value));
        let read = decoder.next().unwrap().unwrap();
        prop_assert!(reply::same(&read, &value), "{read:?} {value:?}");
        prop_assert_eq!(decoder.buffered(), 0);
    }

    #[test]
    fn what_is_written_in_resp2_is_one_whole_reply(value in value()) {
        let mut out = Vec::new();
        value.encode(&mut Encoder::new(&mut out, Protocol::Resp2));
        let mut decoder = ValueDecoder::new(Limits::replies());
        decoder.feed(&out);
        prop_assert!(decoder.next().unwrap().is_some());
        prop_assert_eq!(decoder.buffered(), 0);
        prop_assert!(out.first().is_some_and(|kind| b"+-:$*".contains(kind)));
    }
}

fn read(input: &[u8]) -> Result<Option<Value>, ProtocolError> {
    let mut decoder = ValueDecoder::new(Limits::replies());
    decoder.feed(input);
    decoder.next()
}

#[test]
fn the_null_forms_stay_apart() {
    assert_eq!(read(b"$-1\r\n"), Ok(Some(Value::NullBulk)));
    assert_eq!(read(b"*-1\r\n"), Ok(Some(Value::NullArray)));
    assert_eq!(read(b"_\r\n"), Ok(Some(Value::Null)));
    assert_eq!(read(b"$0\r\n\r\n"), Ok(Some(Value::Bulk("".into()))));
    assert_eq!(read(b"*0\r\n"), Ok(Some(Value::Array(vec![]))));
}

#[test]
fn streamed_forms_arrive_counted() {
    assert_eq!(
        read(b"%?\r\n+a\r\n*?\r\n:1\r\n:2\r\n.\r\n+b\r\n$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n.\r\n"),
        Ok(Some(Value::Map(vec![
            (Value::Simple("a".into()), Value::Array(vec![Value::Integer(1), Value::Integer(2)])),
            (Value::Simple("b".into()), Value::Chunks(vec!["Hell".into(), "o".into()])),
        ])))
    );
    assert_eq!(read(b"*2\r\n.\r\n"), Err(ProtocolError::UnexpectedEnd));
    assert_eq!(read(b"%?\r\n:1\r\n.\r\n"), Err(ProtocolError::UnexpectedEnd));
    assert_eq!(read(b".\r\n"), Err(ProtocolError::UnexpectedEnd));
}

#[test]
fn an_attribute_belongs_to_the_value_behind_it() {
    let value = read(b"*2\r\n|1\r\n+ttl\r\n:9\r\n$1\r\nk\r\n:2\r\n").unwrap().unwrap();
    let Value::Array(values) = value else { panic!("{value:?}") };
    assert_eq!(values.len(), 2);
    let Value::Attributed(first) = &values[0] else { panic!("{values:?}") };
    assert_eq!(first.attributes, [(Value::Simple("ttl".into()), Value::Integer(9))]);
    assert_eq!(first.value, Value::Bulk("k".into()));
}

#[test]
fn nesting_ends_at_the_limit() {
    let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
    assert!(matches!(read(&nested(128)), Ok(Some(Value::Array(_)))));
    assert_eq!(read(&nested(129)), Err(ProtocolError::TooDeep));
    assert_eq!(read(&b"|0\r\n".repeat(1_000_000)), Err(ProtocolError::TooDeep));
}

#[test]
fn strings_are_slices_of_the_buffer() {
    let mut decoder = ValueDecoder::new(Limits::replies());
    decoder.feed(b"*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n");
    let Some(Value::Array(values)) = decoder.next().unwrap() else { panic!() };
    let at = |value: &Value| value.as_bytes().unwrap().as_ptr() as usize;
    assert_eq!(at(&values[1]) - at(&values[0]), 9);
}

#[test]
fn keepalives_are_passed_over_where_they_are_expected() {
    let mut decoder = ValueDecoder::new(Limits::replies()).with_keepalives();
    for byte in b"\n\n+FULLRESYNC a 1\r\n\n" {
        decoder.feed(&[*byte]);
        if let Some(value) = decoder.next().unwrap() {
            assert_eq!(value, Value::Simple("FULLRESYNC a 1".into()));
        }
    }
    assert_eq!(decoder.buffered(), 0);
    assert_eq!(read(b"\n+OK\r\n"), Err(ProtocolError::InvalidLine));
}

#[test]
fn claims_allocate_nothing() {
    let mut decoder = ValueDecoder::new(Limits::replies());
    decoder.feed(b"*4294967295\r\n%2147483647\r\n$4000000000\r\n");
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.buffer_mut().capacity() < 4096);
}
