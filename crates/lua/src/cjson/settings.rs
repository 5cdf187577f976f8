//! What a script can set, and how it is told what it set wrong.

use crate::number;
use crate::raw::{Frame, Kind, Raise};

/// What to do with numbers that JSON has no word for.
pub(super) const OFF: i32 = 0;
pub(super) const NULL: i32 = 2;

/// How many numbers hold [`Settings`].
pub(super) const COUNT: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Sparse arrays become objects instead of an error.
    pub(super) sparse_convert: i32,
    /// An array is sparse if it has more than this many places for each element...
    pub(super) sparse_ratio: i32,
    /// ...and more places than this.
    pub(super) sparse_safe: i32,
    pub(super) encode_depth: i32,
    pub(super) decode_depth: i32,
    pub(super) precision: i32,
    keep_buffer: i32,
    pub(super) encode_invalid: i32,
    pub(super) decode_invalid: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self::from_numbers([0, 2, 10, 1000, 1000, 14, 1, OFF, 1])
    }
}

impl Settings {
    pub(super) fn numbers(&self) -> [i32; COUNT] {
        [
            self.sparse_convert,
            self.sparse_ratio,
            self.sparse_safe,
            self.encode_depth,
            self.decode_depth,
            self.precision,
            self.keep_buffer,
            self.encode_invalid,
            self.decode_invalid,
        ]
    }

    pub(super) fn from_numbers(numbers: [i32; COUNT]) -> Self {
        let [
            sparse_convert,
            sparse_ratio,
            sparse_safe,
            encode_depth,
            decode_depth,
            precision,
            keep_buffer,
            encode_invalid,
            decode_invalid,
        ] = numbers;
        Self {
            sparse_convert,
            sparse_ratio,
            sparse_safe,
            encode_depth,
            decode_depth,
            precision,
            keep_buffer,
            encode_invalid,
            decode_invalid,
        }
    }
}

const SWITCH: &[&str] = &["off", "on"];
const INVALID: &[&str] = &["off", "on", "null"];

/// Changes the settings with `change`, which sees the arguments in order; what was set before an error stays set.
fn change(
    frame: &mut Frame<'_>,
    name: &'static str,
    most: usize,
    change: impl FnOnce(&mut Frame<'_>, &mut Settings) -> Result<(), Raise>,
) -> Result<usize, Raise> {
    if frame.args() > most {
        return Err(frame.bad_argument(most + 1, name, "found too many arguments"));
    }
    let mut settings = super::settings(frame)?;
    let base = frame.top();
    let result = change(frame, &mut settings);
    super::store(frame, &settings)?;
    result?;
    Ok((frame.top() - base) as usize)
}

fn is_given(frame: &Frame<'_>, position: usize) -> bool {
    position <= frame.args() && frame.kind(position as i32) != Kind::Nil
}

fn integer(
    frame: &Frame<'_>,
    name: &str,
    position: usize,
    setting: &mut i32,
    (least, most): (i32, i32),
) -> Result<(), Raise> {
    if is_given(frame, position) {
        let n = number::truncate(frame.want_number(position, name)?) as i32;
        if !(least..=most).contains(&n) {
            // The original always speaks of the first argument.
            return Err(frame.bad_argument(1, name, &format!("expected integer between {least} and {most}")));
        }
        *setting = n;
    }
    frame.push_number(f64::from(*setting));
    Ok(())
}

fn choice(
    frame: &Frame<'_>,
    name: &str,
    position: usize,
    setting: &mut i32,
    words: &[&str],
) -> Result<(), Raise> {
    if is_given(frame, position) {
        if frame.kind(position as i32) == Kind::Boolean {
            *setting = i32::from(frame.truth(position as i32));
        } else {
            let word = frame.want_text(position, name)?;
            let found = words.iter().position(|known| known.as_bytes() == &*word);
            let Some(found) = found else {
                let detail = format!("invalid option '{}'", String::from_utf8_lossy(&word));
                return Err(frame.bad_argument(position, name, &detail));
            };
            *setting = found as i32;
        }
    }
    match words.get(*setting as usize) {
        Some(word) if *setting > 1 => frame.push_bytes(word.as_bytes()),
        _ => frame.push_bool(*setting == 1),
    }
    Ok(())
}

pub(super) fn encode_sparse_array(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "encode_sparse_array";
    change(frame, NAME, 3, |frame, settings| {
        choice(frame, NAME, 1, &mut settings.sparse_convert, SWITCH)?;
        integer(frame, NAME, 2, &mut settings.sparse_ratio, (0, i32::MAX))?;
        integer(frame, NAME, 3, &mut settings.sparse_safe, (0, i32::MAX))
    })
}

pub(super) fn encode_max_depth(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "encode_max_depth";
    change(frame, NAME, 1, |frame, s| integer(frame, NAME, 1, &mut s.encode_depth, (1, i32::MAX)))
}

pub(super) fn decode_max_depth(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "decode_max_depth";
    change(frame, NAME, 1, |frame, s| integer(frame, NAME, 1, &mut s.decode_depth, (1, i32::MAX)))
}

pub(super) fn encode_number_precision(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "encode_number_precision";
    change(frame, NAME, 1, |frame, s| integer(frame, NAME, 1, &mut s.precision, (1, 14)))
}

pub(super) fn encode_keep_buffer(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "encode_keep_buffer";
    change(frame, NAME, 1, |frame, s| choice(frame, NAME, 1, &mut s.keep_buffer, SWITCH))
}

pub(super) fn encode_invalid_numbers(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "encode_invalid_numbers";
    change(frame, NAME, 1, |frame, s| choice(frame, NAME, 1, &mut s.encode_invalid, INVALID))
}

pub(super) fn decode_invalid_numbers(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    const NAME: &str = "decode_invalid_numbers";
    change(frame, NAME, 1, |frame, s| choice(frame, NAME, 1, &mut s.decode_invalid, SWITCH))
}
