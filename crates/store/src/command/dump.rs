//! Values as bytes: DUMP, and RESTORE on any server that knows the format.

use rdb::{EntryMeta, Part, Reject, Version, Visitor, Want, payload};

use crate::args::{Args, is_word};
use crate::command::{Keys, commands};
use crate::compat::Compat;
use crate::entry::{EntryRef, MAX_INLINE};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::limits::Limits;
use crate::load::Building;
use crate::reply::{Null, Reply};
use crate::save::save_value;
use crate::txn::{Expiry, Txn};
use crate::value::Value;
use crate::view::View;

commands! { Generic;
    /// Returns a serialized representation of the value stored at a key.
    read "dump" 2 [] Keys::one(1), since "2.6.0", cost "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1)." => dump;
    /// Creates a key from the serialized representation of a value.
    write "restore" -4 [DENYOOM] Keys::one(1), since "2.6.0", cost "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N))." => restore;
    /// An internal command for migrating keys in a cluster.
    write "restore-asking" -4 [DENYOOM] Keys::one(1), since "3.0.0", cost "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N))." => restore;
}

fn dump(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let Some(entry) = view.entry(args.at(1)) else {
        out.null(Null::Bulk);
        return Ok(());
    };
    out.bulk(&entry.payload(view.keyspace().compat())?);
    Ok(())
}

impl EntryRef<'_> {
    /// The value as DUMP gives it: as this personality writes it, or where that has no words for it (expiring fields),
    /// as the first that does.
    ///
    /// # Errors
    /// No dump can hold it.
    pub fn payload(self, compat: Compat) -> Result<Vec<u8>, CommandError> {
        payload::encode(compat.dump_version(), |value| save_value(self, value))
            .or_else(|_| payload::encode(Version::REDIS_12, |value| save_value(self, value)))
            .or_else(|_| payload::encode(Version::REDIS_13, |value| save_value(self, value)))
            .map_err(|error| CommandError::Err(error.to_string().into()))
    }

    /// Bytes of the value in a dump, as DEBUG OBJECT tells; 0 if no dump can hold it.
    #[must_use]
    pub fn serialized_length(self, compat: Compat) -> usize {
        // A type before it, a version and a checksum behind it.
        self.payload(compat).map_or(0, |payload| payload.len() - 11)
    }
}

/// What stands behind the payload.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle: Option<u64>,
    freq: Option<u8>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut i = 4;
        while let Some(word) = args.get(i) {
            let more = i + 1 < args.len();
            if is_word(word, "replace") {
                options.replace = true;
            } else if is_word(word, "absttl") {
                options.absolute = true;
            } else if is_word(word, "idletime") && more && options.freq.is_none() {
                i += 1;
                let idle = u64::try_from(args.int(i)?);
                options.idle =
                    Some(idle.map_err(|_| CommandError::err("Invalid IDLETIME value, must be >= 0"))?);
            } else if is_word(word, "freq") && more && options.idle.is_none() {
                i += 1;
                let freq = u8::try_from(args.int(i)?);
                options.freq =
                    Some(freq.map_err(|_| CommandError::err("Invalid FREQ value, must be >= 0 and <= 255"))?);
            } else {
                return Err(CommandError::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}

fn restore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let options = Options::parse(args)?;
    if !options.replace && txn.exists(key) {
        return Err(CommandError::coded("BUSYKEY Target key name already exists."));
    }
    let ttl = args.int(2)?;
    if ttl < 0 {
        return Err(CommandError::err("Invalid TTL value, must be >= 0"));
    }
    let mut restored = Restored { limits: txn.limits(), building: Building::Nothing, value: None };
    let policy = payload::Policy::default().with_any_checksum(txn.limits().skip_checksum());
    payload::decode(args.at(3), policy, &mut restored)
        .map_err(|error| CommandError::Err(error.to_string().into()))?;
    let value = restored.value.ok_or(CommandError::err("Bad data format"))?;
    let deadline = match ttl {
        0 => None,
        _ if options.absolute => Some(ttl),
        // What lies beyond the end of time has come around, as in the real servers: it is over already.
        _ => Some(txn.now().wrapping_add(ttl)),
    };
    if deadline.is_some_and(|at| txn.is_too_late(at)) {
        if txn.remove(key) {
            txn.changed(Class::Generic, "del", key);
            txn.rewrite_to_drop(key);
        }
        out.ok();
        return Ok(());
    }
    let replaced = txn.type_name(key);
    if options.replace {
        txn.remove(key);
    }
    let expiry = deadline.map_or(Expiry::Never, Expiry::At);
    match value {
        Value::Raw(bytes) if bytes.len() <= MAX_INLINE => txn.set_string(key, &bytes, expiry)?,
        value => txn.set_value(key, value, expiry)?,
    }
    if options.idle.is_some() || options.freq.is_some() {
        let told = txn.uses().told(options.idle, options.freq);
        if let Some(entry) = txn.peek(key) {
            entry.set_access(told);
        }
    }
    txn.changed(Class::Generic, "restore", key);
    txn.tell_overwritten(key, replaced);
    if let Some(at) = deadline
        && !options.absolute
        && txn.has_replicas()
    {
        let at = itoa::Buffer::new().format(at).to_owned();
        let mut parts = args.all().to_vec();
        parts[2] = at.as_bytes();
        parts.push(b"ABSTTL");
        txn.rewrite(&parts);
    }
    out.ok();
    Ok(())
}

/// The one value of a payload.
struct Restored<'l> {
    limits: &'l Limits,
    building: Building,
    value: Option<Value>,
}

impl Visitor for Restored<'_> {
    fn entry(&mut self, _: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.building = Building::of(meta.kind)?;
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.building.part(part, self.limits)
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let value = std::mem::replace(&mut self.building, Building::Nothing).finish(self.limits);
        self.value = value.filter(|value| !value.is_vacant());
        Ok(())
    }
}
