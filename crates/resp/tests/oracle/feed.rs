//! The decoders under test, fed in chunks.

use resp::{Limits, Mode, RequestDecoder, Value, ValueDecoder};

use super::Outcome;
use super::request::Args;

/// The decoder's ways to give requests out.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    Owned,
    Borrowed,
    /// At most so many together, and by themselves those with an even number of arguments.
    Runs(usize),
}

impl Way {
    /// Any of them.
    pub fn of(n: u8) -> Self {
        match n {
            0 => Self::Owned,
            1 => Self::Borrowed,
            more => Self::Runs(more.into()),
        }
    }
}

/// Requests as the decoder sees them.
pub fn requests<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
    mode: Mode,
    authenticated: bool,
    way: Way,
) -> Outcome<(usize, Args)> {
    let mut decoder = RequestDecoder::with_buffer(limits, mode, bytes::BytesMut::new());
    decoder.set_authenticated(authenticated);
    let mut items = Vec::new();
    let mut wire = Vec::new();
    let mut fed = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        fed.extend_from_slice(chunk);
        loop {
            if let Way::Runs(most) = way {
                let wants = |request: &resp::RequestRef<'_>| request.len() % 2 == 1;
                let run = match decoder.next_run(most, wants) {
                    Ok(run) => run,
                    Err(error) => return Outcome { items, end: Err(error) },
                };
                assert_eq!(run.iter().count(), run.len());
                assert!(run.len() <= most && run.iter().all(|request| wants(&request)));
                let raw: Vec<u8> = run.iter().flat_map(|request| request.raw().to_vec()).collect();
                assert_eq!(raw, run.raw());
                wire.extend(raw);
                let args = |request: resp::RequestRef<'_>| request.iter().map(<[u8]>::to_vec).collect();
                items.extend(run.iter().map(|request| (request.wire_len(), args(request))));
                if !run.is_empty() {
                    continue;
                }
            }
            let (wire_len, raw, args) = if let Way::Owned = way {
                match decoder.next() {
                    Ok(None) => break,
                    Ok(Some(request)) => {
                        let args: Args = request.iter().map(<[u8]>::to_vec).collect();
                        let copy = request.as_ref().to_owned();
                        assert_eq!(copy.iter().collect::<Vec<_>>(), request.iter().collect::<Vec<_>>());
                        for at in 0..request.len() {
                            assert_eq!(request.arg_bytes(at).as_deref(), request.arg(at));
                        }
                        assert_eq!(request.arg_bytes(request.len()), None);
                        (request.wire_len(), request.raw().to_vec(), args)
                    }
                    Err(error) => {
                        assert_eq!(decoder.next().map(drop), Err(error), "errors repeat");
                        return Outcome { items, end: Err(error) };
                    }
                }
            } else {
                match decoder.next_ref() {
                    Ok(None) => break,
                    Ok(Some(request)) => (
                        request.wire_len(),
                        request.raw().to_vec(),
                        request.iter().map(<[u8]>::to_vec).collect(),
                    ),
                    Err(error) => return Outcome { items, end: Err(error) },
                }
            };
            assert_eq!(wire_len, raw.len());
            wire.extend(raw);
            items.push((wire_len, args));
        }
        if mode == Mode::Stream {
            // Nothing is lost: what was given out and what waits are all that came.
            assert_eq!(wire.len() + decoder.buffered(), fed.len());
            assert!(fed.starts_with(&wire));
        }
    }
    Outcome { items, end: Ok(()) }
}

/// Replies as the decoder sees them.
pub fn replies<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Outcome<(usize, Value)> {
    let mut decoder = ValueDecoder::new(limits);
    let mut items = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        loop {
            let before = decoder.buffered();
            match decoder.next() {
                Ok(None) => break,
                Ok(Some(value)) => items.push((before - decoder.buffered(), value)),
                Err(error) => {
                    assert!(matches!(decoder.next(), Err(again) if again == error), "errors repeat");
                    return Outcome { items, end: Err(error) };
                }
            }
        }
    }
    Outcome { items, end: Ok(()) }
}

/// `input` cut into pieces whose lengths follow `sizes`, over and over.
pub fn cut<'a>(mut input: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !input.is_empty() {
        let size = sizes.next().map_or(input.len(), |size| (*size).clamp(1, input.len()));
        let (chunk, rest) = input.split_at(size);
        chunks.push(chunk);
        input = rest;
    }
    chunks
}
