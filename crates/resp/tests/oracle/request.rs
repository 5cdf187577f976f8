//! Requests.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete as whole;
use nom::bytes::streaming::{take, take_till};
use nom::combinator::{eof, map, opt, peek, value, verify};
use nom::multi::many0;
use nom::sequence::{delimited, preceded, terminated};
use resp::{Limits, Mode, ProtocolError};

use super::{Broken, Outcome, Parsed, fail, run};

pub type Args = Vec<Vec<u8>>;

/// All requests of `input`, as Redis reads them, with the length of each on the wire.
pub fn requests(input: &[u8], limits: Limits, mode: Mode, authenticated: bool) -> Outcome<(usize, Args)> {
    run(input, |input| request(input, limits, mode, authenticated))
}

fn request(input: &[u8], limits: Limits, mode: Mode, authenticated: bool) -> Parsed<'_, Args> {
    let (_, first) = peek(take(1usize)).parse(input)?;
    match (first, mode) {
        (b"*", _) => multibulk(input, limits, mode, authenticated),
        (_, Mode::Client) => inline(input, limits),
        (_, Mode::Stream) => bare_newline(input),
    }
}

fn bare_newline(input: &[u8]) -> Parsed<'_, Args> {
    match input {
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => Ok((rest, Vec::new())),
        [b'\r'] => Err(nom::Err::Incomplete(nom::Needed::new(1))),
        _ => fail(ProtocolError::InlineFromPrimary),
    }
}

/// A client's line that has a NUL in it never ends.
fn line(input: &[u8], mode: Mode, end: u8, limit: usize, too_long: ProtocolError) -> Parsed<'_, &[u8]> {
    let found: Parsed<'_, &[u8]> = take_till(|byte| byte == end || byte == 0 && mode == Mode::Client)(input);
    match found {
        Ok((rest, line)) if line.len() <= limit && rest.first() != Some(&end) && input.len() > limit => {
            fail(too_long)
        }
        Ok((rest, line)) if line.len() <= limit && rest.first() != Some(&end) => {
            Err(nom::Err::Incomplete(nom::Needed::Unknown))
        }
        Err(nom::Err::Incomplete(_)) if input.len() > limit => fail(too_long),
        Ok((_, line)) if line.len() > limit => fail(too_long),
        other => other,
    }
}

/// The one spelling that `i64::to_string` gives.
fn canonical(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

fn multibulk(input: &[u8], limits: Limits, mode: Mode, authenticated: bool) -> Parsed<'_, Args> {
    let (rest, header) = line(input, mode, b'\r', limits.line_len, ProtocolError::MultibulkCountTooLong)?;
    let (mut rest, _) = take(2usize)(rest)?;
    let count = match canonical(&header[1..]) {
        None => return fail(ProtocolError::InvalidMultibulkLength),
        Some(count) => u64::try_from(count).unwrap_or(0),
    };
    if count > limits.elements {
        return fail(ProtocolError::InvalidMultibulkLength);
    }
    if count > 10 && !authenticated {
        return fail(ProtocolError::UnauthenticatedMultibulkLength);
    }
    let mut args = Vec::new();
    for _ in 0..count {
        let (behind, arg) = argument(input, rest, limits, mode, authenticated)?;
        args.push(arg.to_vec());
        rest = behind;
    }
    Ok((rest, args))
}

fn argument<'a>(
    frame: &'a [u8],
    input: &'a [u8],
    limits: Limits,
    mode: Mode,
    authenticated: bool,
) -> Parsed<'a, &'a [u8]> {
    let (rest, header) = line(input, mode, b'\r', limits.line_len, ProtocolError::BulkCountTooLong)?;
    let (rest, _) = take(2usize)(rest)?;
    let digits = match header {
        [b'$', digits @ ..] => digits,
        [] => return fail(ProtocolError::ExpectedBulk(b'\r')),
        [other, ..] => return fail(ProtocolError::ExpectedBulk(*other)),
    };
    let len = match canonical(digits).map(u64::try_from) {
        Some(Ok(len)) if len <= limits.bulk_len => len,
        _ => return fail(ProtocolError::InvalidBulkLength),
    };
    if len > 16384 && !authenticated {
        return fail(ProtocolError::UnauthenticatedBulkLength);
    }
    let frame_len = (frame.len() - rest.len()) as u64 + len + 2;
    if frame_len > limits.frame_len.min(u32::MAX.into()) {
        return fail(ProtocolError::FrameTooLong);
    }
    terminated(take(len), take(2usize)).parse(rest)
}

fn inline(input: &[u8], limits: Limits) -> Parsed<'_, Args> {
    let (rest, text) = line(input, Mode::Client, b'\n', limits.line_len, ProtocolError::InlineTooLong)?;
    let (rest, _) = take(1usize)(rest)?;
    if (input.len() - rest.len()) as u64 > limits.frame_len.min(u32::MAX.into()) {
        return fail(ProtocolError::FrameTooLong);
    }
    match words(text.strip_suffix(b"\r").unwrap_or(text)) {
        Ok((b"", words)) => Ok((rest, words)),
        _ => fail(ProtocolError::UnbalancedQuotes),
    }
}

fn words(line: &[u8]) -> Parsed<'_, Args> {
    preceded(spaces, many0(terminated(word, spaces))).parse(line)
}

fn spaces(input: &[u8]) -> Parsed<'_, &[u8]> {
    whole::take_while(|byte| b" \t\n\x0b\x0c\r".contains(&byte))(input)
}

fn word(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let plain = whole::take_till(|byte| b" \t\n\r\"'".contains(&byte));
    let quoted =
        terminated(alt((double_quoted, single_quoted)), alt((value((), peek(space)), value((), eof))));
    // A quote that does not close leaves input over, which the caller notices.
    let (rest, (plain, quoted)) =
        verify((plain, opt(quoted)), |(plain, quoted): &(&[u8], Option<Vec<u8>>)| {
            !plain.is_empty() || quoted.is_some()
        })
        .parse(input)?;
    if quoted.is_none() && matches!(rest.first(), Some(b'"' | b'\'')) {
        return Err(nom::Err::Failure(Broken(None)));
    }
    Ok((rest, [plain, &quoted.unwrap_or_default()].concat()))
}

fn space(input: &[u8]) -> Parsed<'_, &[u8]> {
    verify(whole::take(1usize), |byte: &[u8]| b" \t\n\x0b\x0c\r".contains(&byte[0])).parse(input)
}

fn double_quoted(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let hex = verify(whole::take(2usize), |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit));
    let hex = map(preceded(whole::tag(&b"\\x"[..]), hex), |digits: &[u8]| {
        u8::from_str_radix(&String::from_utf8_lossy(digits), 16).expect("two hexadecimal digits")
    });
    let escape = map(preceded(whole::tag(&b"\\"[..]), whole::take(1usize)), |byte: &[u8]| match byte[0] {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    });
    let plain =
        map(verify(whole::take(1usize), |byte: &[u8]| byte != b"\"" && byte != b"\\"), |byte: &[u8]| byte[0]);
    delimited(whole::tag(&b"\""[..]), many0(alt((hex, escape, plain))), whole::tag(&b"\""[..])).parse(input)
}

fn single_quoted(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let escape = value(b'\'', whole::tag(&b"\\'"[..]));
    let plain = map(verify(whole::take(1usize), |byte: &[u8]| byte != b"'"), |byte: &[u8]| byte[0]);
    delimited(whole::tag(&b"'"[..]), many0(alt((escape, plain))), whole::tag(&b"'"[..])).parse(input)
}
