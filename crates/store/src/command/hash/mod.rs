//! Hashes.

mod combined;
mod expiry;
mod grammar;
mod look;
mod tell;
mod write;

use crate::command::{Keys, commands};

commands! { Hash;
    /// Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.
    write "hdel" -3 [FAST] Keys::one(1), since "2.0.0", cost "O(N) where N is the number of fields to be removed." => write::hdel;
    /// Determines whether a field exists in a hash.
    read "hexists" 3 [FAST] Keys::one(1), since "2.0.0", cost "O(1)" => look::hexists;
    /// Returns the value of a field in a hash.
    read "hget" 3 [FAST] Keys::one(1), since "2.0.0", cost "O(1)" => look::hget;
    /// Returns all fields and values in a hash.
    read "hgetall" 2 [] Keys::one(1), since "2.0.0", cost "O(N) where N is the size of the hash." => look::hgetall;
    /// Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist.
    write "hincrby" 4 [FAST DENYOOM] Keys::one(1), since "2.0.0", cost "O(1)" => write::hincrby;
    /// Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist.
    write "hincrbyfloat" 4 [FAST DENYOOM] Keys::one(1), since "2.6.0", cost "O(1)" => write::hincrbyfloat;
    /// Returns all fields in a hash.
    read "hkeys" 2 [] Keys::one(1), since "2.0.0", cost "O(N) where N is the size of the hash." => look::hkeys;
    /// Returns the number of fields in a hash.
    read "hlen" 2 [FAST] Keys::one(1), since "2.0.0", cost "O(1)" => look::hlen;
    /// Returns the values of the given fields of a hash.
    read "hmget" -3 [FAST] Keys::one(1), since "2.0.0", cost "O(N) where N is the number of fields being requested." => look::hmget;
    /// Sets the values of multiple fields.
    write "hmset" -4 [FAST DENYOOM] Keys::one(1), since "2.0.0", cost "O(N) where N is the number of fields being set." => write::hmset;
    /// Returns one or more random fields from a hash.
    read "hrandfield" -2 [] Keys::one(1), since "6.2.0", cost "O(N) where N is the number of fields returned" => look::hrandfield;
    /// Iterates over fields and values of a hash.
    read "hscan" -3 [] Keys::one(1), since "2.8.0", cost "O(1) for every call, O(N) for a complete iteration, where N is the number of fields." => look::hscan;
    /// Creates or modifies the value of a field in a hash.
    write "hset" -4 [FAST DENYOOM] Keys::one(1), since "2.0.0", cost "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs." => write::hset;
    /// Sets the value of a field in a hash only when the field doesn't exist.
    write "hsetnx" 4 [FAST DENYOOM] Keys::one(1), since "2.0.0", cost "O(1)" => write::hsetnx;
    /// Returns the length of the value of a field.
    read "hstrlen" 3 [FAST] Keys::one(1), since "3.2.0", cost "O(1)" => look::hstrlen;
    /// Returns all values in a hash.
    read "hvals" 2 [] Keys::one(1), since "2.0.0", cost "O(N) where N is the size of the hash." => look::hvals;
    /// Set expiry for hash field using relative time to expire (seconds)
    write "hexpire" -6 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hexpire;
    /// Set expiry for hash field using an absolute Unix timestamp (seconds)
    write "hexpireat" -6 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hexpireat;
    /// Returns the expiration time of a hash field as a Unix timestamp, in seconds.
    read "hexpiretime" -5 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hexpiretime;
    /// Returns the value of a field and deletes it from the hash.
    write "hgetdel" -5 [FAST] Keys::one(1), since "8.0.0" valkey "9.1.0", cost "O(N) where N is the number of specified fields" => combined::hgetdel;
    /// Get the value of one or more fields of a given hash key, and optionally set their expiration.
    write "hgetex" -5 [FAST] Keys::one(1), since "8.0.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => combined::hgetex;
    /// Removes the expiration time for each specified field
    write "hpersist" -5 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hpersist;
    /// Set expiry for hash field using relative time to expire (milliseconds)
    write "hpexpire" -6 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hpexpire;
    /// Set expiry for hash field using an absolute Unix timestamp (milliseconds)
    write "hpexpireat" -6 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hpexpireat;
    /// Returns the expiration time of a hash field as a Unix timestamp, in msec.
    read "hpexpiretime" -5 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hpexpiretime;
    /// Returns the TTL in milliseconds of a hash field.
    read "hpttl" -5 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::hpttl;
    /// Set the value of one or more fields of a given hash key, and optionally set their expiration.
    write "hsetex" -6 [FAST DENYOOM] Keys::one(1), since "8.0.0" valkey "9.0.0", cost "O(N) where N is the number of fields being set." => combined::hsetex;
    /// Returns the TTL in seconds of a hash field.
    read "httl" -5 [FAST] Keys::one(1), since "7.4.0" valkey "9.0.0", cost "O(N) where N is the number of specified fields" => expiry::httl;
}
