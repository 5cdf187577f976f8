//! What a script run can end in instead of a reply.

use std::borrow::Cow;

/// Why there is no reply. [`Error::line`] is what a Redis client expects after the dash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No script with this digest.
    #[error("NOSCRIPT No matching script. Please use EVAL.")]
    NoScript,
    /// No function with this name.
    #[error("ERR Function not found")]
    NoFunction,
    /// A library cannot be loaded or found; the server's message.
    #[error("ERR {0}")]
    Function(String),
    /// The source does not compile; Lua's message.
    #[error("ERR Error compiling script (new function): {0}")]
    Compile(String),
    /// The first line starts with `#!` and cannot be understood.
    #[error("ERR {0}")]
    Shebang(String),
    /// The script raised an error; the whole line, with the place where it happened.
    #[error("{}", String::from_utf8_lossy(.0))]
    Script(Vec<u8>),
    /// Somebody asked for the end through a [`KillSwitch`](crate::KillSwitch).
    #[error("{}", String::from_utf8_lossy(.0))]
    Killed(Vec<u8>),
    /// The time limit passed.
    #[error("{}", String::from_utf8_lossy(.0))]
    TimeLimit(Vec<u8>),
    /// The host gave the run up ([`ReplyBuilder::give_up`](crate::ReplyBuilder::give_up)).
    #[error("ERR The script was given up.")]
    GivenUp,
    /// The interpreter could not be set up.
    #[error("ERR {0}")]
    Interpreter(String),
}

impl Error {
    /// The error line without dash and line end.
    pub fn line(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Script(line) | Self::Killed(line) | Self::TimeLimit(line) => Cow::Borrowed(line),
            other => {
                let mut text = other.to_string().into_bytes();
                one_line(&mut text);
                Cow::Owned(text)
            }
        }
    }
}

/// Line ends would end the reply early: they become blanks, as in Redis.
pub(crate) fn one_line(text: &mut [u8]) {
    for byte in text {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}

/// Why a script was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Killed,
    TimeLimit,
    GivenUp,
}
