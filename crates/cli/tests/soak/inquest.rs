//! What is known of a server that does not answer, for whoever has to find out why.

use std::fmt::Write as _;
use std::fs;

use crate::edges::Place;
use crate::support::Ours;

/// What the server says of itself, as far as it still speaks, and what the system says of its threads and sockets.
pub(crate) fn report(name: &str, ours: &Ours, place: &Place) -> String {
    let mut text = format!("== {name}, at {}\n", place.addr);
    for command in [&["INFO", "clients"][..], &["INFO", "memory"], &["CLIENT", "LIST"]] {
        // It may be dumb altogether; then not for long.
        let mut client = match testkit::Client::connect(place.addr.as_str()) {
            Ok(client) => client,
            Err(error) => return format!("{text}no connection: {error}\n"),
        };
        let _ = client.set_timeout(std::time::Duration::from_secs(20));
        let _ = match client.try_call(command) {
            Ok(reply) => writeln!(text, "-- {command:?}\n{}", reply.text()),
            Err(error) => writeln!(text, "-- {command:?}: {error}"),
        };
    }
    let _ = writeln!(text, "-- threads (name, state, where in the kernel)\n{}", threads(ours.pid()));
    let port = place.addr.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
    let _ = writeln!(text, "-- sockets with bytes in their queues\n{}", sockets(port));
    let metrics = ours.get("/metrics").1;
    let _ = writeln!(
        text,
        "-- tasks\n{}",
        metrics.lines().filter(|line| line.contains("tasks")).collect::<String>()
    );
    text
}

fn threads(pid: u32) -> String {
    let read = |path: String| fs::read_to_string(path).unwrap_or_default();
    let mut text = String::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let task = entry.path().display().to_string();
        let status = read(format!("{task}/status"));
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {state} {}",
            read(format!("{task}/comm")).trim(),
            read(format!("{task}/wchan")).trim()
        );
    }
    text
}

/// Rows of the system's table: both ends of every connection to this port that has something under way.
fn sockets(port: u16) -> String {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let end = format!(":{port:04X}");
    let is_of_it = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words
            .get(1..5)
            .is_some_and(|w| (w[0].ends_with(&end) || w[1].ends_with(&end)) && w[3] != "00000000:00000000")
    };
    table.lines().filter(is_of_it).collect::<Vec<_>>().join("\n")
}
