//! Value and deadline in one go: HSETEX, HGETEX, HGETDEL of Redis 8.0.

use super::expiry::{NOT_A_NUMBER, deadline, gone, has_passed, named, rewrite};
use crate::args::{Args, is_word};
use crate::command::expire::Unit;
use crate::command::options::within;
use crate::entry::MAX_KEY;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Hash;
use crate::value::hash::FieldExpiry;

/// The unit that a word names.
fn unit(word: &[u8]) -> Option<Unit> {
    let units =
        [("ex", Unit::In(1000)), ("px", Unit::In(1)), ("exat", Unit::At(1000)), ("pxat", Unit::At(1))];
    units.into_iter().find_map(|(name, unit)| is_word(word, name).then_some(unit))
}

/// Answers the value of a field, or nothing.
fn tell(hash: &Hash, field: &[u8], time: i64, out: &mut dyn Reply) {
    match hash.get(field, time) {
        Some(found) => out.bulk(found.value.to_bytes(&mut [0; 20])),
        None => out.null(Null::Bulk),
    }
}

pub(super) fn hgetdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    txn.typed::<Hash>(key)?;
    let fields = named(args, 2, NOT_A_NUMBER)?;
    // A field named twice is answered once: it is gone then.
    out.array(fields.len());
    let (time, mut removed, mut vanishes) = (txn.field_time(), false, false);
    match txn.typed_mut::<Hash>(key)? {
        None => fields.iter().for_each(|_| out.null(Null::Bulk)),
        Some(mut hash) => {
            for field in fields {
                tell(&hash, field, time, out);
                removed |= hash.remove(field).is_some();
            }
            vanishes = hash.will_vanish();
        }
    }
    if removed {
        gone(txn, key, fields, vanishes);
    }
    Ok(())
}

/// What HGETEX does beside reading.
enum Also {
    Nothing,
    Persist,
    Expire(i64),
}

pub(super) fn hgetex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, time) = (args.at(1), txn.field_time());
    txn.reap(key);
    txn.typed::<Hash>(key)?;
    let (also, at) = match unit(args.at(2)) {
        Some(unit) => (Also::Expire(deadline(txn, args.at(3), unit, "hgetex")?), 4),
        None if args.is(2, "persist") => (Also::Persist, 3),
        None => (Also::Nothing, 2),
    };
    let fields = named(args, at, NOT_A_NUMBER)?;
    let passed = matches!(also, Also::Expire(at) if has_passed(txn, at));
    let (mut done, mut vanishes): (Vec<&[u8]>, bool) = (Vec::new(), false);
    out.array(fields.len());
    match txn.typed_mut::<Hash>(key)? {
        None => fields.iter().for_each(|_| out.null(Null::Bulk)),
        Some(mut hash) => {
            // One by one: a field named twice may be gone the second time.
            for field in fields {
                tell(&hash, field, time, out);
                let Some(old) = hash.get(field, time).map(|found| found.expire_ms) else { continue };
                let changed = match also {
                    Also::Nothing => false,
                    Also::Persist => old.is_some() && hash.set_expire(field, None),
                    Also::Expire(_) if passed => hash.remove(field).is_some(),
                    Also::Expire(at) => hash.set_expire(field, Some(at)),
                };
                if changed {
                    done.push(field);
                }
            }
            vanishes = hash.will_vanish();
        }
    }
    if done.is_empty() {
        return Ok(());
    }
    match also {
        Also::Expire(_) if passed => gone(txn, key, &done, vanishes),
        Also::Expire(at) => {
            txn.changed(Class::Hash, "hexpire", key);
            rewrite(txn, b"HPEXPIREAT", key, Some(at), None, &done);
        }
        _ => {
            txn.changed(Class::Hash, "hpersist", key);
            rewrite(txn, b"HPERSIST", key, None, None, &done);
        }
    }
    Ok(())
}

/// A condition of HSETEX.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    /// None of the fields is there.
    New,
    /// All are.
    Old,
}

/// The options of HSETEX, and its pairs.
struct Request<'a> {
    only: Option<Only>,
    keep: bool,
    /// Where the time's word stands, and the time.
    time: Option<(usize, i64)>,
    pairs: &'a [[&'a [u8]; 2]],
}

impl<'a> Request<'a> {
    fn parse(txn: &Txn<'_>, args: Args<'a>) -> Result<Self, CommandError> {
        let arity = || CommandError::Arity("hsetex".into());
        let mut this = Self { only: None, keep: false, time: None, pairs: &[] };
        let mut i = 2;
        while let Some(word) = args.get(i) {
            let only = [("fnx", Only::New), ("fxx", Only::Old)]
                .into_iter()
                .find_map(|(name, only)| is_word(word, name).then_some(only));
            let unit = unit(word);
            if is_word(word, "fields") {
                let n = within(args.at(i + 1), 1, i64::MAX, "invalid number of fields")?;
                let (pairs, rest) = args.from(i + 2).as_chunks::<2>();
                if !rest.is_empty() || pairs.len() as i64 != n {
                    return Err(arity());
                }
                this.pairs = pairs;
                return Ok(this);
            } else if only.is_some() {
                if this.only.is_some() {
                    return Err(CommandError::err("Only one of FXX or FNX arguments can be specified"));
                }
                this.only = only;
            } else if unit.is_some() || is_word(word, "keepttl") {
                if this.keep || this.time.is_some() {
                    return Err(CommandError::err(
                        "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                    ));
                }
                match unit {
                    None => this.keep = true,
                    Some(unit) => {
                        let text = args.get(i + 1).ok_or_else(arity)?;
                        this.time = Some((i, deadline(txn, text, unit, "hsetex")?));
                        i += 1;
                    }
                }
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(CommandError::Err(format!("unknown argument: {word}").into()));
            }
            i += 1;
        }
        Err(arity())
    }

    fn allows(&self, hash: Option<&Hash>, time: i64) -> bool {
        let there = |field: &[u8]| hash.is_some_and(|hash| hash.get(field, time).is_some());
        match self.only {
            None => true,
            Some(Only::New) => !self.pairs.iter().any(|[field, _]| there(field)),
            Some(Only::Old) => self.pairs.iter().all(|[field, _]| there(field)),
        }
    }
}

pub(super) fn hsetex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, time, limits) = (args.at(1), txn.field_time(), txn.limits());
    let request = Request::parse(txn, args)?;
    if request.pairs.iter().any(|[field, _]| field.len() > MAX_KEY) {
        return Err(CommandError::err("field is longer than this keyspace can hold"));
    }
    txn.reap(key);
    if !request.allows(txn.typed::<Hash>(key)?, time) {
        out.integer(0);
        return Ok(());
    }
    if request.time.is_some_and(|(_, at)| has_passed(txn, at)) {
        // Set and gone: what stays is that the old ones are gone too.
        let fields: Vec<&[u8]> = request.pairs.iter().map(|[field, _]| *field).collect();
        let (mut removed, mut vanishes) = (false, false);
        if let Some(mut hash) = txn.typed_mut::<Hash>(key)? {
            fields.iter().for_each(|field| removed |= hash.remove(field).is_some());
            vanishes = hash.will_vanish();
        }
        if removed {
            gone(txn, key, &fields, vanishes);
        }
        out.integer(1);
        return Ok(());
    }
    let expiry =
        if request.keep { FieldExpiry::Keep } else { FieldExpiry::Set(request.time.map(|(_, at)| at)) };
    let mut hash = txn.typed_or_new::<Hash>(key)?;
    for [field, value] in request.pairs {
        hash.set(field, value, expiry, time, limits);
    }
    drop(hash);
    txn.changed(Class::Hash, "hset", key);
    if let Some((place, at)) = request.time {
        txn.notify(Class::Hash, "hexpire", key);
        let mut text = itoa::Buffer::new();
        let mut parts = args.all().to_vec();
        parts.splice(place..place + 2, [&b"PXAT"[..], text.format(at).as_bytes()]);
        txn.rewrite(&parts);
    }
    out.integer(1);
    Ok(())
}
