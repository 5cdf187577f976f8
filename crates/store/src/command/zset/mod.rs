//! Commands of the group SortedSet.
//!
//! | file | commands |
//! |---|---|
//! | `add` | ZADD, ZINCRBY, ZREM |
//! | `look` | scores, counts, ranks, ZRANDMEMBER, ZSCAN |
//! | `range` | ZRANGE and its older names, ZRANGESTORE, ZREMRANGEBY... |
//! | `pop` | ZPOPMIN, ZPOPMAX, ZMPOP and their blocking forms |
//! | `combine` | unions, intersections, differences |
//! | `bounds` | the text of ranges |

pub(super) mod add;
mod bounds;
pub(super) mod combine;
mod look;
mod pop;
mod range;

use crate::command::{Keys, commands};

/// Keys of BZPOPMIN and BZPOPMAX: all but the timeout.
const ALL_BUT_LAST: Keys = Keys::Range { first: 1, last: -2, step: 1 };

commands! { SortedSet;
    /// Adds members, or moves them to a new score.
    write "zadd" -4 [DENYOOM FAST] Keys::one(1), since "1.2.0", cost "O(log n) a member" => add::zadd;
    /// Adds to the score of a member.
    write "zincrby" 4 [DENYOOM FAST] Keys::one(1), since "1.2.0", cost "O(log n)" => add::zincrby;
    /// Removes members.
    write "zrem" -3 [FAST] Keys::one(1), since "1.2.0", cost "O(log n) a member" => add::zrem;

    /// The score of a member.
    read "zscore" 3 [FAST] Keys::one(1), since "1.2.0", cost "O(1)" => look::zscore;
    /// The scores of members.
    read "zmscore" -3 [FAST] Keys::one(1), since "6.2.0", cost "O(1) a member" => look::zmscore;
    /// Number of members.
    read "zcard" 2 [FAST] Keys::one(1), since "1.2.0", cost "O(1)" => look::zcard;
    /// Number of members with a score in a range.
    read "zcount" 4 [FAST] Keys::one(1), since "2.0.0", cost "O(log n)" => look::zcount;
    /// Number of members in a range of members.
    read "zlexcount" 4 [FAST] Keys::one(1), since "2.8.9", cost "O(log n)" => look::zlexcount;
    /// How many members precede one, by ascending score.
    read "zrank" -3 [FAST] Keys::one(1), since "2.0.0", cost "O(log n)" => look::zrank;
    /// How many members precede one, by descending score.
    read "zrevrank" -3 [FAST] Keys::one(1), since "2.0.0", cost "O(log n)" => look::zrevrank;
    /// Members by chance.
    read "zrandmember" -2 [] Keys::one(1), since "6.2.0", cost "O(n), n being the members returned" => look::zrandmember;
    /// Walks the members and their scores.
    read "zscan" -3 [] Keys::one(1), since "2.8.0", cost "O(1) a call, O(n) a walk" => look::zscan;

    /// The members of a range of ranks, scores or members.
    read "zrange" -4 [] Keys::one(1), since "1.2.0", cost "O(log n + members returned)" => range::zrange;
    /// Stores the members of a range in another key.
    write "zrangestore" -5 [DENYOOM] Keys::two(1), since "6.2.0", cost "O(log n + members stored)" => range::zrangestore;
    /// The members of a range of scores.
    read "zrangebyscore" -4 [] Keys::one(1), since "1.0.5", cost "O(log n + members returned)" => range::zrangebyscore;
    /// The members of a range of scores, from high to low.
    read "zrevrangebyscore" -4 [] Keys::one(1), since "2.2.0", cost "O(log n + members returned)" => range::zrevrangebyscore;
    /// The members of a range of members.
    read "zrangebylex" -4 [] Keys::one(1), since "2.8.9", cost "O(log n + members returned)" => range::zrangebylex;
    /// The members of a range of members, from high to low.
    read "zrevrangebylex" -4 [] Keys::one(1), since "2.8.9", cost "O(log n + members returned)" => range::zrevrangebylex;
    /// The members of a range of ranks, from high to low.
    read "zrevrange" -4 [] Keys::one(1), since "1.2.0", cost "O(log n + members returned)" => range::zrevrange;
    /// Removes the members of a range of ranks.
    write "zremrangebyrank" 4 [] Keys::one(1), since "2.0.0", cost "O(log n) a member" => range::zremrangebyrank;
    /// Removes the members of a range of scores.
    write "zremrangebyscore" 4 [] Keys::one(1), since "1.2.0", cost "O(log n) a member" => range::zremrangebyscore;
    /// Removes the members of a range of members.
    write "zremrangebylex" 4 [] Keys::one(1), since "2.8.9", cost "O(log n) a member" => range::zremrangebylex;

    /// Removes and returns the members with the lowest scores.
    write "zpopmin" -2 [FAST] Keys::one(1), since "5.0.0", cost "O(log n) a member" => pop::zpopmin;
    /// Removes and returns the members with the highest scores.
    write "zpopmax" -2 [FAST] Keys::one(1), since "5.0.0", cost "O(log n) a member" => pop::zpopmax;
    /// Removes and returns members from the first of several sets that is there.
    write "zmpop" -4 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "7.0.0",
        cost "O(keys) + O(log n) a member" => pop::zmpop;
    /// Like ZPOPMIN with several keys, and waits if none is there.
    write "bzpopmin" -3 [BLOCKING FAST] ALL_BUT_LAST, since "5.0.0", cost "O(log n)" => pop::bzpopmin;
    /// Like ZPOPMAX with several keys, and waits if none is there.
    write "bzpopmax" -3 [BLOCKING FAST] ALL_BUT_LAST, since "5.0.0", cost "O(log n)" => pop::bzpopmax;
    /// Like ZMPOP, and waits if none of the keys is there.
    write "bzmpop" -5 [BLOCKING MOVABLE_KEYS] Keys::Counted { count: 2, also: 0 }, since "7.0.0",
        cost "O(keys) + O(log n) a member" => pop::bzmpop;

    /// The members of any of several sets.
    read "zunion" -3 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "6.2.0",
        cost "O(n) + O(m log m), n members looked at, m returned" => combine::zunion;
    /// The members of all of several sets.
    read "zinter" -3 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "6.2.0",
        cost "O(n * keys) + O(m log m), n members of the smallest set, m returned" => combine::zinter;
    /// The members of the first set that no other has.
    read "zdiff" -3 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "6.2.0",
        cost "O(n * keys) + O(m log m), n members of the first set, m returned" => combine::zdiff;
    /// Stores the members of any of several sets.
    write "zunionstore" -4 [DENYOOM MOVABLE_KEYS] Keys::Counted { count: 2, also: 1 }, since "2.0.0",
        cost "O(n) + O(m log m), n members looked at, m stored" => combine::zunionstore;
    /// Stores the members of all of several sets.
    write "zinterstore" -4 [DENYOOM MOVABLE_KEYS] Keys::Counted { count: 2, also: 1 }, since "2.0.0",
        cost "O(n * keys) + O(m log m), n members of the smallest set, m stored" => combine::zinterstore;
    /// Stores the members of the first set that no other has.
    write "zdiffstore" -4 [DENYOOM MOVABLE_KEYS] Keys::Counted { count: 2, also: 1 }, since "6.2.0",
        cost "O(n * keys) + O(m log m), n members of the first set, m stored" => combine::zdiffstore;
    /// Number of members that are in all of several sets.
    read "zintercard" -3 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "7.0.0",
        cost "O(n * keys), n members of the smallest set" => combine::zintercard;
}
