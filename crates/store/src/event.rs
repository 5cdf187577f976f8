//! What a write did to a key, for those who watch.

/// Classes of keyspace notifications, by the letter of `notify-keyspace-events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// `g`: commands of no type (DEL, EXPIRE, RENAME ...).
    Generic,
    /// `$`
    String,
    /// `l`
    List,
    /// `s`
    Set,
    /// `h`
    Hash,
    /// `z`
    Zset,
    /// `t`
    Stream,
    /// `x`: a key reached its time.
    Expired,
    /// `e`: a key made room.
    Evicted,
    /// `n`: a key came to be.
    New,
    /// `m`: a key was looked for to be read, and is not there.
    Miss,
    /// `o`: a new value took the place of a key's.
    Overwritten,
    /// `c`: and it is of another type.
    TypeChanged,
}

impl Class {
    /// Its letter in `notify-keyspace-events`.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Generic => b'g',
            Self::String => b'$',
            Self::List => b'l',
            Self::Set => b's',
            Self::Hash => b'h',
            Self::Zset => b'z',
            Self::Stream => b't',
            Self::Expired => b'x',
            Self::Evicted => b'e',
            Self::New => b'n',
            Self::Miss => b'm',
            Self::Overwritten => b'o',
            Self::TypeChanged => b'c',
        }
    }

    /// Whether it tells of a change of a value that no other event tells of.
    #[must_use]
    pub const fn is_change(self) -> bool {
        !matches!(self, Self::New | Self::Miss | Self::Overwritten | Self::TypeChanged)
    }
}

/// One event, in the order of the writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Box<[u8]>,
    /// Its class.
    pub class: Class,
    /// The event's name, as a keyspace notification tells it (`lpush`, `expire` ...).
    pub event: &'static str,
}

/// A command to hand on to replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The database in which it runs.
    pub db: u32,
    /// Name and arguments.
    pub args: Vec<Box<[u8]>>,
}
