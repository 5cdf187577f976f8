//! Who takes a script's result.

/// Where a script's reply goes: scalars, and headers followed by their elements (a map: key, value, key, value).
///
/// The receiver knows its client's protocol; a script that asked for `redis.setresp(3)` may send any shape to a
/// RESP2 client, which gets maps and sets as arrays, doubles and big numbers as strings, truth values as 1 and 0.
pub trait ScriptReply {
    /// Nothing.
    fn null(&mut self);
    /// A status; no line ends inside.
    fn simple(&mut self, status: &[u8]);
    /// An error line, code first; no line ends inside.
    fn error(&mut self, line: &[u8]);
    /// A byte string.
    fn bulk(&mut self, bytes: &[u8]);
    /// An integer.
    fn integer(&mut self, n: i64);
    /// A double.
    fn double(&mut self, n: f64);
    /// A truth value; only scripts under RESP3 send it.
    fn boolean(&mut self, b: bool);
    /// The header of `len` elements, or of `len` pairs.
    fn aggregate(&mut self, shape: Aggregate, len: usize);
    /// A number of any size in decimal.
    fn big_number(&mut self, digits: &[u8]) {
        self.bulk(digits);
    }
    /// Text with its format of three letters.
    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        let _ = format;
        self.bulk(text);
    }
}

/// The shapes that have elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// An array.
    Array,
    /// Pairs.
    Map,
    /// A set.
    Set,
}
