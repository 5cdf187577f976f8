//! `replica top`: how a running server does, from its INFO.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use resp::Value;

use crate::Failure;
use replica::Wire;

/// Arguments of `replica top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server: redis://user:password@host:port, or host:port.
    #[arg(value_name = "URL", default_value = "127.0.0.1:6380")]
    server: String,
    /// Seconds between two looks.
    #[arg(long, short, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
    /// One look and no more (without this, Ctrl-C ends it), as where the output is not a terminal.
    #[arg(long)]
    once: bool,
    /// How many commands to show.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 15)]
    count: usize,
    #[command(flatten)]
    tls: crate::tls::Args,
}

/// Looks until it is stopped, or once.
pub fn run(args: &Args) -> Result<(), Failure> {
    let interval = Duration::try_from_secs_f64(args.interval.max(0.05))?;
    let live = !args.once && io::stdout().is_terminal();
    let mut connection = crate::connection::open(&args.server, &args.tls)?;
    let mut before = Look::take(&mut connection)?;
    loop {
        // Rates need two looks.
        std::thread::sleep(interval);
        let now = Look::take(&mut connection)?;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = show(args, &before, &now, &mut text);
        let mut out = io::stdout().lock();
        if !live {
            return match out.write_all(text.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(()),
            };
        }
        // From the top, each line to its end, and what is left below: no flicker.
        write!(out, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))?;
        out.flush()?;
        before = now;
    }
}

/// INFO at a moment.
struct Look {
    at: Instant,
    fields: HashMap<String, String>,
}

impl Look {
    fn take(connection: &mut Wire) -> Result<Self, Failure> {
        let (Value::Bulk(text) | Value::Verbatim { text, .. }) = connection.ask(&["INFO", "all"])? else {
            return Err("INFO did not answer a text".into());
        };
        let text = String::from_utf8_lossy(&text);
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(Self {
            at: Instant::now(),
            fields: fields.map(|(name, value)| (name.into(), value.into())).collect(),
        })
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The first of these fields that is there.
    fn number(&self, names: &[&str]) -> f64 {
        names.iter().find_map(|name| self.fields.get(*name)?.parse().ok()).unwrap_or(0.0)
    }

    /// Fields whose names begin so: the rest of the name, and the parts of the value.
    fn parts(&self, prefix: &str) -> Vec<(&str, HashMap<&str, f64>)> {
        let fields = self.fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
        fields
            .map(|(name, value)| {
                let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
                (name, pairs.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect())
            })
            .collect()
    }
}

fn show(args: &Args, before: &Look, now: &Look, out: &mut String) -> std::fmt::Result {
    let passed = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
    let rate = |name: &str| ((now.number(&[name]) - before.number(&[name])) / passed).max(0.0);
    let (valkey, redis) = (now.text("valkey_version"), now.text("redis_version"));
    let version = if valkey.is_empty() { format!("redis {redis}") } else { format!("valkey {valkey}") };
    let ours = now.text("replica_version");
    let who = if ours.is_empty() { version } else { format!("replica {ours} as {version}") };
    let (host, up) = (args.server.rsplit('@').next().unwrap_or_default(), now.number(&["uptime_in_seconds"]));
    writeln!(out, "{host}  {who}  up {}", period(up))?;
    if now.text("role") == "slave" {
        let (host, port) = (now.text("master_host"), now.text("master_port"));
        // A Unix socket has a path alone.
        let primary = if port == "0" { host.to_owned() } else { format!("{host}:{port}") };
        let behind = now.number(&["slave_read_repl_offset"]) - now.number(&["slave_repl_offset"]);
        let heard = match now.text("master_last_io_seconds_ago") {
            // As the real servers say it while the link is down.
            "" | "-1" => "not heard".to_owned(),
            seconds => format!("heard {seconds} s ago"),
        };
        writeln!(
            out,
            "link     {} to {primary}  offset {}  not applied {}  {heard}",
            now.text("master_link_status"),
            now.text("slave_repl_offset"),
            bytes(behind),
        )?;
        if now.text("master_sync_in_progress") == "1" {
            let (read, total) =
                (now.number(&["master_sync_read_bytes"]), now.number(&["master_sync_total_bytes"]));
            let of = if total > 0.0 { format!(" of {}", bytes(total)) } else { String::new() };
            writeln!(out, "sync     {}{of}", bytes(read))?;
        }
    } else {
        writeln!(out, "role     {}  offset {}", now.text("role"), now.text("master_repl_offset"))?;
    }
    let limit = now.number(&["maxmemory"]);
    writeln!(
        out,
        "memory   used {}  resident {}  peak {}  limit {} ({})",
        bytes(now.number(&["used_memory"])),
        bytes(now.number(&["used_memory_rss"])),
        bytes(now.number(&["used_memory_peak"])),
        if limit > 0.0 { bytes(limit) } else { "none".to_owned() },
        now.text("maxmemory_policy"),
    )?;
    writeln!(
        out,
        "clients  {}  blocked {}  replicas {}",
        now.text("connected_clients"),
        now.text("blocked_clients"),
        now.text("connected_slaves"),
    )?;
    writeln!(
        out,
        "a second commands {:.0}  in {}  out {}  expired {:.0}  evicted {:.0}{}",
        rate("total_commands_processed"),
        bytes(rate("total_net_input_bytes")),
        bytes(rate("total_net_output_bytes")),
        rate("expired_keys"),
        rate("evicted_keys"),
        if ours.is_empty() {
            String::new()
        } else {
            format!("  stream {:.0}", rate("replicated_commands_applied"))
        },
    )?;
    let mut dbs = now.parts("db");
    dbs.retain(|(name, parts)| name.parse::<u32>().is_ok() && parts.contains_key("keys"));
    dbs.sort_by_key(|(name, _)| name.parse::<u32>().unwrap_or(u32::MAX));
    write!(out, "keys    ")?;
    for (name, parts) in &dbs {
        let of = |part: &str| parts.get(part).copied().unwrap_or(0.0);
        write!(out, " db{name} {:.0} ({:.0} expire)", of("keys"), of("expires"))?;
    }
    writeln!(out, "{}", if dbs.is_empty() { " none" } else { "" })?;
    commands(args, before, now, passed, out)
}

fn commands(args: &Args, before: &Look, now: &Look, passed: f64, out: &mut String) -> std::fmt::Result {
    let calls_before: HashMap<&str, f64> = before
        .parts("cmdstat_")
        .into_iter()
        .filter_map(|(name, parts)| Some((name, *parts.get("calls")?)))
        .collect();
    let tails: HashMap<&str, f64> = now
        .parts("latency_percentiles_usec_")
        .into_iter()
        .filter_map(|(name, parts)| Some((name, *parts.get("p99")?)))
        .collect();
    let mut rows: Vec<(f64, f64, f64, &str)> = now
        .parts("cmdstat_")
        .into_iter()
        .map(|(name, parts)| {
            let calls = parts.get("calls").copied().unwrap_or(0.0);
            let new = calls - calls_before.get(name).copied().unwrap_or(0.0);
            (new.max(0.0) / passed, calls, parts.get("usec_per_call").copied().unwrap_or(0.0), name)
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.3.cmp(b.3)));
    writeln!(out, "\n{:<24}{:>12}{:>14}{:>12}{:>12}", "command", "calls/s", "calls", "us/call", "p99 us")?;
    for (rate, calls, mean, name) in rows.into_iter().take(args.count) {
        let tail = tails.get(name).map_or_else(String::new, |tail| format!("{tail:.1}"));
        writeln!(out, "{name:<24}{rate:>12.1}{calls:>14.0}{mean:>12.2}{tail:>12}")?;
    }
    Ok(())
}

fn bytes(n: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let (mut n, mut unit) = (n.max(0.0), 0);
    while n >= 1000.0 && unit + 1 < units.len() {
        n /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{n:.0} B") } else { format!("{n:.1} {}", units[unit]) }
}

fn period(seconds: f64) -> String {
    let minutes = (seconds / 60.0).floor();
    match () {
        () if seconds < 120.0 => format!("{seconds:.0} s"),
        () if minutes < 120.0 => format!("{minutes:.0} min"),
        () if minutes < 48.0 * 60.0 => format!("{:.0} h", (minutes / 60.0).floor()),
        () => format!("{:.0} days", (minutes / 1440.0).floor()),
    }
}
