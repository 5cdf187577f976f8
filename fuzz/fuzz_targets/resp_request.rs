//! Requests: any bytes, in any cut, give what the grammar gives.
//!
//! The first bytes choose the setting (mode, limits, AUTH) and the sizes of the cuts; the rest is the wire, either raw or
//! built from structured pieces so that most inputs get past their first header.
#![no_main]

#[path = "../../crates/resp/tests/oracle/mod.rs"]
mod oracle;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use oracle::{feed, request};
use resp::{Limits, Mode};

#[derive(Debug, Arbitrary)]
struct Setting {
    stream: bool,
    authenticated: bool,
    tight: bool,
    way: u8,
    structured: bool,
    sizes: [u8; 3],
}

#[derive(Debug, Arbitrary)]
enum Piece<'a> {
    Command(Vec<&'a [u8]>),
    Inline(&'a [u8]),
    Quoted(&'a [u8], bool),
    Multibulk(i32),
    Bulk(i16, &'a [u8]),
    Nothing(u8),
    Raw(&'a [u8]),
}

impl Piece<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Command(args) => resp::encode_command(out, args),
            Self::Inline(line) => out.extend([*line, b"\r\n"].concat()),
            Self::Quoted(word, double) => {
                let quote = if *double { b"\"" } else { b"'" };
                out.extend([b"x ", &quote[..], *word, quote, b"\n"].concat());
            }
            Self::Multibulk(count) => out.extend(format!("*{count}\r\n").into_bytes()),
            Self::Bulk(len, payload) => {
                out.extend(format!("${len}\r\n").into_bytes());
                out.extend(*payload);
            }
            Self::Nothing(kind) => {
                out.extend([&b"\n"[..], b"\r\n", b"*0\r\n", b"*-1\r\n"][usize::from(*kind) % 4]);
            }
            Self::Raw(raw) => out.extend(*raw),
        }
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
    let limits = match (setting.tight, setting.stream) {
        (true, _) => Limits { bulk_len: 20, elements: 12, line_len: 32, frame_len: 100, depth: 1 },
        (false, false) => Limits::requests(),
        (false, true) => Limits::stream(),
    };
    let mode = if setting.stream { Mode::Stream } else { Mode::Client };

    let mut expected = request::requests(&wire, limits, mode, setting.authenticated);
    if mode == Mode::Client {
        expected.items.retain(|(_, args)| !args.is_empty());
    }
    let sizes = setting.sizes.map(|size| usize::from(size) % 40 + 1);
    for chunks in [vec![&wire[..]], wire.chunks(1).collect(), feed::cut(&wire, &sizes)] {
        let outcome =
            feed::requests(chunks, limits, mode, setting.authenticated, feed::Way::of(setting.way % 6));
        assert_eq!(outcome, expected);
    }
});
