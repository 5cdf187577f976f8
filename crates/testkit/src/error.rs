//! Why a real server could not be had, and what to do about it.

use std::io;
use std::path::PathBuf;

/// A server or tool that could not be fetched. The text names the way to get it by hand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A program that fetches for us failed or is missing.
    #[error("{what} is not on this machine and could not be fetched: `{command}` failed: {output}\n{remedy}")]
    Command {
        /// The server or tool that was wanted.
        what: String,
        /// The command line that failed.
        command: String,
        /// The end of what it printed.
        output: String,
        /// What a person can do.
        remedy: String,
    },
    /// The fetched or named program is not the wanted version.
    #[error("{what}: `{} --version` should name version {wanted}, but says: {said}\n{remedy}", program.display())]
    Version {
        /// The server or tool that was wanted.
        what: String,
        /// The program that was asked.
        program: PathBuf,
        /// The pinned version.
        wanted: &'static str,
        /// What the program said, or why it did not run.
        said: String,
        /// What a person can do.
        remedy: String,
    },
    /// The cache directory cannot be used.
    #[error("cannot use {} for test servers: {source}", path.display())]
    Cache {
        /// The directory or file in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
