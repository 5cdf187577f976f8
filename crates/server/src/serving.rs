//! How replicas of this server are treated, by the usual names. All of it can be changed by CONFIG SET.

use std::time::Duration;

use replication::BacklogLimits;

use crate::options::Options;

/// Settings of the primary's side.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    /// `repl-backlog-size`.
    pub(crate) backlog: usize,
    /// `repl-backlog-ttl`. A backlog is never given up here: this is for show.
    backlog_ttl: Duration,
    /// `repl-ping-replica-period`.
    pub(crate) ping_interval: Duration,
    /// `repl-timeout`.
    pub(crate) timeout: Duration,
    /// `repl-diskless-sync`: dumps end with a mark; otherwise their length comes first.
    pub(crate) diskless: bool,
    /// `repl-diskless-sync-delay`: how long to wait for others who want the same dump.
    pub(crate) sync_delay: Duration,
    /// `min-replicas-to-write`.
    pub(crate) min_replicas: usize,
    /// `min-replicas-max-lag`.
    pub(crate) max_lag: Duration,
    /// `client-output-buffer-limit replica`: hard limit (0: none), soft limit, and its time.
    output_hard: usize,
    pub(crate) output_soft: u64,
    pub(crate) output_soft_time: Duration,
}

impl Serving {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            backlog: options.backlog.size,
            backlog_ttl: Duration::from_secs(3600),
            ping_interval: options.ping_interval,
            timeout: options.replication_timeout,
            diskless: true,
            sync_delay: Duration::ZERO,
            min_replicas: 0,
            max_lag: Duration::from_secs(10),
            output_hard: options.backlog.hard_limit,
            output_soft: 64 << 20,
            output_soft_time: Duration::from_secs(60),
        }
    }

    /// Bytes that a replica may lag at most; never less than the backlog.
    pub(crate) fn output_hard_limit(&self) -> usize {
        if self.output_hard == 0 { usize::MAX } else { self.output_hard.max(self.backlog) }
    }

    pub(crate) fn limits(&self) -> BacklogLimits {
        BacklogLimits { size: self.backlog, hard_limit: self.output_hard_limit() }
    }

    /// Names and values, as CONFIG GET shows them.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
        let seconds = |d: Duration| d.as_secs().to_string();
        let (hard, soft) = (self.output_hard, self.output_soft);
        let limits = format!(
            "normal 0 0 0 slave {hard} {soft} {} pubsub 33554432 8388608 60",
            self.output_soft_time.as_secs()
        );
        vec![
            ("repl-backlog-size", self.backlog.to_string()),
            ("repl-backlog-ttl", seconds(self.backlog_ttl)),
            ("repl-ping-replica-period", seconds(self.ping_interval)),
            ("repl-ping-slave-period", seconds(self.ping_interval)),
            ("repl-timeout", seconds(self.timeout)),
            ("repl-diskless-sync", yes(self.diskless)),
            ("repl-diskless-sync-delay", seconds(self.sync_delay)),
            ("min-replicas-to-write", self.min_replicas.to_string()),
            ("min-slaves-to-write", self.min_replicas.to_string()),
            ("min-replicas-max-lag", seconds(self.max_lag)),
            ("min-slaves-max-lag", seconds(self.max_lag)),
            ("client-output-buffer-limit", limits),
        ]
    }

    /// Sets one of them; `None` if the name is not one of them.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Option<Result<(), String>> {
        let number = |least: i64, most: i64| {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
            let number = number.ok_or("argument couldn't be parsed into an integer")?;
            if (least..=most).contains(&number) {
                Ok(number.unsigned_abs())
            } else {
                Err(format!("argument must be between {least} and {most} inclusive"))
            }
        };
        let most = i64::from(i32::MAX);
        let seconds = |least: i64| number(least, most).map(Duration::from_secs);
        Some(match name {
            "repl-backlog-size" => match crate::connection::memory_value(value) {
                Some(size) if size > 0 => {
                    self.backlog = usize::try_from(size).unwrap_or(usize::MAX);
                    Ok(())
                }
                Some(_) => Err("argument must be between 1 and 9223372036854775807 inclusive".to_owned()),
                None => Err("argument must be a memory value".to_owned()),
            },
            "repl-backlog-ttl" => seconds(0).map(|d| self.backlog_ttl = d),
            "repl-ping-replica-period" | "repl-ping-slave-period" => {
                seconds(1).map(|d| self.ping_interval = d)
            }
            "repl-timeout" => seconds(1).map(|d| self.timeout = d),
            "repl-diskless-sync" => match value.to_ascii_lowercase().as_slice() {
                b"yes" | b"no" => {
                    self.diskless = value.eq_ignore_ascii_case(b"yes");
                    Ok(())
                }
                _ => Err("argument must be 'yes' or 'no'".to_owned()),
            },
            "repl-diskless-sync-delay" => seconds(0).map(|d| self.sync_delay = d),
            "min-replicas-to-write" | "min-slaves-to-write" => {
                number(0, most).map(|n| self.min_replicas = usize::try_from(n).unwrap_or(usize::MAX))
            }
            "min-replicas-max-lag" | "min-slaves-max-lag" => seconds(0).map(|d| self.max_lag = d),
            "client-output-buffer-limit" => self.set_output_limits(value),
            _ => return None,
        })
    }

    /// Quadruples of class, hard limit, soft limit and seconds; only replicas are limited here.
    fn set_output_limits(&mut self, value: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(value);
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        let mut changed = self.clone();
        for quad in words.chunks_exact(4) {
            let class = quad[0].to_ascii_lowercase();
            if !["normal", "slave", "replica", "pubsub"].contains(&class.as_str()) {
                return Err("Invalid client class specified in buffer limit configuration.".to_owned());
            }
            let size = |text: &str| {
                crate::connection::memory_value(text.as_bytes()).and_then(|n| u64::try_from(n).ok())
            };
            let time = quad[3].parse().ok();
            let (Some(hard), Some(soft), Some(time)) = (size(quad[1]), size(quad[2]), time) else {
                return Err(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned()
                );
            };
            if class == "slave" || class == "replica" {
                changed.output_hard = usize::try_from(hard).unwrap_or(usize::MAX);
                changed.output_soft = soft;
                changed.output_soft_time = Duration::from_secs(time);
            }
        }
        *self = changed;
        Ok(())
    }
}
