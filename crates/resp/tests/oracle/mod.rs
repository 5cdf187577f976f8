//! The obviously right RESP: nom grammars that restart from the first byte and copy everything.
//!
//! Shared by the property tests, the fuzz targets and the benchmarks.
#![allow(dead_code, unreachable_pub, reason = "each user includes the file and needs a part of it")]

pub mod feed;
pub mod reply;
pub mod request;

use nom::error::{ErrorKind, ParseError};
use resp::ProtocolError;

/// A protocol error, or nom's own, which means that no alternative matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken(pub Option<ProtocolError>);

impl ParseError<&[u8]> for Broken {
    fn from_error_kind(_: &[u8], _: ErrorKind) -> Self {
        Self(None)
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub type Parsed<'a, T> = nom::IResult<&'a [u8], T, Broken>;

pub fn fail<T>(error: ProtocolError) -> Parsed<'static, T> {
    Err(nom::Err::Failure(Broken(Some(error))))
}

/// What a decoder makes of a whole input: the items, and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T> {
    pub items: Vec<T>,
    pub end: Result<(), ProtocolError>,
}

/// Runs a grammar until it wants more or fails.
pub fn run<'a, T>(mut input: &'a [u8], grammar: impl Fn(&'a [u8]) -> Parsed<'a, T>) -> Outcome<(usize, T)> {
    let mut items = Vec::new();
    loop {
        match grammar(input) {
            Ok((rest, item)) => {
                items.push((input.len() - rest.len(), item));
                input = rest;
            }
            Err(nom::Err::Incomplete(_)) => return Outcome { items, end: Ok(()) },
            Err(nom::Err::Error(broken) | nom::Err::Failure(broken)) => {
                return Outcome { items, end: Err(broken.0.expect("the grammar names its errors")) };
            }
        }
    }
}
