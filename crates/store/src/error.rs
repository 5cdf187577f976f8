//! Errors of commands, worded as clients expect them.

use std::borrow::Cow;
use std::fmt;

/// A command's error. `Display` gives the exact text of the reply, code first, without the leading `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The key holds another kind of value.
    WrongType,
    /// The arguments do not follow the command's grammar.
    Syntax,
    /// Not a 64-bit signed decimal.
    NotAnInteger,
    /// Not a double.
    NotAFloat,
    /// The wrong number of arguments; the command's name in lower case, `|` before a subcommand.
    Arity(Cow<'static, str>),
    /// `ERR no such key`
    NoSuchKey,
    /// `ERR index out of range`
    IndexOutOfRange,
    /// `ERR offset is out of range`, `ERR value is out of range, must be positive` and the like: the text
    /// after `ERR `.
    Err(Cow<'static, str>),
    /// Any other text, code included.
    Coded(Cow<'static, str>),
    /// A text that repeats what a client sent, which may be any bytes; code included.
    Raw(Box<[u8]>),
}

impl CommandError {
    /// What a container answers to a subcommand with arguments that do not fit.
    #[must_use]
    pub fn subcommand_syntax(args: crate::Args<'_>) -> Self {
        let shown = |i| String::from_utf8_lossy(&args.at(i)[..args.at(i).len().min(128)]).into_owned();
        let (container, name) = (shown(0).to_ascii_uppercase(), shown(1));
        let text =
            format!("unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.");
        Self::Err(text.into())
    }

    /// An error with the code `ERR` and a text known at compile time.
    #[must_use]
    pub const fn err(text: &'static str) -> Self {
        Self::Err(Cow::Borrowed(text))
    }

    /// An error with its own code, known at compile time.
    #[must_use]
    pub const fn coded(text: &'static str) -> Self {
        Self::Coded(Cow::Borrowed(text))
    }

    /// The exact bytes of the reply, without the leading `-`.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Raw(bytes) => Cow::Borrowed(bytes),
            Self::Coded(text) => Cow::Borrowed(text.as_bytes()),
            other => Cow::Owned(other.to_string().into_bytes()),
        }
    }
}

/// An argument as the real servers print it in an error: as a C string, cut at some length.
#[must_use]
pub fn as_c_string(arg: &[u8], most: usize) -> &[u8] {
    let text = arg.split(|byte| *byte == 0).next().unwrap_or_default();
    &text[..text.len().min(most)]
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType => {
                f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            Self::Syntax => f.write_str("ERR syntax error"),
            Self::NotAnInteger => f.write_str("ERR value is not an integer or out of range"),
            Self::NotAFloat => f.write_str("ERR value is not a valid float"),
            Self::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            Self::NoSuchKey => f.write_str("ERR no such key"),
            Self::IndexOutOfRange => f.write_str("ERR index out of range"),
            Self::Err(text) => write!(f, "ERR {text}"),
            Self::Coded(text) => f.write_str(text),
            Self::Raw(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

impl std::error::Error for CommandError {}

/// What a handler answers: `Ok` if it has written one reply, else the error to write.
pub type CommandResult = Result<(), CommandError>;
