//! `replica verify`: two servers compared key by key, by what clients would read.

use std::fmt;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use replica::{Report, Verify};

use crate::Failure;

/// Arguments of `replica verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The primary: redis://user:password@host:port, or host:port; or redis-cluster://user:password@host:port,host:port
    /// for all primaries of a cluster together.
    #[arg(long, value_name = "URL")]
    master: String,
    /// The copy: the same forms.
    #[arg(long, value_name = "URL")]
    replica: String,
    /// How many differences to name.
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// How often a difference is looked at again before it counts: writes may be on their way.
    #[arg(long, default_value_t = 3)]
    retries: u32,
    #[command(flatten)]
    tls: crate::tls::Args,
    /// What of the primary the copy keeps. Without one, what the copy says in its INFO.
    #[command(flatten)]
    filter: crate::filter::Keys,
}

impl Args {
    /// Two servers on this machine.
    pub fn between(master: String, replica: String) -> Self {
        Self {
            master,
            replica,
            show: 10,
            retries: 3,
            tls: crate::tls::Args::default(),
            filter: crate::filter::Keys::default(),
        }
    }
}

/// Compares, prints, and answers whether the two are equal.
pub fn run(args: &Args) -> Result<bool, Failure> {
    let report = compare(args)?;
    for example in &report.examples {
        say!("{example}");
    }
    for (what, count) in &report.differences {
        say!("{count} x {what}");
    }
    if !report.filter.is_empty() {
        say!("of what this filter keeps: {}", report.filter);
    }
    if report.filter.chooses_commands() {
        say!("the copy applies only some commands: what the others did at the primary differs here");
    }
    say!("{} keys in {} databases compared: {} differences", report.keys, report.databases, report.total());
    Ok(report.total() == 0)
}

/// Compares every key of every database.
pub fn compare(args: &Args) -> Result<Report, Failure> {
    let bar = if std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} keys {rate} {eta}")?
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Nobody is there to be told that a line could not be written.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            });
        ProgressBar::new(0).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let told = bar.clone();
    let mut verify =
        Verify::new().retries(args.retries).examples(args.show).filter(args.filter.build()?).on_progress(
            move |done, all| {
                told.set_length(all);
                told.set_position(done);
            },
        );
    if [&args.master, &args.replica].iter().any(|url| url.starts_with("rediss") || url.starts_with("valkeys"))
    {
        verify = verify.tls(args.tls.build()?);
    }
    let report = verify.between(&args.master, &args.replica)?;
    bar.finish_and_clear();
    Ok(report)
}
