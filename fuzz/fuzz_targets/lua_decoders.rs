//! What scripts decode: any bytes for `cjson`, `cmsgpack` and `struct`, and what they made encoded again.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use lua::testing::{MapCall, Recorder};
use lua::{Engine, Options};

/// The first byte chooses, the second is the length of a format of `struct`, which follows.
const SOURCE: &[u8] = b"
local which, format, bytes = ARGV[1], ARGV[2], ARGV[3]
if which == '0' then
  local ok, value = pcall(cjson.decode, bytes)
  if ok then pcall(cjson.encode, value) end
elseif which == '1' then
  local ok, value = pcall(cmsgpack.unpack, bytes)
  if ok then pcall(cmsgpack.pack, value) end
  pcall(cmsgpack.unpack_limit, bytes, 3, #format)
else
  local values = {pcall(struct.unpack, format, bytes)}
  if values[1] then pcall(struct.pack, format, unpack(values, 2)) end
  pcall(struct.size, format)
end";

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new({
        let mut options = Options::default();
        options.memory_limit = 64 << 20;
        Engine::new(options).expect("an engine")
    });
}

fuzz_target!(|data: &[u8]| {
    let [which, len, rest @ ..] = data else { return };
    let which: &[u8] = [&b"0"[..], b"1", b"2"][usize::from(which % 3)];
    let (format, bytes) = rest.split_at(rest.len().min(usize::from(len % 16)));
    ENGINE.with_borrow_mut(|engine| {
        let ended = engine.eval(
            SOURCE,
            &[],
            &[which, format, bytes],
            &mut MapCall::default(),
            &mut Recorder::default(),
        );
        assert_eq!(ended, Ok(()), "every error of theirs can be caught");
    });
});
