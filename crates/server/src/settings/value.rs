//! Values from their text.

use store::{Differences, SettingKind};

/// A value from its text, or what is wrong with it.
pub(super) fn read(kind: SettingKind, text: &[u8], like: &Differences) -> Result<i64, String> {
    let integer = || store::number::parse_i64(text).ok_or("argument couldn't be parsed into an integer");
    let within = |n: i64, least: i64, most: i64| {
        if (least..=most).contains(&n) {
            return Ok(n);
        }
        Err(format!("argument must be between {least} and {most} inclusive"))
    };
    let from_0 = |n: i64| match n {
        0.. => Ok(n),
        _ if like.open_ranges => Err("argument must be greater or equal to 0".to_owned()),
        _ => within(n, 0, i64::MAX),
    };
    match kind {
        SettingKind::Integer(least, most) => within(integer()?, least, most),
        SettingKind::Samples => within(integer()?, 1, like.most_samples),
        SettingKind::Count => from_0(integer()?),
        SettingKind::Bytes(least) => {
            let bytes = match memory_value(text) {
                Some(bytes) => bytes,
                // As the servers read them: nothing is 0, and what is far too much is below everything.
                None if text.is_empty() => 0,
                None if text.iter().all(u8::is_ascii_digit) => -1,
                None => return Err("argument must be a memory value".to_owned()),
            };
            if least == 0 { from_0(bytes) } else { within(bytes, least, i64::MAX) }
        }
        SettingKind::Switch => match () {
            () if text.eq_ignore_ascii_case(b"yes") => Ok(1),
            () if text.eq_ignore_ascii_case(b"no") => Ok(0),
            () => Err("argument must be 'yes' or 'no'".to_owned()),
        },
        SettingKind::Choice(words) => {
            let place = words.iter().position(|word| text.eq_ignore_ascii_case(word.as_bytes()));
            let place = place.and_then(|at| i64::try_from(at).ok());
            place.ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
        }
    }
}

/// A number of bytes with an optional unit, as `512mb`.
#[must_use]
pub fn memory_value(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(unit)
}
