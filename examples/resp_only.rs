//! RESP alone: a tiny server over bytes, without a socket, a runtime or any other crate.
//!
//! `cargo run --example resp_only`

use std::collections::HashMap;

use resp::{Encoder, Limits, Protocol, RequestDecoder, Value, ValueDecoder, encode_command};

/// GET and SET.
fn serve(decoder: &mut RequestDecoder, data: &mut HashMap<Vec<u8>, Vec<u8>>, out: &mut Vec<u8>) {
    loop {
        let mut reply = Encoder::new(out, Protocol::Resp2);
        match decoder.next_ref() {
            Ok(None) => return,
            Ok(Some(request)) => {
                let words: Vec<&[u8]> = request.iter().collect();
                match words[..] {
                    [name, key] if name.eq_ignore_ascii_case(b"GET") => match data.get(key) {
                        Some(value) => reply.bulk(value),
                        None => reply.null(),
                    },
                    [name, key, value] if name.eq_ignore_ascii_case(b"SET") => {
                        data.insert(key.to_vec(), value.to_vec());
                        reply.simple(b"OK");
                    }
                    _ => reply.error(b"ERR GET or SET, please"),
                }
            }
            Err(error) => {
                reply.error(format!("ERR Protocol error: {error}").as_bytes());
                return;
            }
        }
    }
}

fn main() -> Result<(), resp::ProtocolError> {
    // A client's bytes: three requests in one, of which the last is typed by hand.
    let mut wire = Vec::new();
    let set: [&[u8]; 3] = [b"SET", b"greeting", b"hello"];
    encode_command(&mut wire, &set);
    let get: [&[u8]; 2] = [b"GET", b"greeting"];
    encode_command(&mut wire, &get);
    wire.extend_from_slice(b"get nothing\r\n");

    // They arrive in pieces of any size; nothing is looked at twice.
    let (mut requests, mut data, mut out) =
        (RequestDecoder::new(Limits::requests()), HashMap::new(), Vec::new());
    for piece in wire.chunks(7) {
        requests.feed(piece);
        serve(&mut requests, &mut data, &mut out);
    }
    println!("sent {} bytes, got {}", wire.len(), out.escape_ascii());

    // And back on the client's side.
    let mut replies = ValueDecoder::new(Limits::replies());
    replies.feed(&out);
    let mut read = Vec::new();
    while let Some(value) = replies.next()? {
        println!("  {value:?}");
        read.push(value);
    }
    assert_eq!(read[1].as_bytes().map(|bytes| &bytes[..]), Some(&b"hello"[..]));
    assert_eq!(read[2], Value::NullBulk);
    Ok(())
}
