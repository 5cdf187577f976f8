//! The HTTP port: what Prometheus, a load balancer and a person see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{HashMap, HashSet};
use std::process::Command;

use prometheus_parse::{Sample, Scrape, Value};
use support::Ours;
use testkit::{Cluster, Proxy, Server, TempDir, eventually, fill_every_type, wait_until_caught_up};

/// The figures as a parser of the text format reads them.
fn scrape(ours: &Ours) -> Vec<Sample> {
    let (code, text) = ours.get("/metrics");
    assert_eq!(code, 200);
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap().samples
}

fn number(sample: &Sample) -> f64 {
    match &sample.value {
        Value::Counter(n) | Value::Gauge(n) | Value::Untyped(n) => *n,
        other => panic!("{} is {other:?}", sample.metric),
    }
}

fn one(samples: &[Sample], name: &str, label: Option<(&str, &str)>) -> f64 {
    let is = |sample: &&Sample| {
        sample.metric == name && label.is_none_or(|(label, value)| sample.labels.get(label) == Some(value))
    };
    let mut found = samples.iter().filter(is);
    let sample = found.next().unwrap_or_else(|| panic!("no {name} {label:?}"));
    number(sample)
}

#[test]
fn the_figures_are_those_of_the_data_and_of_what_clients_did() {
    let primary = Server::R8_2.start();
    let mut at_primary = primary.client();
    fill_every_type(&mut at_primary, 3, 300);
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    let mut client = ours.client();
    wait_until_caught_up(&mut at_primary, &mut client);
    for _ in 0..7 {
        client.call(&["GET", "nothing"]);
    }
    client.call(&["NOSUCH", "\"quoted\\\n\""]);
    client.call(&["EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "0"]);
    // What a session has counted is handed over with its end.
    drop(client);
    let mut client = ours.client();
    client.call(&["PING"]).ok();

    let samples = scrape(&ours);
    let mut names = HashSet::new();
    for sample in &samples {
        let mut labels: Vec<(&String, &String)> = sample.labels.iter().collect();
        labels.sort_unstable();
        assert!(names.insert(format!("{} {labels:?}", sample.metric)), "{} {labels:?} twice", sample.metric);
        assert!(sample.metric.starts_with("replica_"), "{}", sample.metric);
        // The parser knows a summary's parts by their quantiles only.
        let summed = sample.metric.ends_with("_sum") || sample.metric.ends_with("_count");
        assert!(summed || !matches!(sample.value, Value::Untyped(_)), "{} has no type", sample.metric);
    }
    let mut keys = HashMap::new();
    for db in 0..16 {
        at_primary.call(&["SELECT", &db.to_string()]).ok();
        keys.insert(db.to_string(), at_primary.call(&["DBSIZE"]).int());
    }
    for (db, keys) in keys {
        let told = samples.iter().find(|s| s.metric == "replica_keys" && s.labels.get("db") == Some(&db));
        assert_eq!(told.map_or(0.0, number), keys as f64, "db {db}");
    }
    // The page of the documentation knows them all.
    let page = include_str!("../../../docs/observability.md");
    for sample in &samples {
        let name = sample.metric.trim_end_matches("_sum").trim_end_matches("_count");
        assert!(page.contains(&format!("`{name}`")), "{name} is not in the documentation");
    }
    assert_eq!(one(&samples, "replica_link_up", None), 1.0);
    assert_eq!(one(&samples, "replica_link_phase", Some(("phase", "streaming"))), 1.0);
    assert_eq!(one(&samples, "replica_syncs_total", Some(("kind", "full"))), 1.0);
    assert_eq!(one(&samples, "replica_commands_total", Some(("cmd", "get"))), 7.0);
    assert_eq!(one(&samples, "replica_errors_total", Some(("code", "NOSCRIPT"))), 1.0);
    assert!(one(&samples, "replica_lag_seconds", None) < 20.0);
    assert!(one(&samples, "replica_received_bytes_total", None) > 10_000.0);
    assert!(one(&samples, "replica_memory_bytes", Some(("part", "values"))) > 10_000.0);
    let times = samples.iter().find(|sample| {
        sample.metric == "replica_command_duration_seconds" && sample.labels.get("cmd") == Some("get")
    });
    let Some(Value::Summary(times)) = times.map(|sample| &sample.value) else { panic!("{times:?}") };
    assert_eq!(times.len(), 3, "{times:?}");
    // What INFO says is what they say.
    let applied: f64 = {
        let info = client.call(&["INFO", "stats"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix("replicated_commands_applied:"));
        line.unwrap().trim().parse().unwrap()
    };
    assert!(one(&scrape(&ours), "replica_stream_commands_total", None) >= applied);
}

#[test]
fn ready_means_complete_and_fresh() {
    let mut primary = Server::V8_1.start();
    primary.client().call(&["SET", "a", "1"]).ok();
    let proxy = Proxy::start(primary.addr().parse().unwrap());
    let gone = testkit::free_port();
    let never = Ours::serve(&["--master", &format!("redis://127.0.0.1:{gone}")]);
    assert_eq!(never.get("/healthz"), (200, "ok\n".to_owned()));
    let (code, reason) = never.get("/readyz");
    assert!(code == 503 && reason.starts_with("not synced: "), "{code} {reason}");
    let figures = scrape(&never);
    assert_eq!((one(&figures, "replica_link_up", None), one(&figures, "replica_ready", None)), (0.0, 0.0));

    let ours = Ours::serve(&["--master", &format!("redis://{}", proxy.addr()), "--ready-within", "2.5"]);
    assert_eq!(ours.until("/readyz", 200), "ready\n");
    primary.kill();
    let reason = ours.until("/readyz", 503);
    assert!(
        reason.starts_with("stale: nothing from the primary for ") && reason.contains("2.5 s"),
        "{reason}"
    );
    assert_eq!(ours.get("/healthz").0, 200);
    assert_eq!(one(&scrape(&ours), "replica_link_up", None), 0.0);
    // The data are served all the while.
    assert_eq!(ours.client().call(&["GET", "a"]).text(), "1");
    primary.restart();
    ours.until("/readyz", 200);
    // A server of its own is as fresh as it can be.
    let alone = Ours::serve(&["--standalone"]);
    assert_eq!(alone.get("/readyz").0, 200);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let ours = Ours::serve(&["--standalone"]);
    for path in ["/", "/page.js", "/page.css"] {
        let (code, head, body) = ours.request("GET", path);
        assert_eq!(code, 200);
        assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
        assert!(!body.contains("//cdn") && !body.contains("https:") && !body.contains("http:"), "{path}");
    }
    let (code, head, _) = ours.request("POST", "/");
    assert!(code == 405 && head.contains("allow: get, head"), "{head}");
    assert_eq!(ours.get("/../etc/passwd").0, 404);
    let (code, head, body) = ours.request("HEAD", "/metrics");
    assert!(code == 200 && body.is_empty() && head.contains("version=0.0.4"), "{head}");
    // Somebody who says nothing does not keep others from being heard.
    let silent: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(&ours.http).unwrap()).collect();
    assert_eq!(ours.get("/healthz").0, 200);
    drop(silent);
}

/// The page as headless Chromium has it after a few seconds of its script.
fn shown(ours: &Ours) -> String {
    // The first look begins the walk over the keys, the second has it.
    ours.get("/status.json");
    let profile = TempDir::new("page");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--timeout=20000", "--virtual-time-budget=6000", "--dump-dom"])
        .arg(format!("http://{}/", ours.http))
        .output()
        .expect("chromium is needed to look at the page: Debian's package of that name");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An element of the page, up to its end: of a table all its rows.
fn element(page: &str, id: &str) -> String {
    let from = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {page}"));
    let rest = &page[from..];
    let end = if ["biggest", "slow", "shards"].contains(&id) { "</table>" } else { "</" };
    rest[..rest.find(end).unwrap()].to_owned()
}

#[test]
fn the_page_shows_how_it_goes() {
    let primary = Server::R7_0.start();
    let mut at_primary = primary.client();
    at_primary.call(&["SET", "<b>bold</b>", &"x".repeat(70_000)]).ok();
    at_primary.call(&["RPUSH", "queue", "1", "2", "3"]).ok();
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    let mut client = ours.client();
    client.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]).ok();
    client.call(&["GET", "queue-that-is-not-there"]);
    drop(client);
    let page = shown(&ours);
    assert!(element(&page, "ready").ends_with(">ready"), "{page}");
    assert!(element(&page, "link").ends_with(">link: streaming"), "{page}");
    assert!(element(&page, "keys").ends_with(">2"), "{page}");
    assert!(element(&page, "what").contains("of 127.0.0.1:"), "{page}");
    assert!(element(&page, "of-cluster").contains("hidden"), "{page}");
    let biggest = element(&page, "biggest");
    assert!(biggest.contains("&lt;b&gt;bold&lt;/b&gt;") && biggest.contains("queue"), "{biggest}");
    assert!(element(&page, "slow").contains("GET queue-that-is-not-there"), "{page}");
}

#[test]
fn the_page_shows_each_shard_of_a_cluster() {
    let mut cluster = Cluster::start(Server::V9_1, 3, false);
    cluster.move_slot(5, &cluster.nodes[0], &cluster.nodes[2]);
    let ours = Ours::serve(&["--master", &format!("redis-cluster://{}", cluster.nodes[0].addr())]);
    ours.until("/readyz", 200);
    let page = shown(&ours);
    assert!(element(&page, "what").contains("of a cluster, 3 shards followed"), "{page}");
    assert!(!element(&page, "of-cluster").contains("hidden"), "{page}");
    let shards = element(&page, "shards");
    let rows: Vec<&str> = shards.split("<tr>").skip(2).collect();
    assert_eq!(rows.len(), 3, "{shards}");
    for (row, node, slots) in
        [(rows[0], 0, ">0-4 6-5460<"), (rows[1], 2, ">5 10922-16383<"), (rows[2], 1, ">5461-10921<")]
    {
        let place = format!(">{}<", cluster.nodes[node].addr());
        assert!(row.contains(slots) && row.contains(&place) && row.contains(">streaming<"), "{row}");
    }
    // One that cannot be reached is told of by itself.
    cluster.nodes[1].kill();
    let is_down = |shard: &serde_json::Value| shard["link"].as_str().unwrap().starts_with("down: ");
    eventually("it is down", || {
        let status: serde_json::Value = serde_json::from_str(&ours.get("/status.json").1).unwrap();
        let shards = status["shards"].as_array().unwrap();
        is_down(&shards[2]) && shards[..2].iter().all(|shard| shard["link"] == "streaming")
    });
    assert_eq!(scrape(&ours).iter().filter(|s| s.metric == "replica_shard_lag_seconds").count(), 3);
}
