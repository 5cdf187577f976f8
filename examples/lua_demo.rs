//! Lua scripts on a store, without a server: an account that cannot be overdrawn.

use lua::testing::Recorder;
use lua::{Engine, Options, StoreCall};

const TRANSFER: &str = "
local have = tonumber(redis.call('GET', KEYS[1]) or 0)
if have < tonumber(ARGV[1]) then return redis.error_reply('POOR only ' .. have .. ' left') end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('INCRBY', KEYS[2], ARGV[1])
return {have - ARGV[1], cjson.encode({from = KEYS[1]})}";

fn main() -> Result<(), lua::Error> {
    let (keyspace, mut writer) = store::Keyspace::new(16);
    let mut engine = Engine::new(Options::default())?;
    let mut run = |source: &str, keys: &[&[u8]], args: &[&[u8]]| {
        let mut reply = Recorder::default();
        let ended =
            engine.eval(source.as_bytes(), keys, args, &mut StoreCall::new(&mut writer, 0), &mut reply);
        ended.map(|()| reply.bytes().escape_ascii().to_string())
    };
    let (ada, bob): (&[u8], &[u8]) = (b"account:ada", b"account:bob");
    run("return redis.call('SET', KEYS[1], 100)", &[ada], &[])?;
    println!("transfer of 70: {}", run(TRANSFER, &[ada, bob], &[b"70"])?);
    println!("transfer of 70: {}", run(TRANSFER, &[ada, bob], &[b"70"])?);
    // What a script has written, any thread reads.
    let bob = keyspace.blob(0, bob).ok().flatten();
    println!("Bob has {}", bob.as_deref().map(String::from_utf8_lossy).unwrap_or_default());
    // A script that never ends does, when it is told to.
    let switch = engine.kill_switch();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        switch.kill();
    });
    let mut call = StoreCall::new(&mut writer, 0);
    let ended = engine.eval(b"while true do pcall(error) end", &[], &[], &mut call, &mut Recorder::default());
    println!("an endless script: {}", ended.expect_err("it was killed"));
    killer.join().expect("the other thread only sleeps");
    Ok(())
}
