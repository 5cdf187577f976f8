//! Commands on streams and their consumer groups.

mod add;
mod claim;
mod delete;
mod group;
mod id;
mod info;
mod pending;
mod range;
mod read;
mod settings;
mod trim;

use crate::command::{Keys, commands, container, help};

commands! { Stream;
    /// Returns the number of messages that were successfully acknowledged by the consumer group member of a stream.
    write "xack" -4 [FAST] Keys::one(1), since "5.0.0", cost "O(1) for each message ID processed." => group::xack;
    /// Acknowledges and deletes one or multiple messages for a stream consumer group.
    write "xackdel" -6 [FAST] Keys::one(1), since "8.2.0", cost "O(1) for each message ID processed." => delete::xackdel;
    /// Appends a new message to a stream. Creates the key if it doesn't exist.
    write "xadd" -5 [FAST DENYOOM] Keys::one(1), since "5.0.0", cost "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted." => add::xadd;
    /// Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to as consumer group member.
    write "xautoclaim" -6 [FAST] Keys::one(1), since "6.2.0", cost "O(1) if COUNT is small." => claim::xautoclaim;
    /// Sets the configuration parameters of a stream's idempotent producers.
    write "xcfgset" -4 [FAST] Keys::one(1), since "8.6.0", cost "O(1)" => settings::xcfgset;
    /// Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered a consumer group member.
    write "xclaim" -6 [FAST] Keys::one(1), since "5.0.0", cost "O(log N) with N being the number of messages in the PEL of the consumer group." => claim::xclaim;
    /// Returns the number of messages after removing them from a stream.
    write "xdel" -3 [FAST] Keys::one(1), since "5.0.0", cost "O(1) for each single item to delete in the stream, regardless of the stream size." => delete::xdel;
    /// Deletes one or multiple entries from the stream.
    write "xdelex" -5 [FAST] Keys::one(1), since "8.2.0", cost "O(1) for each single item to delete in the stream, regardless of the stream size." => delete::xdelex;
    /// A container for consumer groups commands.
    read "xgroup" -2 [CONTAINER] Keys::None, since "5.0.0", cost "Depends on subcommand." => container;
    /// Creates a consumer group.
    write "xgroup|create" -5 [DENYOOM] Keys::one(2), since "5.0.0", cost "O(1)" => group::create;
    /// Creates a consumer in a consumer group.
    write "xgroup|createconsumer" 5 [DENYOOM] Keys::one(2), since "6.2.0", cost "O(1)" => group::create_consumer;
    /// Deletes a consumer from a consumer group.
    write "xgroup|delconsumer" 5 [] Keys::one(2), since "5.0.0", cost "O(1)" => group::delete_consumer;
    /// Destroys a consumer group.
    write "xgroup|destroy" 4 [] Keys::one(2), since "5.0.0", cost "O(N) where N is the number of entries in the group's pending entries list (PEL)." => group::destroy;
    /// Returns helpful text about the different subcommands.
    read "xgroup|help" 2 [LOADING STALE] Keys::None, since "5.0.0", cost "O(1)" => help;
    /// Sets the last-delivered ID of a consumer group.
    write "xgroup|setid" -5 [] Keys::one(2), since "5.0.0", cost "O(1)" => group::set_id;
    /// An internal command for replicating the names that idempotent producers gave to entries.
    write "xidmprecord" 5 [FAST] Keys::one(1), since "8.6.2", cost "O(1)" => settings::xidmprecord;
    /// A container for stream introspection commands.
    read "xinfo" -2 [CONTAINER] Keys::None, since "5.0.0", cost "Depends on subcommand." => container;
    /// Returns a list of the consumers in a consumer group.
    read "xinfo|consumers" 4 [] Keys::one(2), since "5.0.0", cost "O(1)" => info::consumers;
    /// Returns a list of the consumer groups of a stream.
    read "xinfo|groups" 3 [] Keys::one(2), since "5.0.0", cost "O(1)" => info::groups;
    /// Returns helpful text about the different subcommands.
    read "xinfo|help" 2 [LOADING STALE] Keys::None, since "5.0.0", cost "O(1)" => help;
    /// Returns information about a stream.
    read "xinfo|stream" -3 [] Keys::one(2), since "5.0.0", cost "O(1)" => info::stream;
    /// Return the number of messages in a stream.
    read "xlen" 2 [FAST] Keys::one(1), since "5.0.0", cost "O(1)" => range::xlen;
    /// Returns the information and entries from a stream consumer group's pending entries list.
    read "xpending" -3 [] Keys::one(1), since "5.0.0", cost "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1)." => pending::xpending;
    /// Returns the messages from a stream within a range of IDs.
    read "xrange" -4 [] Keys::one(1), since "5.0.0", cost "O(N) with N being the number of elements being returned." => range::xrange;
    /// Returns messages from multiple streams with IDs greater than the ones requested.
    read "xread" -4 [BLOCKING MOVABLE_KEYS] Keys::Streams, since "5.0.0", cost "For each stream mentioned: O(N) with N being the number of elements being returned." => read::xread;
    /// Returns new or historical messages from a stream for a consumer in a group.
    write "xreadgroup" -7 [BLOCKING MOVABLE_KEYS] Keys::Streams, since "5.0.0", cost "For each stream mentioned: O(M) with M being the number of elements returned." => read::xreadgroup;
    /// Returns the messages from a stream within a range of IDs in reverse order.
    read "xrevrange" -4 [] Keys::one(1), since "5.0.0", cost "O(N) with N being the number of elements returned." => range::xrevrange;
    /// An internal command for replicating stream values.
    write "xsetid" -3 [FAST DENYOOM] Keys::one(1), since "5.0.0", cost "O(1)" => settings::xsetid;
    /// Deletes messages from the beginning of a stream.
    write "xtrim" -4 [] Keys::one(1), since "5.0.0", cost "O(N), with N being the number of evicted entries." => trim::xtrim;
}
