//! Sets.

mod combine;
mod look;
mod write;

use crate::command::{Keys, commands};

commands! { Set;
    /// Adds one or more members to a set. Creates the key if it doesn't exist.
    write "sadd" -3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments." => write::sadd;
    /// Returns the number of members in a set.
    read "scard" 2 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => look::scard;
    /// Returns the difference of multiple sets.
    read "sdiff" -2 [] Keys::from(1), since "1.0.0", cost "O(N) where N is the total number of elements in all given sets." => combine::sdiff;
    /// Stores the difference of multiple sets in a key.
    write "sdiffstore" -3 [DENYOOM] Keys::from(1), since "1.0.0", cost "O(N) where N is the total number of elements in all given sets." => combine::sdiffstore;
    /// Returns the intersect of multiple sets.
    read "sinter" -2 [] Keys::from(1), since "1.0.0", cost "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets." => combine::sinter;
    /// Returns the number of members of the intersect of multiple sets.
    read "sintercard" -3 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "7.0.0", cost "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets." => combine::sintercard;
    /// Stores the intersect of multiple sets in a key.
    write "sinterstore" -3 [DENYOOM] Keys::from(1), since "1.0.0", cost "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets." => combine::sinterstore;
    /// Determines whether a member belongs to a set.
    read "sismember" 3 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => look::sismember;
    /// Returns all members of a set.
    read "smembers" 2 [] Keys::one(1), since "1.0.0", cost "O(N) where N is the set cardinality." => look::smembers;
    /// Determines whether multiple members belong to a set.
    read "smismember" -3 [FAST] Keys::one(1), since "6.2.0", cost "O(N) where N is the number of elements being checked for membership" => look::smismember;
    /// Moves a member from one set to another.
    write "smove" 4 [FAST] Keys::two(1), since "1.0.0", cost "O(1)" => write::smove;
    /// Returns one or more random members from a set after removing them. Deletes the set if the last member was popped.
    write "spop" -2 [FAST] Keys::one(1), since "1.0.0", cost "Without the count argument O(1), otherwise O(N) where N is the value of the passed count." => write::spop;
    /// Returns one or multiple random members from a set.
    read "srandmember" -2 [] Keys::one(1), since "1.0.0", cost "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count." => look::srandmember;
    /// Removes one or more members from a set. Deletes the set if the last member was removed.
    write "srem" -3 [FAST] Keys::one(1), since "1.0.0", cost "O(N) where N is the number of members to be removed." => write::srem;
    /// Iterates over members of a set.
    read "sscan" -3 [] Keys::one(1), since "2.8.0", cost "O(1) for every call, O(N) for a complete iteration, where N is the number of members." => look::sscan;
    /// Returns the union of multiple sets.
    read "sunion" -2 [] Keys::from(1), since "1.0.0", cost "O(N) where N is the total number of elements in all given sets." => combine::sunion;
    /// Stores the union of multiple sets in a key.
    write "sunionstore" -3 [DENYOOM] Keys::from(1), since "1.0.0", cost "O(N) where N is the total number of elements in all given sets." => combine::sunionstore;
}
