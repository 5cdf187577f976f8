//! Replies: any bytes, in any cut, give what the grammar gives; and what is read can be written and read again.
#![no_main]

#[path = "../../crates/resp/tests/oracle/mod.rs"]
mod oracle;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use oracle::{feed, reply};
use resp::{BulkHeader, Encoder, Limits, Protocol, ValueDecoder};

#[derive(Debug, Arbitrary)]
struct Setting {
    tight: bool,
    structured: bool,
    sizes: [u8; 3],
}

#[derive(Debug, Arbitrary)]
enum Piece<'a> {
    Line(u8, &'a [u8]),
    Integer(i64),
    Double(f64),
    String(u8, &'a [u8]),
    Aggregate(u8, u8),
    Streamed(u8),
    Chunk(&'a [u8]),
    End(bool),
    Null(u8),
    Raw(&'a [u8]),
}

impl Piece<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let pick = |kinds: &[u8], kind: u8| char::from(kinds[usize::from(kind) % kinds.len()]);
        let text = match *self {
            Self::Line(kind, text) => {
                out.push(pick(b"+-(#:,_", kind) as u8);
                out.extend(text);
                "\r\n".into()
            }
            Self::Integer(value) => format!(":{value}\r\n"),
            Self::Double(value) => {
                return Encoder::new(out, Protocol::Resp3).double(value);
            }
            Self::String(kind, payload) => {
                out.extend(format!("{}{}\r\n", pick(b"$!=", kind), payload.len()).into_bytes());
                out.extend(payload);
                "\r\n".into()
            }
            Self::Aggregate(kind, len) => format!("{}{}\r\n", pick(b"*%~>|", kind), len % 6),
            Self::Streamed(kind) => format!("{}?\r\n", pick(b"*%~$*%~$>|", kind)),
            Self::Chunk(payload) => {
                out.extend(format!(";{}\r\n", payload.len()).into_bytes());
                out.extend(payload);
                "\r\n".into()
            }
            Self::End(string) => if string { ";0\r\n" } else { ".\r\n" }.into(),
            Self::Null(kind) => ["$-1\r\n", "*-1\r\n", "_\r\n"][usize::from(kind) % 3].into(),
            Self::Raw(raw) => {
                out.extend(raw);
                String::new()
            }
        };
        out.extend(text.into_bytes());
    }
}

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let Ok(setting) = Setting::arbitrary(&mut source) else { return };
    let wire = if setting.structured {
        let mut wire = Vec::new();
        for piece in Vec::<Piece<'_>>::arbitrary_take_rest(source).unwrap_or_default() {
            piece.write(&mut wire);
        }
        wire
    } else {
        source.take_rest().to_vec()
    };
    let limits = if setting.tight {
        Limits { bulk_len: 20, elements: 5, line_len: 32, frame_len: 100, depth: 3 }
    } else {
        Limits::replies()
    };

    let expected = reply::replies(&wire, limits);
    let sizes = setting.sizes.map(|size| usize::from(size) % 40 + 1);
    for chunks in [vec![&wire[..]], wire.chunks(1).collect(), feed::cut(&wire, &sizes)] {
        let outcome = feed::replies(chunks, limits);
        assert!(reply::same(&outcome, &expected), "{outcome:?}\n{expected:?}");
    }
    for (_, value) in &expected.items {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut out = Vec::new();
            value.encode(&mut Encoder::new(&mut out, protocol));
            let mut decoder = ValueDecoder::new(Limits { depth: 1000, ..Limits::replies() });
            decoder.feed(&out);
            let again = decoder.next().expect("what we write is legal").expect("and whole");
            assert_eq!(decoder.buffered(), 0);
            // Writing what was read from our own writing changes nothing.
            let mut second = Vec::new();
            again.encode(&mut Encoder::new(&mut second, protocol));
            assert_eq!(out, second);
        }
    }

    let whole = BulkHeader::scan(&wire);
    for cut in 0..wire.len().min(64) {
        if let Ok((done, None)) = BulkHeader::scan(&wire[..cut]) {
            match (BulkHeader::scan(&wire[done..]), whole) {
                (Ok((rest, header)), Ok((total, expected))) => {
                    assert_eq!((done + rest, header), (total, expected))
                }
                (rest, expected) => assert_eq!(rest.is_err(), expected.is_err()),
            }
        }
    }
});
