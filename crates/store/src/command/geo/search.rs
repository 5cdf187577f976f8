//! GEOSEARCH, GEOSEARCHSTORE, and GEORADIUS with its kin.

use super::area::{Shape, cover, middle};
use super::place::{Place, Unit, length};
use super::{write_distance, write_place};
use crate::args::{Args, in_text, is_word};
use crate::command::zset::combine::store;
use crate::error::{CommandError, CommandResult};
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Zset;
use crate::value::zset::ScoreBounds;
use crate::view::{View, Viewer};

/// What the command's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS
    Around,
    /// GEORADIUSBYMEMBER
    AroundMember,
    Search,
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }
}

/// Keys of GEORADIUS and GEORADIUSBYMEMBER: the first argument, and those behind STORE and STOREDIST.
pub(super) fn radius_keys(args: Args<'_>, at: &mut dyn FnMut(usize)) {
    at(1);
    for i in 5..args.len().saturating_sub(1) {
        if args.is(i, "store") || args.is(i, "storedist") {
            at(i + 1);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Any,
    Nearest,
    Farthest,
}

/// What is asked for.
#[derive(Debug)]
struct Query<'a> {
    centre: Option<Place>,
    shape: Option<Shape>,
    unit: Unit,
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    order: Order,
    /// 0: no limit.
    count: usize,
    /// Stop when there are enough.
    any: bool,
    store: Option<&'a [u8]>,
    store_distance: bool,
}

/// A member inside.
#[derive(Debug)]
struct Hit {
    member: Vec<u8>,
    score: f64,
    place: Place,
    metres: f64,
}

impl<'a> Query<'a> {
    /// Reads the arguments. Without a set, a member's place cannot be told and stays open.
    fn parse(
        view: &View<'_>,
        args: Args<'a>,
        form: Form,
        may_store: bool,
        set: Option<&Zset>,
    ) -> Result<Self, CommandError> {
        let mut query = Self {
            centre: None,
            shape: None,
            unit: Unit::METRE,
            with_distance: false,
            with_hash: false,
            with_place: false,
            order: Order::Any,
            count: 0,
            any: false,
            store: None,
            store_distance: false,
        };
        let mut at = match form {
            Form::Around => {
                query.centre = Some(Place::parse(view, args, 2)?);
                query.circle(view, args, 4)?;
                6
            }
            Form::AroundMember => {
                if let Some(set) = set {
                    query.centre = Some(place_of(view, set, args.at(2))?);
                    query.circle(view, args, 3)?;
                }
                5
            }
            Form::Search => 2,
            Form::SearchStore => {
                query.store = Some(args.at(1));
                3
            }
        };
        let (mut by_member, mut by_place, mut by_radius, mut by_box) = (false, false, false, false);
        let mut by_polygon = false;
        let knows_polygons = view.differences().geo_polygons || view.viewer() == Viewer::Stream;
        let search = form.is_search();
        while let Some(word) = args.get(at) {
            let left = args.len() - at - 1;
            if is_word(word, "withdist") {
                query.with_distance = true;
            } else if is_word(word, "withhash") {
                query.with_hash = true;
            } else if is_word(word, "withcoord") {
                query.with_place = true;
            } else if is_word(word, "any") {
                query.any = true;
            } else if is_word(word, "asc") {
                query.order = Order::Nearest;
            } else if is_word(word, "desc") {
                query.order = Order::Farthest;
            } else if is_word(word, "count") && left >= 1 {
                let count = usize::try_from(args.int(at + 1)?).ok().filter(|n| *n > 0);
                query.count = count.ok_or(CommandError::err("COUNT must be > 0"))?;
                at += 1;
            } else if may_store
                && !search
                && left >= 1
                && (is_word(word, "store") || is_word(word, "storedist"))
            {
                query.store_distance = is_word(word, "storedist");
                query.store = Some(args.at(at + 1));
                at += 1;
            } else if search && is_word(word, "frommember") && left >= 1 && !by_place && !by_polygon {
                if let Some(set) = set {
                    query.centre = Some(place_of(view, set, args.at(at + 1))?);
                }
                by_member = true;
                at += 1;
            } else if search && is_word(word, "fromlonlat") && left >= 2 && !by_member && !by_polygon {
                query.centre = Some(Place::parse(view, args, at + 1)?);
                by_place = true;
                at += 2;
            } else if search && is_word(word, "byradius") && left >= 2 && !by_box && !by_polygon {
                query.circle(view, args, at + 1)?;
                by_radius = true;
                at += 2;
            } else if search && is_word(word, "bybox") && left >= 3 && !by_radius && !by_polygon {
                query.rectangle(view, args, at + 1)?;
                by_box = true;
                at += 3;
            } else if search
                && knows_polygons
                && is_word(word, "bypolygon")
                && left >= 2
                && !(by_member || by_place || by_radius || by_box)
            {
                at += query.polygon(view, args, at + 1)?;
                by_polygon = true;
            } else if form == Form::SearchStore && is_word(word, "storedist") {
                query.store_distance = true;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        let shapes = if view.differences().geo_polygons {
            "BYRADIUS, BYBOX and BYPOLYGON"
        } else {
            "BYRADIUS and BYBOX"
        };
        let (from, by) = (by_member || by_place || by_polygon, by_radius || by_box || by_polygon);
        query.check(args, form, from, by, shapes)?;
        if query.count > 0 && query.order == Order::Any && !query.any {
            query.order = Order::Nearest;
        }
        Ok(query)
    }

    fn check(&self, args: Args<'_>, form: Form, from: bool, by: bool, shapes: &str) -> CommandResult {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            return Err(CommandError::err(if form == Form::SearchStore {
                "GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }));
        }
        let wanted = |what: &str| {
            let name = String::from_utf8_lossy(args.at(0));
            Err(CommandError::Err(format!("exactly one of {what} can be specified for {name}").into()))
        };
        if form.is_search() && !from {
            return wanted("FROMMEMBER or FROMLONLAT");
        }
        if form.is_search() && !by {
            return wanted(shapes);
        }
        if self.any && self.count == 0 {
            return Err(CommandError::err("the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    fn circle(&mut self, view: &View<'_>, args: Args<'_>, at: usize) -> Result<(), CommandError> {
        let radius = length(view, args.at(at), "need numeric radius")?;
        if radius < 0.0 {
            return Err(CommandError::err("radius cannot be negative"));
        }
        self.unit = Unit::parse(args.at(at + 1))?;
        self.shape = Some(Shape::Circle { radius: radius * self.unit.metres() });
        Ok(())
    }

    fn rectangle(&mut self, view: &View<'_>, args: Args<'_>, at: usize) -> Result<(), CommandError> {
        let width = length(view, args.at(at), "need numeric width")?;
        let height = length(view, args.at(at + 1), "need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::err("height or width cannot be negative"));
        }
        self.unit = Unit::parse(args.at(at + 2))?;
        let metres = self.unit.metres();
        self.shape = Some(Shape::Box { width: width * metres, height: height * metres });
        Ok(())
    }

    /// The number of vertices at `at`, and the vertices; how many words that are.
    fn polygon(&mut self, view: &View<'_>, args: Args<'_>, at: usize) -> Result<usize, CommandError> {
        let n = parse_i64(args.at(at)).and_then(|n| i32::try_from(n).ok());
        let n = n.ok_or(CommandError::err("invalid number of vertices"))?;
        let words = usize::try_from(n).unwrap_or(0).saturating_mul(2);
        if n < 3 || words > args.len() - at - 1 {
            return Err(CommandError::err("GEOSEARCH BYPOLYGON must have at least 3 vertices"));
        }
        let places = (at + 1..=at + words).step_by(2).map(|at| Place::parse(view, args, at));
        let vertices = places.collect::<Result<Vec<_>, _>>()?;
        self.centre = Some(middle(&vertices));
        self.shape = Some(Shape::Polygon(vertices));
        Ok(1 + words)
    }

    /// The members inside, as many and in the order as asked for.
    fn run(&self, set: &Zset) -> Vec<Hit> {
        let (Some(shape), Some(centre)) = (&self.shape, self.centre) else { return Vec::new() };
        let enough = if self.any { self.count } else { usize::MAX };
        let mut hits: Vec<Hit> = Vec::new();
        for cell in cover(shape, centre) {
            let (min, max) = cell.scores();
            let ranks = ScoreBounds { min, above_min: false, max, below_max: true }.ranks(set);
            for (member, score) in set.range(ranks) {
                let place = Place::of_score(score);
                if let Some(metres) = shape.distance(centre, place) {
                    hits.push(Hit { member: member.to_vec(), score, place, metres });
                    if hits.len() >= enough {
                        break;
                    }
                }
            }
            if hits.len() >= enough {
                break;
            }
        }
        match self.order {
            Order::Any => {}
            Order::Nearest => hits.sort_by(|a, b| a.metres.total_cmp(&b.metres)),
            Order::Farthest => hits.sort_by(|a, b| b.metres.total_cmp(&a.metres)),
        }
        if self.count > 0 {
            hits.truncate(self.count);
        }
        hits
    }

    fn write(&self, view: &View<'_>, hits: &[Hit], out: &mut dyn Reply) {
        let extras =
            usize::from(self.with_distance) + usize::from(self.with_hash) + usize::from(self.with_place);
        out.array(hits.len());
        for hit in hits {
            if extras > 0 {
                out.array(extras + 1);
            }
            out.bulk(&hit.member);
            if self.with_distance {
                write_distance(out, hit.metres / self.unit.metres());
            }
            if self.with_hash {
                out.integer(hit.score as i64);
            }
            if self.with_place {
                write_place(view, out, hit.place);
            }
        }
    }
}

fn place_of(view: &View<'_>, set: &Zset, member: &[u8]) -> Result<Place, CommandError> {
    set.score(member).map(Place::of_score).ok_or_else(|| {
        if view.differences().geo_names_member {
            CommandError::Err(format!("member {} does not exist", in_text(member)).into())
        } else {
            CommandError::err("could not decode requested zset member")
        }
    })
}

fn read(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, form: Form) -> CommandResult {
    let set = view.typed::<Zset>(args.at(1))?;
    let query = Query::parse(view, args, form, false, set)?;
    query.write(view, &set.map_or_else(Vec::new, |set| query.run(set)), out);
    Ok(())
}

fn write(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply, form: Form) -> CommandResult {
    let set = txn.typed::<Zset>(args.at(if form == Form::SearchStore { 2 } else { 1 }))?;
    let query = Query::parse(txn, args, form, true, set)?;
    let hits = set.map_or_else(Vec::new, |set| query.run(set));
    let Some(key) = query.store else {
        query.write(txn, &hits, out);
        return Ok(());
    };
    let mut result = Zset::default();
    for hit in &hits {
        let score = if query.store_distance { hit.metres / query.unit.metres() } else { hit.score };
        result.load_member(&hit.member, score, txn.limits());
    }
    result.pack(txn.limits());
    store(txn, key, result, if form.is_search() { "geosearchstore" } else { "georadiusstore" }, out)
}

pub(super) fn geosearch(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    read(view, args, out, Form::Search)
}

pub(super) fn geosearchstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    write(txn, args, out, Form::SearchStore)
}

pub(super) fn georadius(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    write(txn, args, out, Form::Around)
}

pub(super) fn georadius_ro(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    read(view, args, out, Form::Around)
}

pub(super) fn georadiusbymember(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    write(txn, args, out, Form::AroundMember)
}

pub(super) fn georadiusbymember_ro(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    read(view, args, out, Form::AroundMember)
}
