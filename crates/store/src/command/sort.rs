//! SORT: the elements of a list, set or sorted set in an order of their own or of other keys' values.

use std::cmp::Ordering;

use crate::args::{Args, is_word};
use crate::command::{Keys, commands};
use crate::compat::SortNumbers;
use crate::entry::{EntryRef, ValueRef};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::{Null, Reply};
use crate::txn::{Expiry, Txn};
use crate::value::{List, Value, Zset};
use crate::view::View;

commands! { Generic;
    /// Sorts the elements in a list, a set, or a sorted set, optionally storing the result.
    write "sort" -2 [DENYOOM LOCKS_ALL MOVABLE_KEYS] Keys::By(keys), since "1.0.0", cost "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N)." => sort;
    /// Returns the sorted elements of a list, a set, or a sorted set.
    read "sort_ro" -2 [LOCKS_ALL MOVABLE_KEYS] Keys::one(1), since "7.0.0", cost "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N)." => sort_ro;
}

/// The source and, if there is one, the last destination.
fn keys(args: Args<'_>, place: &mut dyn FnMut(usize)) {
    place(1);
    let (mut i, mut destination) = (2, None);
    while let Some(word) = args.get(i) {
        if is_word(word, "limit") {
            i += 2;
        } else if is_word(word, "get") || is_word(word, "by") {
            i += 1;
        } else if is_word(word, "store") && i + 1 < args.len() {
            i += 1;
            destination = Some(i);
        }
        i += 1;
    }
    destination.into_iter().for_each(place);
}

struct Options<'a> {
    descending: bool,
    alpha: bool,
    start: i64,
    count: i64,
    by: Option<&'a [u8]>,
    /// A BY without `*`, once given, leaves the elements as they are, whatever BY follows.
    unsorted: bool,
    get: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let mut o = Self {
            descending: false,
            alpha: false,
            start: 0,
            count: -1,
            by: None,
            unsorted: false,
            get: Vec::new(),
            store: None,
        };
        let mut i = 2;
        while let Some(word) = args.get(i) {
            let left = args.len() - i - 1;
            if is_word(word, "asc") {
                o.descending = false;
            } else if is_word(word, "desc") {
                o.descending = true;
            } else if is_word(word, "alpha") {
                o.alpha = true;
            } else if is_word(word, "limit") && left >= 2 {
                (o.start, o.count) = (args.int(i + 1)?, args.int(i + 2)?);
                i += 2;
            } else if may_store && is_word(word, "store") && left >= 1 {
                i += 1;
                o.store = args.get(i);
            } else if is_word(word, "by") && left >= 1 {
                i += 1;
                o.by = args.get(i);
                o.unsorted |= !args.at(i).contains(&b'*');
            } else if is_word(word, "get") && left >= 1 {
                i += 1;
                o.get.push(args.at(i));
            } else {
                return Err(CommandError::Syntax);
            }
            i += 1;
        }
        Ok(o)
    }

    /// The part of `length` elements that LIMIT leaves.
    fn range(&self, length: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(self.start).unwrap_or(0).min(length);
        let end = match usize::try_from(self.count) {
            Ok(count) => start.saturating_add(count).min(length),
            Err(_) => length,
        };
        start..end
    }
}

/// The elements to sort, and whether they come from a set.
fn elements(view: &View<'_>, key: &[u8]) -> Result<(Vec<Vec<u8>>, bool), CommandError> {
    let Some(entry) = view.entry(key) else { return Ok((Vec::new(), false)) };
    Ok(match entry.value() {
        ValueRef::Owned(Value::List(list)) => (list.iter().map(|item| item.to_vec()).collect(), false),
        ValueRef::Owned(Value::Set(set)) => (set.iter().map(|item| item.to_vec()).collect(), true),
        ValueRef::Owned(Value::Zset(zset)) => (zset.iter().map(|(item, _)| item.to_vec()).collect(), false),
        _ => return Err(CommandError::WrongType),
    })
}

/// What a pattern stands for: `#` is the element itself, `*` is replaced by it, `->` leads to a hash's field.
fn look_up(view: &View<'_>, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|two| two == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let key = [before, element, after].concat();
    match (view.entry(&key).map(EntryRef::value)?, field) {
        (ValueRef::Inline(bytes), None) => Some(bytes.to_vec()),
        (ValueRef::Owned(Value::Raw(bytes)), None) => Some(bytes.to_vec()),
        (ValueRef::Owned(Value::Hash(hash)), Some(field)) => {
            hash.get(field, view.field_time()).map(|found| found.value.to_vec())
        }
        _ => None,
    }
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    Text(Option<Vec<u8>>),
}

/// A weight as a number, up to the first zero byte: the real servers read C strings.
fn number_of(view: &View<'_>, text: &[u8]) -> Result<f64, CommandError> {
    const NO_NUMBER: CommandError = CommandError::err("One or more scores can't be converted into double");
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let found = match view.differences().sort_numbers {
        SortNumbers::LikeC | SortNumbers::Decimal { empty: true, .. } if text.is_empty() => Some(0.0),
        SortNumbers::LikeC => number::parse_f64(text.trim_ascii_start()),
        SortNumbers::Decimal { .. } if text.iter().any(|byte| matches!(byte, b'x' | b'X')) => None,
        SortNumbers::Decimal { beyond: false, .. } => number::parse_f64(text),
        SortNumbers::Decimal { .. } => {
            let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            parsed.filter(|number: &f64| !number.is_nan())
        }
    };
    found.ok_or(NO_NUMBER)
}

fn sorted(view: &View<'_>, key: &[u8], options: &Options<'_>) -> Result<Vec<Vec<u8>>, CommandError> {
    let (mut found, is_set) = elements(view, key)?;
    let (mut by, mut alpha) = (options.by, options.alpha);
    let mut keep_order = options.unsorted;
    if keep_order && is_set && options.store.is_some() {
        // A set has no order of its own that replicas would share.
        (by, alpha, keep_order) = (None, true, false);
    }
    if keep_order {
        if options.descending && !is_set {
            found.reverse();
        }
    } else {
        let mut weighed = Vec::with_capacity(found.len());
        for element in found {
            let value = by.map_or_else(|| Some(element.clone()), |pattern| look_up(view, pattern, &element));
            let weight = if alpha {
                Weight::Text(value)
            } else {
                Weight::Number(value.map_or(Ok(0.0), |text| number_of(view, &text))?)
            };
            weighed.push((weight, element));
        }
        weighed.sort_by(|(a, x), (b, y)| {
            let order = match (a, b) {
                (Weight::Number(a), Weight::Number(b)) => {
                    a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| x.cmp(y))
                }
                (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
                _ => Ordering::Equal,
            };
            if options.descending { order.reverse() } else { order }
        });
        found = weighed.into_iter().map(|(_, element)| element).collect();
    }
    let range = options.range(found.len());
    found.truncate(range.end);
    found.drain(..range.start);
    Ok(found)
}

fn answer(view: &View<'_>, options: &Options<'_>, found: &[Vec<u8>], out: &mut dyn Reply) {
    out.array(found.len() * options.get.len().max(1));
    for element in found {
        if options.get.is_empty() {
            out.bulk(element);
        }
        for pattern in &options.get {
            match look_up(view, pattern, element) {
                Some(value) => out.bulk(&value),
                None => out.null(Null::Bulk),
            }
        }
    }
}

fn sort_ro(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let options = Options::parse(args, false)?;
    let found = sorted(view, args.at(1), &options)?;
    answer(view, &options, &found, out);
    Ok(())
}

fn sort(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let options = Options::parse(args, true)?;
    // So do real servers, and SORT_RO in them too: here that changes nothing.
    if let Ok(Some(mut zset)) = txn.typed_mut::<Zset>(args.at(1)) {
        zset.unpack();
    }
    let found = sorted(txn, args.at(1), &options)?;
    let Some(to) = options.store else {
        answer(txn, &options, &found, out);
        return Ok(());
    };
    let mut list = List::default();
    for element in &found {
        if options.get.is_empty() {
            list.push_back(element, txn.limits());
        }
        for pattern in &options.get {
            list.push_back(&look_up(txn, pattern, element).unwrap_or_default(), txn.limits());
        }
    }
    let length = list.len();
    if length > 0 {
        txn.set_value(to, Value::List(list), Expiry::Never)?;
        txn.changed(Class::List, "sortstore", to);
    } else if txn.remove(to) {
        txn.changed(Class::Generic, "del", to);
    }
    out.count(length);
    Ok(())
}
