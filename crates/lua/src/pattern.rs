//! Lua's patterns, with a bound on their work: the original backtracks for as long as it likes, out of reach of
//! any hook.

use crate::number;
use crate::raw::{Frame, Kind, Raise};

/// The most captures that a pattern may have.
const MAX_CAPTURES: usize = 32;
/// How deep matching may recurse, as the original's bound on calls in C.
const MAX_DEPTH: usize = 200;
/// Characters looked at between two looks at the clock.
const STRIDE: usize = 4096;
/// The characters that make a text a pattern.
const SPECIALS: &[u8] = b"^$*+?.([%-";

#[derive(Debug, Clone, Copy)]
struct Capture {
    start: usize,
    len: Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Open,
    Position,
    Closed(usize),
}

/// One search.
struct Matcher<'a, 'f, 'l> {
    frame: &'f Frame<'l>,
    text: &'a [u8],
    pattern: &'a [u8],
    captures: [Capture; MAX_CAPTURES],
    level: usize,
    depth: usize,
    /// Characters looked at since the last look at the clock.
    work: usize,
}

/// To the original a pattern is a text of C's.
fn until_nul(pattern: &[u8]) -> &[u8] {
    &pattern[..memchr::memchr(0, pattern).unwrap_or(pattern.len())]
}

type Found = Result<Option<usize>, Raise>;

impl<'a, 'f, 'l> Matcher<'a, 'f, 'l> {
    fn new(frame: &'f Frame<'l>, text: &'a [u8], pattern: &'a [u8]) -> Self {
        let pattern = until_nul(pattern);
        let captures = [Capture { start: 0, len: Length::Open }; MAX_CAPTURES];
        Self { frame, text, pattern, captures, level: 0, depth: 0, work: 0 }
    }

    fn at(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    /// So many characters of the text or the pattern were looked at.
    fn count(&mut self, characters: usize) -> Result<(), Raise> {
        self.work += characters;
        if self.work < STRIDE {
            return Ok(());
        }
        self.work = 0;
        self.frame.check_now()
    }

    /// The end of a match of the pattern's rest at `p` with the text at `s`.
    fn run(&mut self, s: usize, p: usize) -> Found {
        if self.depth >= MAX_DEPTH {
            return Err(Raise::text("pattern too complex"));
        }
        self.depth += 1;
        let found = self.run_here(s, p);
        self.depth -= 1;
        found
    }

    fn run_here(&mut self, mut s: usize, mut p: usize) -> Found {
        loop {
            self.count(1)?;
            let Some(byte) = self.at(p) else { return Ok(Some(s)) };
            match (byte, self.at(p + 1)) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Length::Position),
                (b'(', _) => return self.open(s, p + 1, Length::Open),
                (b')', _) => return self.close(s, p + 1),
                (b'%', Some(b'b')) => match self.balance(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    p += 2;
                    if self.at(p) != Some(b'[') {
                        return Err(Raise::text("missing '[' after '%f' in pattern"));
                    }
                    let end = self.class_end(p)?;
                    self.count(2 * (end - p))?;
                    let before = if s == 0 { 0 } else { self.text[s - 1] };
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p, end - 1) || !self.in_set(here, p, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => match self.back_reference(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                _ => {
                    let end = self.class_end(p)?;
                    self.count(end - p)?;
                    let one = s < self.text.len() && self.single(self.text[s], p, end);
                    match self.at(end) {
                        Some(b'?') => {
                            if one && let Some(found) = self.run(s + 1, end + 1)? {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.most(s, p, end),
                        Some(b'+') => return if one { self.most(s + 1, p, end) } else { Ok(None) },
                        Some(b'-') => return self.least(s, p, end),
                        _ if !one => return Ok(None),
                        _ => (s, p) = (s + 1, end),
                    }
                }
            }
        }
    }

    fn most(&mut self, s: usize, p: usize, end: usize) -> Found {
        let mut count = 0;
        while self.text.get(s + count).is_some_and(|byte| self.single(*byte, p, end)) {
            count += 1;
            self.count(end - p)?;
        }
        loop {
            if let Some(found) = self.run(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn least(&mut self, mut s: usize, p: usize, end: usize) -> Found {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.text.get(s).is_some_and(|byte| self.single(*byte, p, end)) {
                return Ok(None);
            }
            self.count(end - p)?;
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, len: Length) -> Found {
        let Some(capture) = self.captures.get_mut(self.level) else {
            return Err(Raise::text("too many captures"));
        };
        *capture = Capture { start: s, len };
        self.level += 1;
        let found = self.run(s, p)?;
        if found.is_none() {
            self.level -= 1;
        }
        Ok(found)
    }

    fn close(&mut self, s: usize, p: usize) -> Found {
        let open = (0..self.level).rev().find(|index| self.captures[*index].len == Length::Open);
        let Some(index) = open else { return Err(Raise::text("invalid pattern capture")) };
        self.captures[index].len = Length::Closed(s - self.captures[index].start);
        let found = self.run(s, p)?;
        if found.is_none() {
            self.captures[index].len = Length::Open;
        }
        Ok(found)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Found {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let capture = self.captures.get(index).filter(|_| index < self.level);
        let Some(Capture { start, len }) = capture.copied().filter(|capture| capture.len != Length::Open)
        else {
            return Err(Raise::text("invalid capture index"));
        };
        // A position is no text that could come again.
        let Length::Closed(len) = len else { return Ok(None) };
        let (text, known) = (self.text, &self.text[start..start + len]);
        self.count(len)?;
        Ok(text.get(s..s + len).is_some_and(|here| here == known).then_some(s + len))
    }

    fn balance(&mut self, s: usize, p: usize) -> Found {
        let (Some(open), Some(close)) = (self.at(p), self.at(p + 1)) else {
            return Err(Raise::text("unbalanced pattern"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1usize;
        for (at, byte) in self.text.iter().enumerate().skip(s + 1) {
            if *byte == close {
                depth -= 1;
                if depth == 0 {
                    self.count(at - s)?;
                    return Ok(Some(at + 1));
                }
            } else if *byte == open {
                depth += 1;
            }
        }
        self.count(self.text.len() - s)?;
        Ok(None)
    }

    /// Where the single character, class or set at `p` ends.
    fn class_end(&self, p: usize) -> Result<usize, Raise> {
        match self.at(p) {
            Some(b'%') if self.at(p + 1).is_none() => Err(Raise::text("malformed pattern (ends with '%')")),
            Some(b'%') => Ok(p + 2),
            Some(b'[') => {
                let mut p = p + 1 + usize::from(self.at(p + 1) == Some(b'^'));
                // The first character is never the end.
                loop {
                    match self.at(p) {
                        None => return Err(Raise::text("malformed pattern (missing ']')")),
                        Some(b'%') if self.at(p + 1).is_some() => p += 2,
                        Some(_) => p += 1,
                    }
                    if self.at(p) == Some(b']') {
                        return Ok(p + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn single(&self, byte: u8, p: usize, end: usize) -> bool {
        match self.pattern[p] {
            b'.' => true,
            b'%' => in_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end - 1),
            other => other == byte,
        }
    }

    /// Whether the set from `[` at `p` to `]` at `end` has `byte`.
    fn in_set(&self, byte: u8, mut p: usize, end: usize) -> bool {
        let mut yes = true;
        if self.at(p + 1) == Some(b'^') {
            yes = false;
            p += 1;
        }
        p += 1;
        while p < end {
            if self.pattern[p] == b'%' {
                p += 1;
                if in_class(byte, self.pattern[p]) {
                    return yes;
                }
                p += 1;
            } else if self.at(p + 1) == Some(b'-') && p + 2 < end {
                if (self.pattern[p]..=self.pattern[p + 2]).contains(&byte) {
                    return yes;
                }
                p += 3;
            } else {
                if self.pattern[p] == byte {
                    return yes;
                }
                p += 1;
            }
        }
        !yes
    }

    /// Pushes the captures, or the whole match if there are none; how many.
    fn push_captures(&self, whole: Option<(usize, usize)>) -> Result<usize, Raise> {
        let count = if self.level == 0 && whole.is_some() { 1 } else { self.level };
        self.frame.reserve(count + 4).map_err(|_| Raise::text("stack overflow (too many captures)"))?;
        for index in 0..count {
            self.push_capture(index, whole.unwrap_or((0, 0)))?;
        }
        Ok(count)
    }

    fn push_capture(&self, index: usize, (start, end): (usize, usize)) -> Result<(), Raise> {
        if index >= self.level {
            if index != 0 {
                return Err(Raise::text("invalid capture index"));
            }
            self.frame.push_bytes(&self.text[start..end]);
            return Ok(());
        }
        let Capture { start, len } = self.captures[index];
        match len {
            Length::Open => return Err(Raise::text("unfinished capture")),
            Length::Position => self.frame.push_number(start as f64 + 1.0),
            Length::Closed(len) => self.frame.push_bytes(&self.text[start..start + len]),
        }
        Ok(())
    }
}

/// The classes of C's locale "C"; a letter in upper case means the others.
fn in_class(byte: u8, class: u8) -> bool {
    let yes = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | 9..=13),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    yes != class.is_ascii_uppercase()
}

/// The position that Lua's argument `n` means in a text of `len`, from 0.
fn start(frame: &Frame<'_>, position: usize, name: &str, len: usize) -> Result<usize, Raise> {
    let n = match frame.args() {
        args if args >= position && frame.kind(position as i32) != Kind::Nil => {
            number::truncate(frame.want_number(position, name)?)
        }
        _ => 1,
    };
    let len = len as i64;
    let at = if n < 0 { n.saturating_add(len).max(0) } else { (n - 1).max(0) };
    Ok(at.min(len) as usize)
}

pub(crate) fn find(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (text, pattern) = (frame.want_text(1, "find")?, frame.want_text(2, "find")?);
    let from = start(frame, 3, "find", text.len())?;
    let plain = frame.args() >= 4 && frame.truth(4);
    if plain || !until_nul(&pattern).iter().any(|byte| SPECIALS.contains(byte)) {
        let Some(at) = memchr::memmem::find(&text[from..], &pattern) else {
            frame.push_nil();
            return Ok(1);
        };
        frame.push_number((from + at) as f64 + 1.0);
        frame.push_number((from + at + pattern.len()) as f64);
        return Ok(2);
    }
    let mut matcher = Matcher::new(frame, &text, &pattern);
    match look(&mut matcher, from)? {
        Some((at, end)) => {
            matcher.frame.push_number(at as f64 + 1.0);
            matcher.frame.push_number(end as f64);
            Ok(matcher.push_captures(None)? + 2)
        }
        None => {
            frame.push_nil();
            Ok(1)
        }
    }
}

pub(crate) fn matching(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (text, pattern) = (frame.want_text(1, "match")?, frame.want_text(2, "match")?);
    let from = start(frame, 3, "match", text.len())?;
    let mut matcher = Matcher::new(frame, &text, &pattern);
    match look(&mut matcher, from)? {
        Some(whole) => matcher.push_captures(Some(whole)),
        None => {
            frame.push_nil();
            Ok(1)
        }
    }
}

/// For `gmatch` and `gsub` with a function: the match at or after a position counted from 0, as its start, its end,
/// and its captures. With a fourth argument the pattern has been stripped of its anchor and must match right there.
pub(crate) fn search(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (text, pattern) = (frame.want_text(1, "gmatch")?, frame.want_text(2, "gmatch")?);
    let from = frame.number(3).map_or(0, |n| n as usize);
    let anchored = frame.args() >= 4;
    let mut matcher = Matcher::new(frame, &text, &pattern);
    let mut at = from;
    while at <= text.len() {
        matcher.level = 0;
        if let Some(end) = matcher.run(at, 0)? {
            matcher.frame.push_number(at as f64);
            matcher.frame.push_number(end as f64);
            return Ok(matcher.push_captures(Some((at, end)))? + 2);
        }
        if anchored {
            break;
        }
        at += 1;
    }
    Ok(0)
}

/// The first match at `from` or after it.
fn look(matcher: &mut Matcher<'_, '_, '_>, from: usize) -> Result<Option<(usize, usize)>, Raise> {
    let anchored = matcher.pattern.first() == Some(&b'^');
    let mut at = from;
    loop {
        matcher.level = 0;
        if let Some(end) = matcher.run(at, usize::from(anchored))? {
            return Ok(Some((at, end)));
        }
        if anchored || at >= matcher.text.len() {
            return Ok(None);
        }
        at += 1;
    }
}

/// `string.gsub` with a text or a table without metatable; the prelude does those with functions.
pub(crate) fn gsub(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (text, pattern) = (frame.want_text(1, "gsub")?, frame.want_text(2, "gsub")?);
    let kind = if frame.args() < 3 { Kind::None } else { frame.kind(3) };
    if !matches!(kind, Kind::Number | Kind::String | Kind::Table) {
        return Err(frame.bad_argument(3, "gsub", "string/function/table expected"));
    }
    let most = match frame.args() {
        4.. if frame.kind(4) != Kind::Nil => number::truncate(frame.want_number(4, "gsub")?),
        _ => text.len() as i64 + 1,
    };
    let anchored = pattern.first() == Some(&b'^');
    let pattern = &pattern[usize::from(anchored)..];
    let by = frame.arg_or_number(3);
    let (mut at, mut count, mut out) = (0, 0i64, Vec::new());
    let mut matcher = Matcher::new(frame, &text, pattern);
    let mut pushed = Vec::new();
    while count < most {
        matcher.level = 0;
        matcher.count(1)?;
        match matcher.run(at, 0)? {
            Some(end) => {
                count += 1;
                match &by {
                    Some(by) => expand(&matcher, &mut out, by, (at, end))?,
                    None => look_up(&matcher, &mut out, &mut pushed, (at, end))?,
                }
                if matcher.frame.memory().would_exceed(out.len()) {
                    return Err(Raise::memory());
                }
                if end > at {
                    at = end;
                } else if let Some(byte) = text.get(at) {
                    out.push(*byte);
                    at += 1;
                } else {
                    break;
                }
            }
            None => match text.get(at) {
                Some(byte) => {
                    out.push(*byte);
                    at += 1;
                }
                None => break,
            },
        }
        if anchored {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    frame.push_bytes(&out);
    frame.push_number(count as f64);
    Ok(2)
}

/// Appends the replacement text, with `%1` and the like filled in.
fn expand(
    matcher: &Matcher<'_, '_, '_>,
    out: &mut Vec<u8>,
    by: &[u8],
    (start, end): (usize, usize),
) -> Result<(), Raise> {
    let mut bytes = by.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'0') => out.extend_from_slice(&matcher.text[start..end]),
            Some(digit @ b'1'..=b'9') => {
                let index = usize::from(digit - b'1');
                if index >= matcher.level {
                    if index != 0 {
                        return Err(Raise::text("invalid capture index"));
                    }
                    out.extend_from_slice(&matcher.text[start..end]);
                    continue;
                }
                let Capture { start, len } = matcher.captures[index];
                match len {
                    Length::Open => return Err(Raise::text("unfinished capture")),
                    Length::Position => number::push_integer(out, start as i64 + 1),
                    Length::Closed(len) => out.extend_from_slice(&matcher.text[start..start + len]),
                }
            }
            Some(other) => out.push(*other),
            None => out.push(0),
        }
    }
    Ok(())
}

/// Appends what the table has for the first capture.
fn look_up(
    matcher: &Matcher<'_, '_, '_>,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    (start, end): (usize, usize),
) -> Result<(), Raise> {
    scratch.clear();
    matcher.frame.reserve(4)?;
    matcher.push_capture(0, (start, end))?;
    let found = matcher.frame.take_looked_up(3, scratch);
    match found {
        Kind::Nil => out.extend_from_slice(&matcher.text[start..end]),
        Kind::String | Kind::Number => out.extend_from_slice(scratch),
        kind => {
            return Err(Raise::text(format!("invalid replacement value (a {})", kind.name())));
        }
    }
    Ok(())
}
