//! Text to values.

use super::settings::Settings;
use super::strtod::strtod;
use crate::raw::{Frame, Raise};

pub(super) fn decode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() != 1 {
        return Err(frame.bad_argument(1, "decode", "expected 1 argument"));
    }
    let settings = super::settings(frame)?;
    let text = frame.want_text(1, "decode")?;
    if let [first, second, ..] = *text
        && (first == 0 || second == 0)
    {
        return Err(Raise::text("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader { text: &text, at: 0, settings, depth: 0, string: Vec::new() };
    let token = reader.next();
    reader.value(frame, &token)?;
    let token = reader.next();
    if token.kind != Kind::End {
        return Err(token.unexpected("the end"));
    }
    Ok(1)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// The text is in [`Reader::string`].
    String,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    at: usize,
}

impl Token {
    fn unexpected(&self, expected: &str) -> Raise {
        let found = match self.kind {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::String => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Error(text) => text,
        };
        Raise::text(format!("Expected {expected} but found {found} at character {}", self.at + 1))
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    settings: Settings,
    depth: i32,
    string: Vec<u8>,
}

impl Reader<'_> {
    /// A byte of the text; beyond it there are zeros, as after a text of C.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Token {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.byte(at) {
            b'{' => Kind::ObjectBegin,
            b'}' => Kind::ObjectEnd,
            b'[' => Kind::ArrayBegin,
            b']' => Kind::ArrayEnd,
            b',' => Kind::Comma,
            b':' => Kind::Colon,
            // A NUL ends the text, wherever it stands.
            0 => return Token { kind: Kind::End, at },
            b'"' => {
                return match self.read_string() {
                    Ok(()) => Token { kind: Kind::String, at },
                    Err(text) => self.bad(text),
                };
            }
            b'-' | b'0'..=b'9' => {
                if self.settings.decode_invalid == 0 && self.is_invalid_number() {
                    return self.bad("invalid number");
                }
                return self.number();
            }
            b'+' | b'i' | b'I' | b'n' | b'N' | b't' | b'f' => return self.word(),
            _ => return self.bad("invalid token"),
        };
        self.at += 1;
        Token { kind: single, at }
    }

    fn bad(&self, text: &'static str) -> Token {
        Token { kind: Kind::Error(text), at: self.at }
    }

    fn word(&mut self) -> Token {
        let at = self.at;
        for (word, kind) in
            [(&b"true"[..], Kind::Boolean(true)), (b"false", Kind::Boolean(false)), (b"null", Kind::Null)]
        {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Token { kind, at };
            }
        }
        if self.settings.decode_invalid != 0 && self.is_invalid_number() {
            return self.number();
        }
        self.bad("invalid token")
    }

    fn number(&mut self) -> Token {
        let at = self.at;
        match strtod(self.rest()) {
            None => self.bad("invalid number"),
            Some((n, len)) => {
                self.at += len;
                Token { kind: Kind::Number(n), at }
            }
        }
    }

    /// Numbers that C reads and JSON does not have.
    fn is_invalid_number(&self) -> bool {
        let first = self.byte(self.at);
        let at = self.at + usize::from(first == b'-');
        match self.byte(at) {
            _ if first == b'+' => true,
            b'0' => matches!(self.byte(at + 1), b'x' | b'X' | b'0'..=b'9'),
            0..=b'9' => false,
            _ => self
                .text
                .get(at..at + 3)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")),
        }
    }

    fn read_string(&mut self) -> Result<(), &'static str> {
        self.string.clear();
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0)).unwrap_or(rest.len());
            self.string.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match self.byte(self.at) {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {}
                _ => return Err("unexpected end of string"),
            }
            let plain = match self.byte(self.at + 1) {
                byte @ (b'"' | b'\\' | b'/') => byte,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    self.unicode().ok_or("invalid unicode escape code")?;
                    continue;
                }
                _ => return Err("invalid escape code"),
            };
            self.string.push(plain);
            self.at += 2;
        }
    }

    /// Four digits after `\u` at `at`.
    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        digits.iter().try_fold(0, |all, digit| Some(all << 4 | char::from(*digit).to_digit(16)?))
    }

    fn unicode(&mut self) -> Option<()> {
        let mut code = self.hex4(self.at + 2)?;
        let mut len = 6;
        if code & 0xf800 == 0xd800 {
            if code & 0x400 != 0 || self.byte(self.at + 6) != b'\\' || self.byte(self.at + 7) != b'u' {
                return None;
            }
            let low = self.hex4(self.at + 8)?;
            if low & 0xfc00 != 0xdc00 {
                return None;
            }
            code = ((code & 0x3ff) << 10 | low & 0x3ff) + 0x1_0000;
            len = 12;
        }
        let mut buffer = [0; 4];
        let text = char::from_u32(code)?.encode_utf8(&mut buffer);
        self.string.extend_from_slice(text.as_bytes());
        self.at += len;
        Some(())
    }

    /// Pushes the value that begins with `token`.
    fn value(&mut self, frame: &mut Frame<'_>, token: &Token) -> Result<(), Raise> {
        match token.kind {
            Kind::String => frame.push_bytes(&self.string),
            Kind::Number(n) => frame.push_number(n),
            Kind::Boolean(b) => frame.push_bool(b),
            Kind::Null => frame.push_null(),
            Kind::ObjectBegin => return self.object(frame),
            Kind::ArrayBegin => return self.array(frame),
            _ => return Err(token.unexpected("value")),
        }
        Ok(())
    }

    fn descend(&mut self, frame: &Frame<'_>, slots: usize) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth > self.settings.decode_depth || frame.reserve(slots).is_err() {
            let (depth, at) = (self.depth, self.at);
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return Err(Raise::text(text));
        }
        frame.check_work(0)
    }

    fn object(&mut self, frame: &mut Frame<'_>) -> Result<(), Raise> {
        self.descend(frame, 4)?;
        frame.push_table(0, 0);
        let table = frame.top();
        let mut token = self.next();
        if token.kind != Kind::ObjectEnd {
            loop {
                if token.kind != Kind::String {
                    return Err(token.unexpected("object key string"));
                }
                frame.check_memory()?;
                frame.push_bytes(&self.string);
                token = self.next();
                if token.kind != Kind::Colon {
                    return Err(token.unexpected("colon"));
                }
                token = self.next();
                self.value(frame, &token)?;
                frame.set_pair(table);
                token = self.next();
                match token.kind {
                    Kind::ObjectEnd => break,
                    Kind::Comma => token = self.next(),
                    _ => return Err(token.unexpected("comma or object end")),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, frame: &mut Frame<'_>) -> Result<(), Raise> {
        self.descend(frame, 3)?;
        frame.push_table(0, 0);
        let table = frame.top();
        let mut token = self.next();
        if token.kind != Kind::ArrayEnd {
            for index in 1.. {
                frame.check_memory()?;
                self.value(frame, &token)?;
                frame.set_index(table, index);
                token = self.next();
                match token.kind {
                    Kind::ArrayEnd => break,
                    Kind::Comma => token = self.next(),
                    _ => return Err(token.unexpected("comma or array end")),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }
}
