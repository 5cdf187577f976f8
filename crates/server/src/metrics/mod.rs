//! Figures for those who watch over an engine: one registry, which INFO's sources fill, and its text for Prometheus.

mod gather;

use std::fmt;

/// What a figure does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Goes up and down.
    Gauge,
    /// Only grows, until a restart or CONFIG RESETSTAT.
    Counter,
    /// Quantiles, with the sum and the count of what was seen.
    Summary,
}

/// A figure of one name, for every set of labels that it has.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Metric {
    /// As `replica_keys`.
    pub name: &'static str,
    /// What it means, in a line.
    pub help: &'static str,
    /// What it does over time.
    pub kind: MetricKind,
    /// Its values.
    pub samples: Vec<Sample>,
}

/// A value with its labels.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// What the metric's name is followed by: nothing, or `_sum` and `_count` of a summary.
    pub suffix: &'static str,
    /// Names and values, as `db` and `0`.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// All figures of an engine at one moment. `Display` is the text format of Prometheus (version 0.0.4).
///
/// ```
/// use server::{Engine, Options, Role};
///
/// let engine = Engine::new(Role::Primary, Options::default());
/// let metrics = engine.metrics();
/// assert_eq!(metrics.value("replica_ready", &[]), Some(1.0));
/// assert!(metrics.to_string().contains("\n# TYPE replica_ready gauge\nreplica_ready 1\n"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    metrics: Vec<Metric>,
}

/// Whoever keeps figures elsewhere: a registry of the program's own, a push gateway, a log.
pub trait Sink {
    /// A metric's value, with its full name (a summary's sum is a name of its own).
    fn record(&mut self, metric: &Metric, name: &str, labels: &[(&'static str, String)], value: f64);
}

impl Metrics {
    /// The metrics, each name once.
    #[must_use]
    pub fn all(&self) -> &[Metric] {
        &self.metrics
    }

    /// The value of a metric with just these labels.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let metric = self.metrics.iter().find(|metric| metric.name == name)?;
        let same = |sample: &&Sample| {
            sample.suffix.is_empty()
                && sample.labels.len() == labels.len()
                && sample.labels.iter().all(|(name, value)| labels.contains(&(name, value.as_str())))
        };
        metric.samples.iter().find(same).map(|sample| sample.value)
    }

    /// Tells a sink every value.
    pub fn record(&self, sink: &mut impl Sink) {
        for metric in &self.metrics {
            for sample in &metric.samples {
                let name = format!("{}{}", metric.name, sample.suffix);
                sink.record(metric, &name, &sample.labels, sample.value);
            }
        }
    }

    fn family(&mut self, kind: MetricKind, name: &'static str, help: &'static str) -> Family<'_> {
        self.metrics.push(Metric { name, help, kind, samples: Vec::new() });
        Family { metrics: self }
    }

    fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(MetricKind::Gauge, name, help)
    }

    fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(MetricKind::Counter, name, help)
    }
}

/// The metric at hand; one without samples is left out at the end.
struct Family<'m> {
    metrics: &'m mut Metrics,
}

impl Family<'_> {
    fn sample(&mut self, suffix: &'static str, labels: Vec<(&'static str, String)>, value: f64) {
        if let Some(metric) = self.metrics.metrics.last_mut() {
            metric.samples.push(Sample { suffix, labels, value });
        }
    }

    fn is(mut self, value: f64) {
        self.sample("", Vec::new(), value);
    }

    fn with(&mut self, label: &'static str, value: impl ToString, sample: f64) {
        self.sample("", vec![(label, value.to_string())], sample);
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Metric { name, help, kind, samples } in &self.metrics {
            let kind = match kind {
                MetricKind::Gauge => "gauge",
                MetricKind::Counter => "counter",
                MetricKind::Summary => "summary",
            };
            writeln!(f, "# HELP {name} {}", Escaped(help, false))?;
            writeln!(f, "# TYPE {name} {kind}")?;
            for sample in samples {
                write!(f, "{name}{}", sample.suffix)?;
                for (index, (label, value)) in sample.labels.iter().enumerate() {
                    write!(f, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, Escaped(value, true))?;
                }
                let end = if sample.labels.is_empty() { "" } else { "}" };
                match sample.value {
                    value if value.is_nan() => writeln!(f, "{end} NaN")?,
                    value if value.is_infinite() => {
                        writeln!(f, "{end} {}Inf", if value > 0.0 { '+' } else { '-' })?
                    }
                    value => writeln!(f, "{end} {value}")?,
                }
            }
        }
        Ok(())
    }
}

/// Text with what would end it escaped.
struct Escaped<'a>(&'a str, bool);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 => f.write_str("\\\"")?,
                char => write!(f, "{char}")?,
            }
        }
        Ok(())
    }
}
