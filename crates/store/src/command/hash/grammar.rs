//! How the two families write the fields of a command, deadlines and conditions. A primary's stream is read by
//! Valkey's grammar, which has all that either sends.

use crate::args::{Args, in_text, is_word};
use crate::command::expire::Unit;
use crate::command::options::within;
use crate::compat::Fields;
use crate::error::{CommandError, CommandResult};
use crate::number;
use crate::txn::Txn;
use crate::value::Hash;
use crate::view::{View, Viewer};

/// The latest deadline that Redis takes from a client: 46 bits. A primary's stream may hold later ones (Valkey).
const LATEST: i64 = (1 << 46) - 1;
/// What Redis says of a number of fields that is none.
pub(super) const NOT_A_NUMBER: &str = "Number of fields must be a positive integer";
const NO_FIELDS: CommandError =
    CommandError::err("Mandatory argument FIELDS is missing or not at the right position");
const BAD_NUMBER: CommandError =
    CommandError::err("numfields should be greater than 0 and match the provided number of fields");

/// Whether Valkey's grammar is to be read.
pub(super) fn is_valkey(view: &View<'_>) -> bool {
    view.viewer() == Viewer::Stream || view.differences().fields == Fields::Valkey
}

/// What Redis wants behind FIELDS at `at`: their number, and so many.
pub(super) fn counted<'a>(
    args: Args<'a>,
    at: usize,
    not_a_number: &'static str,
) -> Result<&'a [&'a [u8]], CommandError> {
    if !args.is(at, "fields") {
        return Err(NO_FIELDS);
    }
    let n = within(args.at(at + 1), 1, i64::MAX, not_a_number)?;
    let fields = args.from(at + 2);
    if fields.len() as i64 != n {
        return Err(CommandError::err("The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

/// The fields of a command that knows nothing else: FIELDS stands behind the key. Valkey looks at the arguments
/// first, Redis at the key. A number that does not match is told by `otherwise` in Valkey.
pub(super) fn named<'a>(
    view: &View<'_>,
    args: Args<'a>,
    otherwise: Mismatch,
) -> Result<&'a [&'a [u8]], CommandError> {
    if !is_valkey(view) {
        view.typed::<Hash>(args.at(1))?;
        return counted(args, 2, NOT_A_NUMBER);
    }
    if !args.is(2, "fields") {
        return Err(CommandError::Syntax);
    }
    let fields = args.from(4);
    if args.int(3)? < 1 || args.int(3)? != fields.len() as i64 {
        return Err(match otherwise {
            Mismatch::Told => BAD_NUMBER,
            Mismatch::Syntax => CommandError::Syntax,
        });
    }
    view.typed::<Hash>(args.at(1))?;
    Ok(fields)
}

/// How Valkey tells of a wrong number of fields.
pub(super) enum Mismatch {
    Told,
    Syntax,
}

/// Valkey: where FIELDS stands, from `look_from` on, and what stands behind its number. The options before it, from
/// `from` on, are read by `option`, which answers how many words it took; `each` is how many words a field has.
fn behind_options<'a>(
    args: Args<'a>,
    look_from: usize,
    from: usize,
    each: usize,
    mut option: impl FnMut(usize, usize) -> Result<usize, CommandError>,
) -> Result<&'a [&'a [u8]], CommandError> {
    let place = (look_from..args.len() - 1).find(|at| args.is(*at, "fields")).ok_or(BAD_NUMBER)?;
    let mut at = from;
    while at < place {
        at += option(at, place)?;
    }
    let fields = args.from(place + 2);
    let n = args.int(place + 1)?;
    let wanted = usize::try_from(n).ok().and_then(|n| n.checked_mul(each));
    if n < 1 || wanted != Some(fields.len()) {
        return Err(BAD_NUMBER);
    }
    Ok(fields)
}

/// A time argument as Unix milliseconds. 0 is allowed: it has passed.
pub(super) fn deadline(txn: &Txn<'_>, text: &[u8], unit: Unit, command: &str) -> Result<i64, CommandError> {
    let n = number::parse_i64(text).ok_or(CommandError::NotAnInteger)?;
    let valkey = is_valkey(txn);
    if n < 0 && !valkey {
        return Err(CommandError::err("invalid expire time, must be >= 0"));
    }
    let at = match unit {
        Unit::In(ms) => n.checked_mul(ms).and_then(|n| n.checked_add(txn.now())),
        Unit::At(ms) => n.checked_mul(ms),
    };
    at.filter(|at| n >= 0 && (*at <= LATEST || valkey))
        .ok_or_else(|| CommandError::Err(format!("invalid expire time in '{command}' command").into()))
}

/// Whether a deadline has passed already, so that the field goes at once. The primary says so itself (HDEL).
pub(super) fn has_passed(txn: &Txn<'_>, at: i64) -> bool {
    txn.is_too_late(at)
}

/// Under which conditions a deadline is set.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Only {
    without: bool,
    with: bool,
    later: bool,
    sooner: bool,
}

impl Only {
    /// Adds a condition; whether the word is one.
    fn add(&mut self, word: &[u8]) -> bool {
        let Self { without, with, later, sooner } = self;
        let words = [("nx", without), ("xx", with), ("gt", later), ("lt", sooner)];
        match words.into_iter().find(|(name, _)| is_word(word, name)) {
            Some((_, given)) => *given = true,
            None => return false,
        }
        true
    }

    fn check(self) -> CommandResult {
        if self.without && (self.with || self.later || self.sooner) {
            return Err(CommandError::err("NX and XX, GT or LT options at the same time are not compatible"));
        }
        if self.later && self.sooner {
            return Err(CommandError::err("GT and LT options at the same time are not compatible"));
        }
        Ok(())
    }

    /// No deadline lies in infinity.
    pub(super) fn allows(self, old: Option<i64>, new: i64) -> bool {
        let forbidden = (self.without && old.is_some())
            || (self.with && old.is_none())
            || (self.later && old.is_none_or(|old| new <= old))
            || (self.sooner && old.is_some_and(|old| new >= old));
        !forbidden
    }
}

/// HEXPIRE and its kin.
pub(super) struct Expire<'a> {
    pub(super) at: i64,
    pub(super) only: Only,
    /// The conditions as they were written.
    pub(super) told: &'a [&'a [u8]],
    pub(super) fields: &'a [&'a [u8]],
}

impl<'a> Expire<'a> {
    pub(super) fn parse(
        txn: &Txn<'_>,
        args: Args<'a>,
        unit: Unit,
        command: &str,
    ) -> Result<Self, CommandError> {
        let mut only = Only::default();
        if is_valkey(txn) {
            let fields = behind_options(args, 3, 3, 1, |at, end| {
                if !only.add(args.at(at)) {
                    let word = in_text(args.at(at));
                    return Err(CommandError::Err(format!("Unsupported option {word}").into()));
                }
                if at + 1 == end {
                    only.check()?;
                }
                Ok(1)
            })?;
            let told = &args.all()[3..args.len() - fields.len() - 2];
            let at = deadline(txn, args.at(2), unit, command)?;
            txn.typed::<Hash>(args.at(1))?;
            return Ok(Self { at, only, told, fields });
        }
        txn.typed::<Hash>(args.at(1))?;
        let at = deadline(txn, args.at(2), unit, command)?;
        let conditions = usize::from(only.add(args.at(3)));
        let fields = counted(args, 3 + conditions, "Parameter `numFields` should be greater than 0")?;
        Ok(Self { at, only, told: &args.all()[3..3 + conditions], fields })
    }
}

/// The unit that a word names.
fn unit(word: &[u8]) -> Option<Unit> {
    let units =
        [("ex", Unit::In(1000)), ("px", Unit::In(1)), ("exat", Unit::At(1000)), ("pxat", Unit::At(1))];
    units.into_iter().find_map(|(name, unit)| is_word(word, name).then_some(unit))
}

/// What HGETEX does beside reading.
#[derive(Clone, Copy)]
pub(super) enum Also {
    Nothing,
    Persist,
    Expire(i64),
}

/// The arguments of HGETEX.
pub(super) fn get_and_expire<'a>(
    txn: &Txn<'_>,
    args: Args<'a>,
) -> Result<(Also, &'a [&'a [u8]]), CommandError> {
    const NAME: &str = "hgetex";
    if !is_valkey(txn) {
        txn.typed::<Hash>(args.at(1))?;
        let (also, at) = match unit(args.at(2)) {
            Some(unit) => (Also::Expire(deadline(txn, args.at(3), unit, NAME)?), 4),
            None if args.is(2, "persist") => (Also::Persist, 3),
            None => (Also::Nothing, 2),
        };
        if args.len() < at + 2 {
            return Err(CommandError::Arity(NAME.into()));
        }
        return Ok((also, counted(args, at, NOT_A_NUMBER)?));
    }
    let mut timing = Timing::of(txn);
    // The key is looked at too: a hash called FIELDS cannot be named.
    let fields = behind_options(args, 1, 2, 1, |at, end| timing.option(args, at, end, "persist"))?;
    txn.typed::<Hash>(args.at(1))?;
    Ok(match (timing.word, timing.alone) {
        (Some((place, unit)), _) => (Also::Expire(deadline(txn, args.at(place + 1), unit, NAME)?), fields),
        (None, true) => (Also::Persist, fields),
        (None, false) => (Also::Nothing, fields),
    })
}

/// Valkey's options about time: one unit, which may stand again, or one word that stands alone.
#[derive(Default)]
struct Timing {
    /// A primary that was given two times tells replicas the first as it came and the second as PXAT (Valkey 9.1.2,
    /// whose own replicas refuse that).
    may_change: bool,
    /// Where the last unit stands.
    word: Option<(usize, Unit)>,
    seen: Option<&'static str>,
    alone: bool,
}

impl Timing {
    fn of(view: &View<'_>) -> Self {
        Self { may_change: view.viewer() == Viewer::Stream, ..Self::default() }
    }

    fn option(
        &mut self,
        args: Args<'_>,
        at: usize,
        end: usize,
        alone: &'static str,
    ) -> Result<usize, CommandError> {
        if args.is(at, alone) && self.word.is_none() {
            self.alone = true;
            return Ok(1);
        }
        let Some(unit) = unit(args.at(at)).filter(|_| !self.alone && at + 1 < end) else {
            return Err(CommandError::Syntax);
        };
        let name = ["ex", "px", "exat", "pxat"].into_iter().find(|name| args.is(at, name));
        if self.seen.is_some() && self.seen != name && !self.may_change {
            return Err(CommandError::Syntax);
        }
        (self.seen, self.word) = (name, Some((at, unit)));
        Ok(2)
    }
}

/// A condition of HSETEX: on the fields, or in Valkey on the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// Nothing is there.
    Nothing,
    /// All are.
    All,
}

/// The options of HSETEX, and its pairs.
pub(super) struct SetRequest<'a> {
    pub(super) fields: Option<Present>,
    pub(super) key: Option<Present>,
    pub(super) keep: bool,
    /// Where the time's word stands, and the time.
    pub(super) time: Option<(usize, i64)>,
    pub(super) pairs: &'a [[&'a [u8]; 2]],
}

impl<'a> SetRequest<'a> {
    pub(super) fn parse(txn: &Txn<'_>, args: Args<'a>) -> Result<Self, CommandError> {
        if is_valkey(txn) { Self::valkey(txn, args) } else { Self::redis(txn, args) }
    }

    fn valkey(txn: &Txn<'_>, args: Args<'a>) -> Result<Self, CommandError> {
        let (mut on_fields, mut on_key, mut timing) = (None, None, Timing::of(txn));
        let words = behind_options(args, 1, 2, 2, |at, end| {
            let conditions = [
                ("fnx", true, Present::Nothing),
                ("fxx", true, Present::All),
                ("nx", false, Present::Nothing),
                ("xx", false, Present::All),
            ];
            let Some((_, is_field, what)) = conditions.into_iter().find(|(name, ..)| args.is(at, name))
            else {
                return timing.option(args, at, end, "keepttl");
            };
            let place = if is_field { &mut on_fields } else { &mut on_key };
            match place.replace(what) {
                Some(other) if other != what => Err(CommandError::Syntax),
                _ => Ok(1),
            }
        })?;
        let is_there = txn.typed::<Hash>(args.at(1))?.is_some();
        let time = match timing.word {
            // Where the key's condition does not hold, the time is not looked at.
            Some(_) if on_key.is_some_and(|wanted| (wanted == Present::All) != is_there) => None,
            Some((place, unit)) => Some((place, deadline(txn, args.at(place + 1), unit, "hsetex")?)),
            None => None,
        };
        Ok(Self { fields: on_fields, key: on_key, keep: timing.alone, time, pairs: words.as_chunks().0 })
    }

    fn redis(txn: &Txn<'_>, args: Args<'a>) -> Result<Self, CommandError> {
        let arity = || CommandError::Arity("hsetex".into());
        let mut this = Self { fields: None, key: None, keep: false, time: None, pairs: &[] };
        let mut i = 2;
        while let Some(word) = args.get(i) {
            let only = [("fnx", Present::Nothing), ("fxx", Present::All)]
                .into_iter()
                .find_map(|(name, only)| is_word(word, name).then_some(only));
            let unit = unit(word);
            if is_word(word, "fields") {
                if args.len() < i + 4 {
                    return Err(arity());
                }
                let n = within(args.at(i + 1), 1, i32::MAX.into(), "invalid number of fields")?;
                let (pairs, rest) = args.from(i + 2).as_chunks::<2>();
                if !rest.is_empty() || pairs.len() as i64 != n {
                    return Err(arity());
                }
                this.pairs = pairs;
                txn.typed::<Hash>(args.at(1))?;
                return Ok(this);
            } else if only.is_some() {
                if this.fields.is_some() {
                    return Err(CommandError::err("Only one of FXX or FNX arguments can be specified"));
                }
                this.fields = only;
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
                let word = in_text(word);
                return Err(CommandError::Err(format!("unknown argument: {word}").into()));
            }
            i += 1;
        }
        Err(arity())
    }

    /// Whether the conditions hold.
    pub(super) fn allows(&self, hash: Option<&Hash>, time: i64) -> bool {
        let there = |field: &[u8]| hash.is_some_and(|hash| hash.get(field, time).is_some());
        let of_key = match self.key {
            None => true,
            Some(Present::Nothing) => hash.is_none(),
            Some(Present::All) => hash.is_some(),
        };
        of_key
            && match self.fields {
                None => true,
                Some(Present::Nothing) => !self.pairs.iter().any(|[field, _]| there(field)),
                Some(Present::All) => self.pairs.iter().all(|[field, _]| there(field)),
            }
    }
}
