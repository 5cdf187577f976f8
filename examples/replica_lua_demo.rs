//! Scripts on a copy of somebody's data: they read beside each other, and cannot write.
//!
//! `cargo run --example replica_lua_demo` brings its own primary; `-- --master URL` follows yours.

use replica::{Replica, Value};

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
    let primary = replica_examples::primary(&[
        &["HSET", "user:1", "name", "Ada"],
        &["HSET", "user:2", "name", "Charles"],
        &["HSET", "user:3", "name", "Grace"],
        &["ZADD", "scores", "10", "1", "7", "2", "12", "3"],
    ])
    .await?;
    let replica = Replica::connect(primary.url()).await?;

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
