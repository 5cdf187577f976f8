//! Commands of the group Geo: sorted sets whose scores are places on the earth.
//!
//! | file | what |
//! |---|---|
//! | `place` | 52-bit scores from and to degrees, distances |
//! | `area` | the cells that cover a circle or a box |
//! | `search` | GEOSEARCH and its older names |

mod area;
mod place;
mod search;

use crate::args::{Args, is_word};
use crate::command::zset::add::zadd;
use crate::command::{Keys, commands};
use crate::error::{CommandError, CommandResult};
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Zset;
use crate::view::View;
use place::{Place, Unit};

commands! { Geo;
    /// Adds places, or moves them.
    write "geoadd" -5 [DENYOOM] Keys::one(1), since "3.2.0", cost "O(log n) a member" => geoadd;
    /// Longitude and latitude of members.
    read "geopos" -2 [] Keys::one(1), since "3.2.0", cost "O(1) a member" => geopos;
    /// The distance between two members.
    read "geodist" -4 [] Keys::one(1), since "3.2.0", cost "O(1)" => geodist;
    /// Members as standard geohash text of 11 characters.
    read "geohash" -2 [] Keys::one(1), since "3.2.0", cost "O(1) a member" => geohash;
    /// The members inside a circle or box.
    read "geosearch" -7 [] Keys::one(1), since "6.2.0",
        cost "O(n + log m), n members near by, m inside" => search::geosearch;
    /// Stores the members inside a circle or box.
    write "geosearchstore" -8 [DENYOOM] Keys::two(1), since "6.2.0",
        cost "O(n + log m), n members near by, m inside" => search::geosearchstore;
    /// The members inside a circle around a place; may store them.
    write "georadius" -6 [DENYOOM MOVABLE_KEYS] Keys::By(search::radius_keys), since "3.2.0",
        cost "O(n + log m), n members near by, m inside" => search::georadius;
    /// The members inside a circle around a place.
    read "georadius_ro" -6 [] Keys::one(1), since "3.2.10",
        cost "O(n + log m), n members near by, m inside" => search::georadius_ro;
    /// The members inside a circle around a member; may store them.
    write "georadiusbymember" -5 [DENYOOM MOVABLE_KEYS] Keys::By(search::radius_keys), since "3.2.0",
        cost "O(n + log m), n members near by, m inside" => search::georadiusbymember;
    /// The members inside a circle around a member.
    read "georadiusbymember_ro" -5 [] Keys::one(1), since "3.2.10",
        cost "O(n + log m), n members near by, m inside" => search::georadiusbymember_ro;
}

/// Becomes ZADD with the places as scores; replicas get that too.
fn geoadd(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let options =
        args.from(2).iter().take_while(|w| ["nx", "xx", "ch"].iter().any(|o| is_word(w, o))).count();
    let given = |word| args.from(2).iter().take(options).any(|w| is_word(w, word));
    let first = 2 + options;
    let triples = args.from(first);
    if !triples.len().is_multiple_of(3) || (given("nx") && given("xx")) {
        return Err(CommandError::Syntax);
    }
    let mut scores = Vec::with_capacity(triples.len() / 3);
    for i in (first..args.len()).step_by(3) {
        let place = Place::parse(txn, args, i)?;
        scores.push(itoa::Buffer::new().format(place.score()).to_owned());
    }
    let mut parts: Vec<&[u8]> = vec![txn.differences().geoadd_as.as_bytes()];
    parts.extend_from_slice(&args.all()[1..first]);
    for (score, triple) in scores.iter().zip(triples.chunks_exact(3)) {
        parts.extend([score.as_bytes(), triple[2]]);
    }
    let before = txn.dirty();
    zadd(txn, Args::new(&parts), out)?;
    if txn.dirty() != before && txn.has_replicas() {
        txn.rewrite(&parts);
    }
    Ok(())
}

fn geopos(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Zset>(args.at(1))?;
    let members = args.from(2);
    out.array(members.len());
    for member in members {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_place(view, out, Place::of_score(score)),
            None => out.null(Null::Array),
        }
    }
    Ok(())
}

/// Longitude and latitude, with all their digits and no exponent or as doubles are printed.
fn write_place(view: &View<'_>, out: &mut dyn Reply, place: Place) {
    out.array(2);
    for degrees in [place.longitude, place.latitude] {
        if view.differences().short_places {
            out.double(degrees);
        } else {
            out.human_double(degrees);
        }
    }
}

fn geodist(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let unit = match args.len() {
        4 => Unit::METRE,
        5 => Unit::parse(args.at(4))?,
        _ => return Err(CommandError::Syntax),
    };
    let place = |set: &Zset, at| set.score(args.at(at)).map(Place::of_score);
    let set = view.typed::<Zset>(args.at(1))?;
    match set.and_then(|set| place(set, 2).zip(place(set, 3))) {
        Some((a, b)) => write_distance(out, a.distance(b) / unit.metres()),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

/// Four decimals, a byte string in either protocol.
fn write_distance(out: &mut dyn Reply, distance: f64) {
    out.bulk(format!("{distance:.4}").as_bytes());
}

fn geohash(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let set = view.typed::<Zset>(args.at(1))?;
    let members = args.from(2);
    out.array(members.len());
    for member in members {
        match set.and_then(|set| set.score(member)) {
            Some(score) => out.bulk(&Place::of_score(score).geohash()),
            None => out.null(Null::Bulk),
        }
    }
    Ok(())
}
