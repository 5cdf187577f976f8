//! Commands sent in pipelines, with every reply looked at.

use crate::{Client, Reply, client};

/// A command as owned arguments.
pub(crate) type Command = Vec<Vec<u8>>;

/// Replies are awaited after so many commands or bytes.
const MAX_COMMANDS: usize = 5_000;
const MAX_BYTES: usize = 1 << 20;

/// What can stand in a command.
pub(crate) trait Arg {
    fn into_arg(self) -> Vec<u8>;
}

impl Arg for &str {
    fn into_arg(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Arg for String {
    fn into_arg(self) -> Vec<u8> {
        self.into_bytes()
    }
}

impl Arg for &String {
    fn into_arg(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Arg for &[u8] {
    fn into_arg(self) -> Vec<u8> {
        self.to_vec()
    }
}

impl Arg for Vec<u8> {
    fn into_arg(self) -> Vec<u8> {
        self
    }
}

impl Arg for &Vec<u8> {
    fn into_arg(self) -> Vec<u8> {
        self.clone()
    }
}

macro_rules! number_arg {
    ($($number:ty),*) => { $(impl Arg for $number {
        fn into_arg(self) -> Vec<u8> {
            self.to_string().into_bytes()
        }
    })* };
}
number_arg!(i32, i64, u64, usize);

/// A [`Command`] from arguments of any kinds.
macro_rules! cmd {
    ($($arg:expr),+ $(,)?) => { vec![$($crate::batch::Arg::into_arg($arg)),+] };
}
pub(crate) use cmd;

/// Collects commands and sends them in pipelines; `judge` sees each command with its reply.
pub(crate) struct Batch<'a, J> {
    client: &'a mut Client,
    judge: J,
    packed: Vec<u8>,
    commands: Vec<Command>,
}

impl<'a, J: FnMut(&Command, &Reply)> Batch<'a, J> {
    pub(crate) fn new(client: &'a mut Client, judge: J) -> Self {
        Self { client, judge, packed: Vec::new(), commands: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn push(&mut self, command: Command) {
        client::pack(&mut self.packed, &command);
        self.commands.push(command);
        if self.commands.len() >= MAX_COMMANDS || self.packed.len() >= MAX_BYTES {
            self.flush();
        }
    }

    #[track_caller]
    pub(crate) fn flush(&mut self) {
        let replies = match self.client.pipeline_bytes(&self.packed, self.commands.len()) {
            Ok(replies) => replies,
            Err(error) => panic!("a pipeline of {} commands failed: {error}", self.commands.len()),
        };
        for (command, reply) in self.commands.iter().zip(&replies) {
            (self.judge)(command, reply);
        }
        self.packed.clear();
        self.commands.clear();
    }
}

/// A command for a message, cut to a readable length.
pub(crate) fn shown(command: &Command) -> String {
    let words = command.iter().take(12).map(|arg| arg.escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
