//! `replica demo`.
use crate::Failure;
/// Arguments of `replica demo`.
#[derive(Debug, clap::Args)]
pub struct Args { /// Ends after the check.
 #[arg(long)] once: bool }
/// Demo.
pub fn run(_: &Args) -> Result<bool, Failure> { Ok(true) }
