//! Writes that go on while clients come and go: on so many keys, so that the data stay as large as they are.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::Random;

use crate::edges::Place;

/// Keys of each kind.
pub(crate) const KEYS: usize = 2000;

/// What readers find from the beginning on.
pub(crate) fn fill(place: &Place) {
    let mut commands: Vec<Vec<String>> = Vec::new();
    for n in 0..KEYS {
        commands.push(vec!["SET".to_owned(), format!("s:{n}"), "v".repeat(1000)]);
    }
    // Long enough for a reader who takes his time.
    for n in 0..100 {
        let mut push = vec!["RPUSH".to_owned(), format!("long:{}", n % 5)];
        push.extend((0..100).map(|_| "element of a list ".repeat(5)));
        commands.push(push);
    }
    for reply in place.writer().unwrap().pipeline(&commands) {
        reply.ok();
    }
}

/// Writes where writes go, until it is told to stop.
pub(crate) fn write(place: &Place, mut random: Random, stop: &AtomicBool) -> io::Result<()> {
    let mut client = place.writer()?;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            let n = random.below(KEYS).to_string();
            let text = String::from_utf8(random.text(200)).unwrap();
            let line = match random.below(8) {
                0..3 => format!("SET s:{n} {}", "v".repeat(1000)),
                3 => format!("HSET h:{n} f{} {text}", random.below(20)),
                4 => format!("ZADD z:{n} {} m{}", random.below(100), random.below(20)),
                5 => format!("XADD x:{} MAXLEN 50 * f {text}", random.below(20)),
                6 => format!("EVAL return(redis.call('SADD',KEYS[1],ARGV[1])) 1 t:{n} {}", random.below(30)),
                _ => format!("PUBLISH channel:{} {text}", random.below(5)),
            };
            client.send(&line.split(' ').collect::<Vec<_>>());
        }
        client.flush()?;
        for _ in 0..20 {
            client.receive()?.ok();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}
