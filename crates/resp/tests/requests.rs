//! The request decoder against the grammar, however the bytes are cut.

mod oracle;

use oracle::feed::Way;
use oracle::{Outcome, feed, request};
use proptest::prelude::*;
use resp::{Dialect, Limits, Mode, ProtocolError};

/// Small limits, so that short inputs reach them.
fn tight() -> Limits {
    Limits { bulk_len: 20, elements: 12, line_len: 32, frame_len: 60, depth: 1 }
}

/// A byte soup in which protocol errors, and requests between them, are likely.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 0..13)).prop_map(|args| {
            let mut out = Vec::new();
            resp::encode_command(&mut out, &args);
            out
        }),
        2 => prop::sample::select(vec![
            &b"\n"[..], b"\r\n", b"*0\r\n", b"*-1\r\n", b"*1\r\n", b"$", b"*", b"\r", b"$3\r\nGET\r\n", b"PING\r\n",
            b"SET \"a\\x41\\n\" 'b\\'c'\n", b"a\"b\" c\n", b"\"\n", b"'", b"\"", b"\\", b" ", b"\x0b", b"*2", b"$1000\r\n",
            b"*13\r\n", b"$020\r\n", b"1", b"0", b"-", b"\0", b"$9999999999999999999\r\n", b"*99999999999\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn without_nothings(mut outcome: Outcome<(usize, request::Args)>) -> Outcome<(usize, request::Args)> {
    outcome.items.retain(|(_, args)| !args.is_empty());
    outcome
}

fn every_way(input: &[u8], limits: Limits, mode: Mode, authenticated: bool, sizes: &[usize]) {
    let mut expected = request::requests(input, limits, mode, authenticated);
    if mode == Mode::Client {
        expected = without_nothings(expected);
    }
    let check = |chunks: Vec<&[u8]>, way| {
        let outcome = feed::requests(chunks.iter().copied(), limits, mode, authenticated, way);
        assert_eq!(outcome, expected, "{} as {chunks:?}, {way:?}", input.escape_ascii());
    };
    for way in [Way::Owned, Way::Borrowed, Way::Runs(2), Way::Runs(32)] {
        check(vec![input], way);
        check(input.chunks(1).collect(), way);
        check(feed::cut(input, sizes), way);
        for at in 0..=input.len() {
            check(vec![&input[..at], &input[at..]], way);
        }
    }
}

proptest! {
    #[test]
    fn any_cut_of_any_input_gives_what_the_grammar_says(
        input in soup(),
        sizes in prop::collection::vec(1usize..30, 1..5),
        stream: bool,
        authenticated: bool,
        small: bool,
    ) {
        let mode = if stream { Mode::Stream } else { Mode::Client };
        every_way(&input, if small { tight() } else { Limits::requests() }, mode, authenticated, &sizes);
    }
}

#[test]
fn texts_and_limits_are_those_of_redis_7_0_15() {
    let repeated = |prefix: &[u8], byte, count| [prefix, &vec![byte; count]].concat();
    let cases: Vec<(Vec<u8>, Option<&str>)> = vec![
        (b"*2147483647\r\n".to_vec(), None),
        (b"*2147483648\r\n".to_vec(), Some("invalid multibulk length")),
        (b"*-0\r\n".to_vec(), Some("invalid multibulk length")),
        (b"*01\r\n".to_vec(), Some("invalid multibulk length")),
        (b"*\r\n".to_vec(), Some("invalid multibulk length")),
        (b"* 1\r\n".to_vec(), Some("invalid multibulk length")),
        (b"*+1\r\n".to_vec(), Some("invalid multibulk length")),
        (b"*-9223372036854775808\r\n".to_vec(), None),
        (b"*-9223372036854775809\r\n".to_vec(), Some("invalid multibulk length")),
        (b"*1\r\nx\r\n".to_vec(), Some("expected '$', got 'x'")),
        (b"*1\r\nx".to_vec(), None),
        (b"*1\r\n\r\n".to_vec(), Some("expected '$', got ' '")),
        (b"*1\r\n$-1\r\n".to_vec(), Some("invalid bulk length")),
        (b"*1\r\n$536870912\r\n".to_vec(), None),
        (b"*1\r\n$536870913\r\n".to_vec(), Some("invalid bulk length")),
        (b"*1\r\n$04\r\nPING\r\n".to_vec(), Some("invalid bulk length")),
        (repeated(b"*", b'1', 65535), None),
        (repeated(b"*", b'1', 65536), Some("too big mbulk count string")),
        (repeated(b"*1\r\n$", b'1', 65535), None),
        (repeated(b"*1\r\n$", b'1', 65536), Some("too big bulk count string")),
        (repeated(b"", b'a', 65536), None),
        (repeated(b"", b'a', 65537), Some("too big inline request")),
        (b"PING \"a\r\n".to_vec(), Some("unbalanced quotes in request")),
        (b"PING 'a'b\r\n".to_vec(), Some("unbalanced quotes in request")),
    ];
    for (input, expected) in cases {
        for size in [1, 7, input.len()] {
            let chunks = input.chunks(size);
            let outcome = feed::requests(chunks, Limits::requests(), Mode::Client, true, Way::Owned);
            let text = outcome.end.err().map(|error| error.to_string());
            assert_eq!(
                text,
                expected.map(|text| format!("Protocol error: {text}")),
                "{}",
                input[..input.len().min(40)].escape_ascii()
            );
        }
    }
}

#[test]
fn before_auth_the_limits_are_small() {
    let end = |input: &[u8]| feed::requests([input], Limits::requests(), Mode::Client, false, Way::Owned).end;
    assert_eq!(end(b"*10\r\n"), Ok(()));
    assert_eq!(end(b"*11\r\n"), Err(ProtocolError::UnauthenticatedMultibulkLength));
    assert_eq!(end(b"*1\r\n$16384\r\n"), Ok(()));
    assert_eq!(end(b"*1\r\n$16385\r\n"), Err(ProtocolError::UnauthenticatedBulkLength));
    assert_eq!(end(b"*2147483648\r\n"), Err(ProtocolError::InvalidMultibulkLength));
    assert_eq!(end(b"*1\r\n$536870913\r\n"), Err(ProtocolError::InvalidBulkLength));
}

#[test]
fn terminators_are_skipped_unseen_as_servers_do() {
    let outcome = feed::requests(
        [&b"*1\rx$4\rxPINGxxPING\r\n"[..]],
        Limits::requests(),
        Mode::Client,
        true,
        Way::Owned,
    );
    assert_eq!(outcome.items, [(14, vec![b"PING".to_vec()]), (6, vec![b"PING".to_vec()])]);
}

#[test]
fn a_line_with_a_nul_never_ends() {
    for input in
        [&b"\0PING\r\n"[..], b"PING\0\r\nPING\r\n", b"*1\0\r\n$4\r\nPING\r\n", b"*1\r\n$4\0\r\nPING\r\n"]
    {
        let outcome = feed::requests(input.chunks(3), Limits::requests(), Mode::Client, true, Way::Owned);
        assert_eq!((outcome.items, outcome.end), (Vec::new(), Ok(())), "{}", input.escape_ascii());
    }
    let long = [&b"\0\n"[..], &vec![b'a'; 65536]].concat();
    let outcome = feed::requests([&long[..]], Limits::requests(), Mode::Client, true, Way::Owned);
    assert_eq!(outcome.end, Err(ProtocolError::InlineTooLong));
    let outcome =
        feed::requests([&b"*1\r\n$2\r\n\0\0\r\n"[..]], Limits::requests(), Mode::Client, true, Way::Owned);
    assert_eq!(outcome.items, [(12, vec![b"\0\0".to_vec()])]);
}

#[test]
fn valkey_minds_line_ends() {
    let end = |input: &[u8], dialect, size: usize| {
        let mut decoder = resp::RequestDecoder::new(Limits::requests());
        decoder.set_dialect(dialect);
        for chunk in input.chunks(size) {
            decoder.feed(chunk);
            while decoder.next()?.is_some() {}
        }
        Ok(())
    };
    for size in [1, 4, 100] {
        for input in [
            &b"*1\rx$4\r\nPING\r\n"[..],
            b"*1\r\n$4\rxPING\r\n",
            b"*1\r\n$4\r\nPINGxx",
            b"*1\r\n$4\r\nPING\rx",
            b"*2\r\n$4\r\nPING\r\r\n",
            b"*1\r\n$0\r\nPING\r\n",
            b"*1000\r\r\n",
        ] {
            for dialect in [Dialect::Valkey8, Dialect::Valkey9] {
                assert_eq!(
                    end(input, dialect, size),
                    Err(ProtocolError::InvalidLineEnd),
                    "{}",
                    input.escape_ascii()
                );
            }
        }
        assert_eq!(end(b"*1\r\n$4\r\nPING\r\nPING\n*1\r\n$4\r\nPING\r", Dialect::Valkey9, size), Ok(()));
        assert_eq!(end(b"*1\rx$4\rxPINGxx", Dialect::Redis, size), Ok(()));
    }
}

#[test]
fn a_stream_accounts_for_every_byte() {
    let input = b"\n*1\r\n$4\r\nping\r\n\r\n*0\r\n*-1\r\n*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";
    let outcome = feed::requests(input.chunks(1), Limits::stream(), Mode::Stream, true, Way::Borrowed);
    let lens: Vec<_> = outcome.items.iter().map(|(len, args)| (*len, args.len())).collect();
    assert_eq!(lens, [(1, 0), (14, 1), (2, 0), (4, 0), (5, 0), (37, 3)]);
    let outcome = feed::requests([&b"PING\r\n"[..]], Limits::stream(), Mode::Stream, true, Way::Borrowed);
    assert_eq!(outcome.end, Err(ProtocolError::InlineFromPrimary));
}

#[test]
fn claims_allocate_nothing() {
    let mut parser = resp::RequestParser::new(Limits::requests(), Mode::Client);
    assert_eq!(parser.parse(b"*2147483647\r\n$536870912\r\n"), Ok(None));
    assert_eq!(parser.spans().len(), 0);
    let mut decoder = resp::RequestDecoder::new(Limits::requests());
    decoder.feed(b"*2147483647\r\n$536870912\r\n");
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.buffer_mut().capacity() < 4096);
}

#[test]
fn requests_outlive_and_share_the_buffer() {
    let mut decoder = resp::RequestDecoder::new(Limits::requests());
    let args: Vec<Vec<u8>> = (0..20).map(|n| vec![b'a' + n; 10]).collect();
    let mut wire = Vec::new();
    resp::encode_command(&mut wire, &args);
    decoder.feed(&wire);
    let request = decoder.next().unwrap().unwrap();
    let copy = request.clone();
    drop(decoder);
    assert_eq!(copy.raw_bytes().as_ptr(), request.raw_bytes().as_ptr());
    assert_eq!(copy.iter().collect::<Vec<_>>(), args);
    assert_eq!(copy.raw(), wire);
}

#[test]
fn left_over_bytes_go_to_the_next_reader() {
    let mut decoder = resp::RequestDecoder::stream(Limits::stream());
    decoder.feed(b"*1\r\n$4\r\nPING\r\n*1\r\n$4");
    assert_eq!(decoder.next_ref().unwrap().map(|request| request.wire_len()), Some(14));
    assert_eq!(&decoder.into_buffer()[..], b"*1\r\n$4");
}
