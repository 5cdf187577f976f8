//! Strings of the data set as something else.

use ::store::Blob;
use bytes::Bytes;

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

#[cfg(test)]
mod tests {
    use super::*;

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
