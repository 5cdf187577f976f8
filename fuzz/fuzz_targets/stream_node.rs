//! Any operations: the stream node builder does what a vector does. Any bytes or elements: view and grammar agree.
#![no_main]
use rdb::StreamId;
use rdb::encoding::ListpackBuf;

#[path = "../../crates/rdb/tests/model/stream_ops.rs"]
mod ops;
#[path = "../../crates/rdb/tests/model/views.rs"]
#[expect(dead_code, reason = "the file is shared; other targets use the rest")]
mod views;

#[derive(Debug, arbitrary::Arbitrary)]
enum Input {
    Ops((u64, u64), Vec<ops::Op>),
    Elements((u64, u64), Vec<i16>),
    Bytes((u64, u64), Vec<u8>),
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let id = |(ms, seq)| StreamId { ms, seq };
    match input {
        Input::Ops(base, list) => ops::run(id(base), &list[..list.len().min(48)]),
        Input::Elements(base, elements) => {
            let mut list = ListpackBuf::new();
            for element in elements {
                list.push_int(element.into()).unwrap();
            }
            views::stream_node(id(base), list.as_bytes());
        }
        Input::Bytes(base, bytes) => views::stream_node(id(base), &bytes),
    }
});
