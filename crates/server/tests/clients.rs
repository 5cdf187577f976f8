//! CLIENT, MONITOR, SLOWLOG, LATENCY, CLUSTER and INFO's statistics, as the real servers have them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;

use store::Compat;
use testkit::Client;

use support::{beside_each, words};

const STEPS: &[&str] = &[
    "CLIENT LIST TYPE x",
    "CLIENT LIST ID 1 2 x",
    "CLIENT LIST ID x",
    "CLIENT LIST FOO",
    "CLIENT LIST NAME x",
    "CLIENT LIST IDLE 0",
    "CLIENT LIST IDLE x",
    "CLIENT LIST FLAGS !",
    "CLIENT LIST DB x",
    "CLIENT LIST DB 5",
    "CLIENT LIST IP 1",
    "CLIENT LIST MAXAGE 5000",
    "CLIENT LIST MAXAGE 0",
    "CLIENT LIST CAPA r",
    "CLIENT LIST LIB-NAME x",
    "CLIENT LIST NOT-TYPE normal",
    "CLIENT LIST SKIPME yes",
    "CLIENT LIST TYPE pubsub",
    "CLIENT LIST USER nosuch",
    "CLIENT LIST ID",
    "CLIENT LIST NOT-ID",
    "CLIENT LIST DB 99",
    "CLIENT LIST NOT-DB 99",
    "CLIENT LIST NOT-DB x",
    "CLIENT LIST CAPA redirect",
    "CLIENT LIST NOT-CAPA redirect",
    "CLIENT LIST NOT-FLAGS Z",
    "CLIENT KILL",
    "CLIENT KILL DB 99",
    "CLIENT KILL CAPA x",
    "CLIENT KILL TYPE primary",
    "CLIENT KILL TYPE foo",
    "CLIENT KILL ID 0",
    "CLIENT KILL ID x",
    "CLIENT KILL ID 99999",
    "CLIENT KILL ID 99999 99998",
    "CLIENT KILL ID 99999 ID 99998",
    "CLIENT KILL MAXAGE x",
    "CLIENT KILL MAXAGE 0",
    "CLIENT KILL MAXAGE 100000",
    "CLIENT KILL USER nosuch",
    "CLIENT KILL FOO BAR",
    "CLIENT KILL 1.1.1.1:1",
    "CLIENT KILL SKIPME x",
    "CLIENT KILL LADDR 1",
    "CLIENT KILL NAME x",
    "CLIENT KILL TYPE pubsub NOT-ID 4",
    "CLIENT KILL TYPE pubsub ID",
    "CLIENT REPLY x",
    "CLIENT REPLY ON",
    "CLIENT PAUSE x",
    "CLIENT PAUSE -1",
    "CLIENT PAUSE 1 foo",
    "CLIENT PAUSE 1 WRITE",
    "SET after pause",
    "CLIENT PAUSE 1",
    "CLIENT UNPAUSE",
    "CLIENT NO-EVICT x",
    "CLIENT NO-EVICT ON",
    "CLIENT INFO",
    "CLIENT NO-EVICT OFF",
    "CLIENT NO-TOUCH ON",
    "CLIENT INFO",
    "CLIENT NO-TOUCH OFF",
    "CLIENT TRACKING ON BCAST",
    "CLIENT INFO",
    "CLIENT TRACKING OFF",
    "CLIENT INFO",
    "CLIENT UNBLOCK 99999 ERROR x",
    "CLIENT UNBLOCK 99999 x",
    "MODULE LIST",
    "WAITAOF 2 0 0",
    "WAITAOF 0 -1 0",
    "CLIENT CAPA x",
    "CLIENT IMPORT-SOURCE ON",
    "CLIENT IMPORT-SOURCE x",
    "CLIENT HELP",
    "ASKING",
    "READONLY",
    "READWRITE",
    "CLUSTER",
    "CLUSTER NOSUCH",
    "CLUSTER HELP",
    "CLUSTER HELP x",
    "CLUSTER INFO",
    "CLUSTER NODES",
    "CLUSTER SLOTS",
    "CLUSTER SHARDS",
    "CLUSTER MYID",
    "CLUSTER MYSHARDID",
    "CLUSTER KEYSLOT a",
    "CLUSTER KEYSLOT x{user}y",
    "CLUSTER COUNTKEYSINSLOT 1",
    "CLUSTER MEET a 1",
    "CLUSTER SLOT-STATS a b",
    "CLUSTERSCAN 0",
    "FAILOVER",
    "FAILOVER TO 127.0.0.1 1",
    "FAILOVER TO 127.0.0.1 x",
    "FAILOVER ABORT",
    "FAILOVER ABORT x",
    "FAILOVER X",
    "FAILOVER TIMEOUT 0",
    "FAILOVER TIMEOUT x",
    "FAILOVER FORCE",
    "MODULE LOAD /x",
    "MODULE UNLOAD x",
    "MODULE NOSUCH",
    "LOLWUT VERSION x",
    "SLOWLOG GET x",
    "SLOWLOG GET -2",
    "SLOWLOG GET -1",
    "SLOWLOG GET 1 2",
    "SLOWLOG HELP",
    "SLOWLOG NOSUCH",
    "SLOWLOG LEN",
    "CONFIG SET slowlog-log-slower-than 0",
    "CONFIG GET slowlog-log-slower-than",
    "SET a b",
    "SLOWLOG GET 1",
    "SLOWLOG LEN",
    "AUTH secret",
    "SLOWLOG GET 1",
    "MSET 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34",
    "SET long aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "SLOWLOG GET 3",
    "CONFIG SET slowlog-max-len 2",
    "GET a",
    "SLOWLOG LEN",
    "CONFIG SET slowlog-log-slower-than -1",
    "CONFIG SET slowlog-log-slower-than -2",
    "SLOWLOG RESET",
    "SLOWLOG LEN",
    "COMMANDLOG GET 1 slow",
    "COMMANDLOG GET x slow",
    "COMMANDLOG GET 1 x",
    "COMMANDLOG LEN large-request",
    "COMMANDLOG RESET large-reply",
    "LATENCY LATEST",
    "LATENCY HISTORY x",
    "LATENCY GRAPH x",
    "LATENCY DOCTOR",
    "LATENCY RESET",
    "LATENCY HELP",
    "LATENCY NOSUCH",
    "LATENCY HISTOGRAM nosuch",
    "CONFIG SET latency-monitor-threshold 1000",
    "CONFIG GET latency-monitor-threshold",
    "LATENCY DOCTOR",
    "CONFIG RESETSTAT",
    "GET a",
    "GET a",
    "LPUSH a x",
    "NOSUCH",
    "GET",
    "INFO errorstats",
    "INFO commandstats",
    "LATENCY HISTOGRAM get",
    "INFO nosuch",
];

/// Without what depends on the hour, the speed, or who one is.
fn masked(line: &str, answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).into_owned();
    if line.starts_with("INFO") {
        // Of times only that they are told; in order of their names.
        let mut lines: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| {
                let fields = line.split(',').filter(|field| !field.contains("usec"));
                fields.collect::<Vec<_>>().join(",")
            })
            .collect();
        lines.sort();
        return lines.join("|");
    }
    if line.starts_with("LATENCY HISTOGRAM") {
        return text.lines().take(6).collect::<Vec<_>>().join("|");
    }
    if line.starts_with("SLOWLOG GET") && text.starts_with("*") {
        // Neither the time, nor how long it took, nor the client's address.
        let lines: Vec<&str> = text.lines().collect();
        let mut kept = Vec::new();
        let mut numbers = 0;
        for line in lines {
            if line == "*6" {
                numbers = 0;
            }
            let is_number = line.starts_with(':');
            numbers += usize::from(is_number);
            if !(is_number && numbers > 0 || line.contains("127.0.0.1") || line == "$15" || line == "$14") {
                kept.push(line);
            }
        }
        return kept.join("|");
    }
    if (line.starts_with("CLIENT LIST") || line == "CLIENT INFO") && text.starts_with('$') {
        return names_of_fields(&text);
    }
    text.escape_debug().to_string()
}

fn names_of_fields(text: &str) -> String {
    let lines = text.lines().skip(1).filter(|line| !line.is_empty());
    // What it last said is told too, and what it is.
    let field = |(name, value): (&str, &str)| match name {
        "cmd" | "flags" => format!("{name}={value}"),
        _ => name.to_owned(),
    };
    let names = |line: &str| {
        line.split(' ').filter_map(|f| f.split_once('=')).map(field).collect::<Vec<_>>().join(" ")
    };
    lines.map(names).collect::<Vec<_>>().join("|")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_the_server_is_answered_as_there() {
    beside_each(|compat, real, ours| {
        let mut differ = Vec::new();
        // Whoever asked whether the real server is ready may be there for a moment.
        let listed = |client: &mut Client| {
            let text = client.call_for_bytes(&words("CLIENT LIST")).unwrap();
            String::from_utf8_lossy(&text).matches("laddr=").count()
        };
        testkit::eventually("one client alone", || listed(real) == 1);
        let all = ["CLIENT LIST", "CLIENT INFO"].iter().chain(STEPS);
        for line in all {
            // That server has a module of vectors.
            if *line == "MODULE LIST" && compat == Compat::Redis82 {
                continue;
            }
            let [theirs, ours] = [&mut *real, &mut *ours]
                .map(|client| masked(line, &client.call_for_bytes(&words(line)).unwrap()));
            if theirs != ours {
                differ.push(format!("{line}\n   theirs: {theirs}\n     ours: {ours}"));
            }
        }
        assert!(differ.is_empty(), "{compat}: {} differ\n{}", differ.len(), differ.join("\n"));
    })
    .await;
}

/// What a monitor sees of a conversation: `[db who] "command" ..`.
fn monitored(addr: SocketAddr) -> Vec<String> {
    let [mut monitor, mut client] = [(); 2].map(|()| Client::connect(addr).unwrap());
    assert_eq!(monitor.call_for_bytes(&["MONITOR"]).unwrap(), b"+OK\r\n");
    for line in [
        "SET a \"x \\ \u{1} é\"",
        "GET a b",
        "NOSUCH",
        "SELECT 3",
        "MULTI",
        "GET a",
        "INCR n",
        "EXEC",
        "EVAL \"redis.call('set', 'x', 1) return redis.pcall('incr', 'x')\" 0",
        "CONFIG GET maxmemory",
        "CLIENT LIST",
        "AUTH secret",
        "HELLO 3",
        "SUBSCRIBE c",
        "UNSUBSCRIBE c",
        "RESET",
        "PING last",
    ] {
        client.call_for_bytes(&words(line)).unwrap();
    }
    let mut seen = Vec::new();
    loop {
        let line = String::from_utf8(monitor.receive_line().unwrap()).unwrap();
        let (_, rest) = line.split_once(' ').unwrap();
        let (who, command) = rest.split_once(']').unwrap();
        let who = if who.contains("lua") { who } else { who.split(' ').next().unwrap() };
        seen.push(format!("{who}] {command}"));
        if command.contains("last") {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_sees_what_it_would_see_there() {
    for (judge, compat) in support::JUDGES {
        let (_engine, listener) = support::ours(compat).await;
        let addr = listener.local_addr();
        let (theirs, ours) = tokio::task::spawn_blocking(move || {
            let real = judge.start();
            (monitored(real.addr().parse().unwrap()), monitored(addr))
        })
        .await
        .unwrap();
        assert_eq!(theirs, ours, "{compat}");
        listener.shutdown().await;
    }
}
