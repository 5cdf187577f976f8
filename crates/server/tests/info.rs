//! INFO beside the real servers: its sections, and the names of its fields.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use store::Compat;
use support::beside_each;
use testkit::Client;

/// Ours alone: what only a replica in another program has to tell.
const OURS: &[&str] = &["replica_version", "replicated_commands_applied", "replicated_commands_diverged"];
/// What a real server tells and this one does not: modules that are built in; a Valkey's event loop, which is one
/// thread's; certificates; the section of an open cluster.
const LEFT: &[&str] = &[
    "module",
    "eventloop_cycles",
    "eventloop_duration_sum",
    "eventloop_duration_cmd_sum",
    "instantaneous_eventloop_cycles_per_sec",
    "instantaneous_eventloop_duration_usec",
    "replicas_waiting_psync",
];
const LEFT_SECTIONS: &[&str] = &["TLS", "Cluster Info"];

/// Names of fields by section.
fn fields(client: &mut Client, line: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in client.line(line).text().lines() {
        if let Some(title) = line.strip_prefix("# ") {
            title.clone_into(&mut section);
            all.entry(section.clone()).or_default();
        } else if let Some((name, _)) = line.split_once(':') {
            all.entry(section.clone()).or_default().insert(name.to_owned());
        }
    }
    all
}

#[tokio::test]
async fn sections_and_fields_are_those_of_the_real_server() {
    beside_each(|compat, theirs, mine| {
        // What started a server may have asked it something.
        for line in ["CONFIG RESETSTAT", "SET s v", "GET s", "LPUSH s x", "RPUSH l a b", "ACL WHOAMI"] {
            let _ = (theirs.line(line), mine.line(line));
        }
        for ask in
            ["INFO", "INFO default", "INFO all", "INFO everything", "INFO server clients", "INFO modules"]
        {
            let (real, ours) = (fields(theirs, ask), fields(mine, ask));
            // A walk over all keys is asked for by its name alone.
            let titles = |all: &BTreeMap<String, BTreeSet<String>>| -> Vec<String> {
                let is_told =
                    |title: &&String| !LEFT_SECTIONS.contains(&title.as_str()) && *title != "Keysizes";
                all.keys().filter(is_told).cloned().collect()
            };
            assert_eq!(titles(&ours), titles(&real), "{compat}: {ask}");
            for title in titles(&real) {
                let (real, ours) = (&real[&title], &ours[&title]);
                let missing: Vec<_> =
                    real.difference(ours).filter(|name| !LEFT.contains(&name.as_str())).collect();
                let more: Vec<_> =
                    ours.difference(real).filter(|name| !OURS.contains(&name.as_str())).collect();
                assert!(missing.is_empty() && more.is_empty(), "{compat}, {title}: -{missing:?} +{more:?}");
            }
        }
    })
    .await;
}

/// Lengths at both sides of the bounds of the bins.
#[tokio::test]
async fn lengths_of_values_are_counted_as_by_the_real_server() {
    beside_each(|compat, theirs, mine| {
        let mut lines =
            ["FLUSHALL", "SET empty \"\"", "SET number 12345", "XADD x 1-1 f v"].map(str::to_owned).to_vec();
        for n in [1, 2, 3, 4, 1023, 1024, 1025, 5000] {
            lines.push(format!("SETRANGE s{n} {} x", n - 1));
            let members: Vec<String> = (0..n).map(|n| n.to_string()).collect();
            lines.push(format!("RPUSH l{n} {}", members.join(" ")));
            lines.push(format!("SADD t{n} {}", members.join(" ")));
            let pairs: Vec<String> = members.iter().map(|member| format!("{member} {member}")).collect();
            lines.push(format!("ZADD z{n} {}", pairs.join(" ")));
            lines.push(format!("HSET h{n} {}", pairs.join(" ")));
        }
        lines.extend(["SELECT 3", "SET other v", "SELECT 0"].map(str::to_owned));
        for line in &lines {
            assert_eq!(mine.line(line), theirs.line(line), "{compat}: {line}");
        }
        assert_eq!(mine.line("INFO keysizes").text(), theirs.line("INFO keysizes").text(), "{compat}");
    })
    .await;
}

/// The fields that change with what happens.
#[tokio::test]
async fn what_waits_and_what_is_paused_is_told() {
    let (_engine, listener) = support::ours(Compat::Valkey91).await;
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(addr).unwrap();
        let info = |client: &mut Client, section: &str, name: &str| {
            let text = client.line(&format!("INFO {section}")).text();
            let value =
                text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).map(str::to_owned);
            value.unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        let (mut timed, mut endless) = (Client::connect(addr).unwrap(), Client::connect(addr).unwrap());
        client.line("XGROUP CREATE x g $ MKSTREAM").ok();
        timed.send(&["BLPOP", "l", "100"]);
        timed.flush().unwrap();
        endless.send(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "x", ">"]);
        endless.flush().unwrap();
        testkit::eventually("both wait", || info(&mut client, "clients", "blocked_clients") == "2");
        assert_eq!(info(&mut client, "clients", "clients_in_timeout_table"), "1");
        assert_eq!(info(&mut client, "clients", "total_blocking_keys_on_nokey"), "1");
        assert_eq!(info(&mut client, "clients", "paused_reason"), "none");
        client.line("CLIENT PAUSE 100000 WRITE").ok();
        assert_eq!(info(&mut client, "clients", "paused_reason"), "client_pause");
        assert_eq!(info(&mut client, "clients", "paused_actions"), "write");
        let left: u64 = info(&mut client, "clients", "paused_timeout_milliseconds").parse().unwrap();
        assert!((1..=100_000).contains(&left), "{left}");
        client.line("CLIENT UNPAUSE").ok();
        assert_eq!(info(&mut client, "clients", "paused_actions"), "none");
        let reads: u64 = info(&mut client, "stats", "total_reads_processed").parse().unwrap();
        client.line("PING").ok();
        let more: u64 = info(&mut client, "stats", "total_reads_processed").parse().unwrap();
        assert_eq!(more, reads + 2);
    })
    .await
    .unwrap();
    listener.shutdown().await;
}
