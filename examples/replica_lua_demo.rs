//! Scripts on a copy of somebody's data: they read beside each other, and cannot write.
//!
//! `cargo run --example replica_lua_demo` brings its own primary; an address as argument is followed instead.

use replica::{Replica, Standalone, Value};

/// The members of a leaderboard with their names, which stand in hashes: one round trip instead of many.
const TOP: &str = "#!lua flags=no-writes
local top = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
local lines = {}
for i = 1, #top, 2 do
  lines[#lines + 1] = (redis.call('HGET', 'user:' .. top[i], 'name') or '?') .. ' ' .. top[i + 1]
end
return lines";

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let mut embedded = None;
    let master = match std::env::args().nth(1) {
        Some(address) => address,
        None => {
            let primary = Standalone::start("127.0.0.1:0").await?;
            for (id, name, score) in [("1", "Ada", "10"), ("2", "Charles", "7"), ("3", "Grace", "12")] {
                primary.command(&["HSET", &format!("user:{id}"), "name", name])?;
                primary.command(&["ZADD", "scores", score, id])?;
            }
            embedded.insert(primary).url()
        }
    };
    let replica = Replica::connect(&master).await?;

    let Value::Array(lines) = replica.call(&["EVAL", TOP, "1", "scores", "2"])? else { return Ok(()) };
    for line in &lines {
        println!("{}", String::from_utf8_lossy(line.as_bytes().map(AsRef::as_ref).unwrap_or_default()));
    }
    // All cores run them at once, each in an interpreter of its own.
    let sha = replica.call(&["SCRIPT", "LOAD", TOP])?;
    let sha = sha.as_bytes().map(|sha| String::from_utf8_lossy(sha).into_owned()).unwrap_or_default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..1000).try_for_each(|_| replica.call(&["EVALSHA", &sha, "1", "scores", "3"]).map(drop))
            });
        }
    });
    // The primary alone writes.
    let refused = replica.call(&["EVAL", "return redis.call('DEL', KEYS[1])", "1", "scores"]);
    println!("a script that writes: {}", refused.expect_err("a replica is read-only"));
    replica.shutdown().await
}
