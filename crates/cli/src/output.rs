//! The standard output. Whoever reads it may have seen enough (`| head`): that is no error, and the exit code is still
//! the answer.

use std::fmt;
use std::io::{self, Write as _};

/// Writes a line.
macro_rules! say {
    ($($arg:tt)*) => { $crate::output::line(format_args!($($arg)*)) };
}

/// Writes a line; ends the program if it cannot be written to somebody who waits for it.
pub fn line(line: fmt::Arguments<'_>) {
    part(format_args!("{line}\n"));
}

/// The same without the end of the line.
pub fn part(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("replica: the standard output: {error}");
            std::process::exit(2);
        }
        _ => {}
    }
}
