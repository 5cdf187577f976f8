//! The first line of a library: `#!lua name=mylib`.

use super::is_name;
use crate::error::Error;
use crate::flavour::Flavour;
use crate::words;

/// The library's name, and the part to compile. The line's end stays, so that lines count as written.
pub(crate) fn parse<'a>(code: &'a [u8], flavour: &Flavour) -> Result<(String, &'a [u8]), Error> {
    let fail = |text: &str| Error::Function(text.to_owned());
    if !code.starts_with(b"#!") {
        return Err(fail("Missing library metadata"));
    }
    let end = code.iter().position(|byte| *byte == b'\n').ok_or_else(|| fail("Invalid library metadata"))?;
    let (line, body) = code.split_at(end);
    let words = words::split(line, flavour.joins_quoted).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| fail("Invalid library metadata"))?;
    let mut name = None;
    for word in words.iter().skip(1) {
        let Some((key, value)) =
            word.split_at_checked(5).filter(|(key, _)| key.eq_ignore_ascii_case(b"name="))
        else {
            let text = String::from_utf8_lossy(word);
            return Err(Error::Function(format!("Invalid metadata value given: {text}")));
        };
        debug_assert_eq!(key.len(), 5);
        if name.replace(value).is_some() {
            return Err(fail("Invalid metadata value, name argument was given multiple times"));
        }
    }
    let name = name.ok_or_else(|| fail("Library name was not given"))?;
    if !is_name(name) {
        return Err(fail(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ));
    }
    let engine = words.first().and_then(|word| word.get(2..)).unwrap_or_default();
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(Error::Function(format!("Engine '{}' not found", String::from_utf8_lossy(engine))));
    }
    Ok((String::from_utf8_lossy(name).into_owned(), body))
}
