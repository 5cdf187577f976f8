//! A command for the primary.

use std::fmt;

use ::store::Blob;
use bytes::Bytes;

/// A command with its arguments, for [`Replica::write`](crate::Replica::write). [`cmd!`](crate::cmd) makes one in a line.
///
/// ```
/// use replica::{Cmd, cmd};
///
/// let short = cmd!("SET", "visits", 5);
/// let long = Cmd::new("SET").arg("visits").arg(5);
/// assert_eq!(short, long);
/// let elsewhere = cmd!("RPUSH", "log").args(["a", "b"]).in_db(2);
/// # drop(elsewhere);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Cmd {
    args: Vec<Vec<u8>>,
    db: u32,
}

impl Cmd {
    /// A command without arguments, in database 0.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { args: vec![name.as_bytes().to_vec()], db: 0 }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl ToArg) -> Self {
        self.args.push(arg.to_arg());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args<A: ToArg>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.to_arg()));
        self
    }

    /// In another database.
    #[must_use]
    pub fn in_db(mut self, db: u32) -> Self {
        self.db = db;
        self
    }

    /// The database in which it runs.
    #[must_use]
    pub fn db(&self) -> u32 {
        self.db
    }

    /// Name and arguments.
    #[must_use]
    pub fn words(&self) -> &[Vec<u8>] {
        &self.args
    }
}

impl fmt::Debug for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>", self.db)?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.escape_ascii()))
    }
}

/// A [`Cmd`](crate::Cmd) from its words: text, bytes and numbers.
///
/// ```
/// let cmd = replica::cmd!("ZADD", "scores", 1.5, "ada");
/// assert_eq!(cmd.words()[2], b"1.5");
/// ```
#[macro_export]
macro_rules! cmd {
    ($name:expr $(, $arg:expr)* $(,)?) => {
        $crate::Cmd::new($name)$(.arg($arg))*
    };
}

/// What can stand in a command.
pub trait ToArg {
    /// Its bytes on the wire.
    fn to_arg(&self) -> Vec<u8>;
}

macro_rules! bytes {
    ($($type:ty),*) => {$(
        impl ToArg for $type {
            fn to_arg(&self) -> Vec<u8> {
                AsRef::<[u8]>::as_ref(self).to_vec()
            }
        }
    )*};
}

bytes!(str, String, [u8], Vec<u8>, Bytes, Blob);

impl<const N: usize> ToArg for [u8; N] {
    fn to_arg(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl<T: ToArg + ?Sized> ToArg for &T {
    fn to_arg(&self) -> Vec<u8> {
        (**self).to_arg()
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl ToArg for $type {
            fn to_arg(&self) -> Vec<u8> {
                self.to_string().into_bytes()
            }
        }
    )*};
}

numbers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64);
