//! Strings of the data set, and replies, as something else.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use ::store::Blob;
use bytes::Bytes;
use resp::Value;

/// Why a string could not be read as what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {wanted}: {reason}")]
pub struct ConvertError {
    /// What was asked for.
    pub wanted: &'static str,
    /// What is wrong with the bytes.
    pub reason: String,
}

/// What [`Db::get_as`](crate::Db::get_as) can make of a string.
pub trait FromValue: Sized {
    /// Reads the bytes.
    ///
    /// # Errors
    /// They are no such thing.
    fn from_value(bytes: &[u8]) -> Result<Self, ConvertError>;

    /// Takes the string itself, for what can keep it without a copy.
    ///
    /// # Errors
    /// As [`from_value`](Self::from_value).
    fn from_blob(blob: Blob) -> Result<Self, ConvertError> {
        Self::from_value(&blob)
    }
}

fn text<'b>(bytes: &'b [u8], wanted: &'static str) -> Result<&'b str, ConvertError> {
    std::str::from_utf8(bytes).map_err(|error| ConvertError { wanted, reason: error.to_string() })
}

macro_rules! parsed {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(bytes: &[u8]) -> Result<Self, ConvertError> {
                let wanted = concat!("a number of type ", stringify!($type));
                let parsed = text(bytes, wanted)?.parse();
                parsed.map_err(|error| ConvertError { wanted, reason: ToString::to_string(&error) })
            }
        }
    )*};
}

parsed!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64);

impl FromValue for bool {
    /// `1`, `true`, `yes`, `on`; `0`, `false`, `no`, `off`.
    fn from_value(bytes: &[u8]) -> Result<Self, ConvertError> {
        match bytes.to_ascii_lowercase().as_slice() {
            b"1" | b"true" | b"yes" | b"on" => Ok(true),
            b"0" | b"false" | b"no" | b"off" => Ok(false),
            other => Err(ConvertError { wanted: "a bool", reason: other.escape_ascii().to_string() }),
        }
    }
}

impl FromValue for String {
    fn from_value(bytes: &[u8]) -> Result<Self, ConvertError> {
        text(bytes, "UTF-8").map(str::to_owned)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(bytes: &[u8]) -> Result<Self, ConvertError> {
        Ok(bytes.to_vec())
    }
}

impl FromValue for Bytes {
    fn from_value(bytes: &[u8]) -> Result<Self, ConvertError> {
        Ok(Self::copy_from_slice(bytes))
    }

    fn from_blob(blob: Blob) -> Result<Self, ConvertError> {
        Ok(blob.into())
    }
}

/// A string that holds JSON, as any type that serde can read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// use replica::{Json, Standalone};
/// use std::collections::BTreeMap;
///
/// let primary = Standalone::start("127.0.0.1:0").await?;
/// primary.command(&["SET", "prices", r#"{"apple": 3, "pear": 4}"#])?;
/// let prices = primary.db(0).get_as::<Json<BTreeMap<String, u32>>>("prices")?.unwrap();
/// assert_eq!(prices.0["pear"], 4);
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "serde")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

#[cfg(feature = "serde")]
impl<T: serde::de::DeserializeOwned> FromValue for Json<T> {
    fn from_value(bytes: &[u8]) -> Result<Self, ConvertError> {
        let parsed = serde_json::from_slice(bytes).map(Self);
        parsed.map_err(|error| ConvertError { wanted: "JSON of that form", reason: error.to_string() })
    }
}

/// What [`ScriptCall::eval`](crate::ScriptCall::eval) can make of a reply: a [`Value`] as it came, a string or a number, one
/// that may be missing as `Option`, arrays as `Vec` (of anything but `u8`: that is a string), pairs as maps.
///
/// ```
/// use replica::{FromReply, Value};
///
/// let reply = Value::Array(vec![Value::Integer(1), Value::Null, Value::Bulk("3".into())]);
/// assert_eq!(Vec::<Option<i64>>::from_reply(reply)?, [Some(1), None, Some(3)]);
/// # Ok::<(), replica::ConvertError>(())
/// ```
pub trait FromReply: Sized {
    /// Reads the reply.
    ///
    /// # Errors
    /// It is no such thing.
    fn from_reply(value: Value) -> Result<Self, ConvertError>;
}

impl FromReply for Value {
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        Ok(value)
    }
}

impl FromReply for () {
    /// Any reply but an error.
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Error(_) | Value::BulkError(_) => string(value, "a success").map(drop),
            _ => Ok(()),
        }
    }
}

macro_rules! from_string {
    ($($type:ty, $wanted:literal;)*) => {$(
        impl FromReply for $type {
            fn from_reply(value: Value) -> Result<Self, ConvertError> {
                Self::from_value(&string(value, $wanted)?)
            }
        }
    )*};
}

from_string! {
    i8, "a number"; i16, "a number"; i32, "a number"; i64, "a number"; i128, "a number"; isize, "a number";
    u16, "a number"; u32, "a number"; u64, "a number"; u128, "a number"; usize, "a number";
    f32, "a number"; f64, "a number";
    bool, "a bool"; String, "a string"; Vec<u8>, "a string";
}

impl FromReply for Bytes {
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        string(value, "a string")
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Null | Value::NullBulk | Value::NullArray => Ok(None),
            value => T::from_reply(value).map(Some),
        }
    }
}

impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        match value {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => {
                items.into_iter().map(T::from_reply).collect()
            }
            other => Err(refused(&other, "an array")),
        }
    }
}

impl<K: FromReply + Eq + Hash, V: FromReply, S: BuildHasher + Default> FromReply for HashMap<K, V, S> {
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        pairs(value)?.map(|(key, value)| Ok((K::from_reply(key)?, V::from_reply(value)?))).collect()
    }
}

impl<K: FromReply + Ord, V: FromReply> FromReply for BTreeMap<K, V> {
    fn from_reply(value: Value) -> Result<Self, ConvertError> {
        pairs(value)?.map(|(key, value)| Ok((K::from_reply(key)?, V::from_reply(value)?))).collect()
    }
}

/// A map, or an array in which keys and values take turns.
fn pairs(value: Value) -> Result<std::vec::IntoIter<(Value, Value)>, ConvertError> {
    match value {
        Value::Map(pairs) => Ok(pairs.into_iter()),
        Value::Array(items) if items.len().is_multiple_of(2) => {
            let mut items = items.into_iter();
            let next = || Some((items.next()?, items.next()?));
            Ok(std::iter::from_fn(next).collect::<Vec<_>>().into_iter())
        }
        other => Err(refused(&other, "a map")),
    }
}

/// What stands where a string is wanted.
fn string(value: Value, wanted: &'static str) -> Result<Bytes, ConvertError> {
    match value {
        Value::Simple(text) | Value::Bulk(text) | Value::BigNumber(text) | Value::Verbatim { text, .. } => {
            Ok(text)
        }
        Value::Chunks(chunks) => Ok(chunks.concat().into()),
        Value::Integer(number) => Ok(number.to_string().into()),
        Value::Double(number) => Ok(number.to_string().into()),
        Value::Boolean(yes) => Ok(Bytes::from_static(if yes { b"1" } else { b"0" })),
        other => Err(refused(&other, wanted)),
    }
}

fn refused(value: &Value, wanted: &'static str) -> ConvertError {
    let reason = match value {
        Value::Error(line) | Value::BulkError(line) => String::from_utf8_lossy(line).into_owned(),
        // What a script makes may be large.
        other => format!("{other:?}").chars().take(100).collect(),
    };
    ConvertError { wanted, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_as_what_they_are() {
        let bulk = |text: &'static str| Value::Bulk(Bytes::from_static(text.as_bytes()));
        assert_eq!(i64::from_reply(Value::Integer(-3)), Ok(-3));
        assert_eq!(u32::from_reply(bulk("12")), Ok(12));
        assert_eq!(f64::from_reply(Value::Double(1.5)), Ok(1.5));
        assert_eq!(bool::from_reply(Value::Integer(1)), Ok(true));
        assert_eq!(bool::from_reply(Value::Boolean(false)), Ok(false));
        assert_eq!(Option::<String>::from_reply(Value::NullBulk), Ok(None));
        assert_eq!(Vec::<u8>::from_reply(bulk("\0x")), Ok(b"\0x".to_vec()));
        let list = Value::Array(vec![bulk("a"), Value::Integer(1), bulk("b"), Value::Integer(2)]);
        let wanted = BTreeMap::from([("a".to_owned(), 1_u16), ("b".to_owned(), 2)]);
        assert_eq!(BTreeMap::from_reply(list.clone()), Ok(wanted));
        let map = Value::Map(vec![(bulk("a"), bulk("1"))]);
        assert_eq!(HashMap::from_reply(map), Ok(HashMap::from([(Bytes::from_static(b"a"), 1_i8)])));
        <()>::from_reply(list.clone()).unwrap();
        for error in [
            i64::from_reply(list.clone()).map(drop),
            Vec::<i64>::from_reply(list).map(drop),
            Vec::<i64>::from_reply(bulk("1")).map(drop),
            BTreeMap::<String, String>::from_reply(Value::Array(vec![bulk("odd")])).map(drop),
            Option::<u16>::from_reply(Value::Integer(-1)).map(drop),
            <()>::from_reply(Value::BulkError(Bytes::from_static(b"ERR no"))),
            Value::from_reply(Value::Error(Bytes::new())).and_then(String::from_reply).map(drop),
        ] {
            error.unwrap_err();
        }
        let error = i64::from_reply(Value::Error(Bytes::from_static(b"ERR no"))).unwrap_err();
        assert_eq!(error.to_string(), "not a number: ERR no");
    }

    #[test]
    fn strings_are_read_as_what_they_are() {
        assert_eq!(i64::from_value(b"-12"), Ok(-12));
        assert_eq!(u8::from_value(b"255"), Ok(255));
        assert_eq!(f64::from_value(b"1.5"), Ok(1.5));
        assert_eq!(bool::from_value(b"Yes"), Ok(true));
        assert_eq!(bool::from_value(b"0"), Ok(false));
        assert_eq!(String::from_value("ä".as_bytes()).as_deref(), Ok("ä"));
        assert_eq!(Vec::from_value(b"\xff"), Ok(vec![0xff]));
        for error in [
            u8::from_value(b"256").map(drop),
            i64::from_value(b" 1").map(drop),
            bool::from_value(b"maybe").map(drop),
            String::from_value(b"\xff").map(drop),
        ] {
            error.unwrap_err();
        }
        assert_eq!(
            i8::from_value(b"x").unwrap_err().to_string(),
            "not a number of type i8: invalid digit found in string"
        );
    }
}
