//! Lists. Blocking commands answer at once here: with an element or with nothing; who waits is the server's care.

mod look;
mod push;
mod shift;
mod write;

use crate::args::{Args, is_word};
use crate::command::{Keys, commands};
use crate::error::CommandError;
use crate::value::list::End;

commands! { List;
    /// Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved.
    write "blmove" 6 [DENYOOM BLOCKING] Keys::two(1), since "6.2.0", cost "O(1)" => shift::blmove;
    /// Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    write "blmpop" -5 [BLOCKING MOVABLE_KEYS] Keys::Counted { count: 2, also: 0 }, since "7.0.0", cost "O(N+M) where N is the number of provided keys and M is the number of elements returned." => shift::blmpop;
    /// Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    write "blpop" -3 [BLOCKING] Keys::Range { first: 1, last: -2, step: 1 }, since "2.0.0", cost "O(N) where N is the number of provided keys." => shift::blpop;
    /// Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    write "brpop" -3 [BLOCKING] Keys::Range { first: 1, last: -2, step: 1 }, since "2.0.0", cost "O(N) where N is the number of provided keys." => shift::brpop;
    /// Pops an element from a list, pushes it to another list and returns it. Block until an element is available otherwise. Deletes the list if the last element was popped.
    write "brpoplpush" 4 [DENYOOM BLOCKING] Keys::two(1), since "2.2.0", cost "O(1)" => shift::brpoplpush;
    /// Returns an element from a list by its index.
    read "lindex" 3 [] Keys::one(1), since "1.0.0", cost "O(N) where N is the number of nodes to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1)." => look::lindex;
    /// Inserts an element before or after another element in a list.
    write "linsert" 5 [DENYOOM] Keys::one(1), since "2.2.0", cost "O(N) where N is the number of elements to traverse before seeing the value pivot." => write::linsert;
    /// Returns the length of a list.
    read "llen" 2 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => look::llen;
    /// Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved.
    write "lmove" 5 [DENYOOM] Keys::two(1), since "6.2.0", cost "O(1)" => shift::lmove;
    /// Returns multiple elements from a list after removing them. Deletes the list if the last element was popped.
    write "lmpop" -4 [MOVABLE_KEYS] Keys::Counted { count: 1, also: 0 }, since "7.0.0", cost "O(N+M) where N is the number of provided keys and M is the number of elements returned." => shift::lmpop;
    /// Returns and removes one or more elements from the beginning of a list. Deletes the list if the last element was popped.
    write "lpop" -2 [FAST] Keys::one(1), since "1.0.0", cost "O(N) where N is the number of elements returned" => push::lpop;
    /// Returns the index of matching elements in a list.
    read "lpos" -3 [] Keys::one(1), since "6.0.6", cost "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time." => look::lpos;
    /// Prepends one or more elements to a list. Creates the key if it doesn't exist.
    write "lpush" -3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments." => push::lpush;
    /// Prepends one or more elements to a list only when the list exists.
    write "lpushx" -3 [FAST DENYOOM] Keys::one(1), since "2.2.0", cost "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments." => push::lpushx;
    /// Returns a range of elements from a list.
    read "lrange" 4 [] Keys::one(1), since "1.0.0", cost "O(S+N) where S is the distance of the start from the nearest end (HEAD or TAIL) and N is the number of elements in the specified range." => look::lrange;
    /// Removes elements from a list. Deletes the list if the last element was removed.
    write "lrem" 4 [] Keys::one(1), since "1.0.0", cost "O(N+M) where N is the length of the list and M is the number of elements removed." => write::lrem;
    /// Sets the value of an element in a list by its index.
    write "lset" 4 [DENYOOM] Keys::one(1), since "1.0.0", cost "O(N) where N is the number of nodes to traverse. Setting either the first or the last element of the list is O(1)." => write::lset;
    /// Removes elements from both ends a list. Deletes the list if all elements were trimmed.
    write "ltrim" 4 [] Keys::one(1), since "1.0.0", cost "O(N) where N is the number of elements to be removed by the operation." => write::ltrim;
    /// Returns and removes one or more elements from the end of a list. Deletes the list if the last element was popped.
    write "rpop" -2 [FAST] Keys::one(1), since "1.0.0", cost "O(N) where N is the number of elements returned" => push::rpop;
    /// Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped.
    write "rpoplpush" 3 [DENYOOM] Keys::two(1), since "1.2.0", cost "O(1)" => shift::rpoplpush;
    /// Appends one or more elements to a list. Creates the key if it doesn't exist.
    write "rpush" -3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments." => push::rpush;
    /// Appends one or more elements to a list only when the list exists.
    write "rpushx" -3 [FAST DENYOOM] Keys::one(1), since "2.2.0", cost "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments." => push::rpushx;
}

/// LEFT or RIGHT.
fn end(text: &[u8]) -> Result<End, CommandError> {
    match () {
        () if is_word(text, "left") => Ok(End::Left),
        () if is_word(text, "right") => Ok(End::Right),
        () => Err(CommandError::Syntax),
    }
}

/// The event of a pop there, which is the plain command's name.
fn pop_event(end: End) -> &'static str {
    if end == End::Left { "lpop" } else { "rpop" }
}

fn push_event(end: End) -> &'static str {
    if end == End::Left { "lpush" } else { "rpush" }
}

/// `start` and `end` of a range, negative ones counted from the end: the first place and how many.
fn range(start: i64, end: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let place = |n: i64| if n < 0 { len.saturating_add(n) } else { n };
    let (start, end) = (place(start).max(0), place(end).min(len - 1));
    if start > end || start >= len {
        return (0, 0);
    }
    (start as usize, (end - start + 1) as usize)
}

/// `[COUNT count]` at the end of LMPOP; 1 without it.
fn count_option(args: Args<'_>, from: usize) -> Result<usize, CommandError> {
    let mut count = None;
    let mut i = from;
    while let Some(word) = args.get(i) {
        let (true, None, Some(n)) = (is_word(word, "count"), count, args.get(i + 1)) else {
            return Err(CommandError::Syntax);
        };
        count = Some(crate::command::options::within(n, 1, i64::MAX, "count should be greater than 0")?);
        i += 2;
    }
    Ok(usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX))
}
