//! A place, its score, and how far it is from another.
//!
//! A score is the place's cell in a grid of 2^26 by 2^26 over all longitudes and the latitudes that Mercator's map
//! shows, the bits of the two coordinates interleaved: latitude on the even ones, longitude on the odd ones. Cells
//! that share a prefix are neighbours, so a coarser cell is a range of scores.

use crate::args::{Args, is_word};
use crate::error::CommandError;
use crate::view::View;

/// Bits a coordinate in a score.
pub(super) const STEPS: u32 = 26;
pub(super) const LONGITUDES: (f64, f64) = (-180.0, 180.0);
/// What Mercator's square map shows.
pub(super) const LATITUDES: (f64, f64) = (-85.051_128_78, 85.051_128_78);
/// Mean radius of the earth in metres, as all servers take it.
pub(super) const EARTH: f64 = 6_372_797.560_856;
const GEOHASH: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// Degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Place {
    /// The longitude at argument `at` and the latitude behind it.
    pub(super) fn parse(view: &View<'_>, args: Args<'_>, at: usize) -> Result<Self, CommandError> {
        let (longitude, latitude) = (view.float(args.at(at))?, view.float(args.at(at + 1))?);
        let inside = |degrees: f64, (min, max): (f64, f64)| (min..=max).contains(&degrees);
        if !inside(longitude, LONGITUDES) || !inside(latitude, LATITUDES) {
            return Err(CommandError::Err(
                format!("invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into(),
            ));
        }
        Ok(Self { longitude, latitude })
    }

    /// The score of the place's cell.
    pub(super) fn score(self) -> u64 {
        let (x, y) = self.cell(LATITUDES, STEPS);
        interleave(x, y)
    }

    /// The cell's column and row in a grid of 2^`steps` by 2^`steps`.
    pub(super) fn cell(self, latitudes: (f64, f64), steps: u32) -> (u32, u32) {
        let part = |degrees: f64, (min, max): (f64, f64)| {
            let part = (degrees - min) / (max - min);
            (part * (1_u64 << steps) as f64) as u32
        };
        (part(self.longitude, LONGITUDES), part(self.latitude, latitudes))
    }

    /// The centre of a score's cell. Any double will do, as a member may have come by ZADD.
    pub(super) fn of_score(score: f64) -> Self {
        let bits = score as u64;
        let area = Cell { x: even_bits(bits >> 1), y: even_bits(bits), steps: STEPS }.area();
        let middle = |(low, high): (f64, f64), (min, max): (f64, f64)| ((low + high) / 2.0).clamp(min, max);
        Self { longitude: middle(area.longitudes, LONGITUDES), latitude: middle(area.latitudes, LATITUDES) }
    }

    /// Metres along the great circle (the haversine formula).
    pub(super) fn distance(self, other: Self) -> f64 {
        let half = |a: f64, b: f64| ((b.to_radians_exact() - a.to_radians_exact()) / 2.0).sin();
        let v = half(self.longitude, other.longitude);
        if v == 0.0 {
            return latitude_distance(self.latitude, other.latitude);
        }
        let u = half(self.latitude, other.latitude);
        let cosines = self.latitude.to_radians_exact().cos() * other.latitude.to_radians_exact().cos();
        2.0 * EARTH * (u * u + cosines * v * v).sqrt().asin()
    }

    /// The standard text, whose grid goes up to the poles. Its last character has no bits left and is always 0.
    pub(super) fn geohash(self) -> [u8; 11] {
        let (x, y) = self.cell((-90.0, 90.0), STEPS);
        let bits = interleave(x, y);
        let mut text = [GEOHASH[0]; 11];
        for (i, place) in text.iter_mut().take(10).enumerate() {
            *place = GEOHASH[(bits >> (52 - 5 * (i + 1)) & 31) as usize];
        }
        text
    }
}

/// Metres between two latitudes.
pub(super) fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH * (b.to_radians_exact() - a.to_radians_exact()).abs()
}

/// Multiplies by pi / 180 rounded once, as C programs do: `f64::to_radians` may round otherwise.
pub(super) trait Radians {
    fn to_radians_exact(self) -> f64;
}

impl Radians for f64 {
    fn to_radians_exact(self) -> f64 {
        self * (std::f64::consts::PI / 180.0)
    }
}

/// A cell of a grid of 2^`steps` by 2^`steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) steps: u32,
}

/// Degrees from and to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) longitudes: (f64, f64),
    pub(super) latitudes: (f64, f64),
}

impl Cell {
    pub(super) fn area(self) -> Area {
        let side = |at: u32, (min, max): (f64, f64)| {
            let edge = |n: f64| min + n / (1_u64 << self.steps) as f64 * (max - min);
            (edge(f64::from(at)), edge(f64::from(at) + 1.0))
        };
        Area { longitudes: side(self.x, LONGITUDES), latitudes: side(self.y, LATITUDES) }
    }

    /// The cell so many columns and rows away, around the edges of the map.
    pub(super) fn moved(self, dx: i32, dy: i32) -> Self {
        let mask = (1_u32 << self.steps) - 1;
        // What does not move may stand beyond the edge, and stays there.
        let turn = |at: u32, by: i32| if by == 0 { at } else { at.wrapping_add_signed(by) & mask };
        Self { x: turn(self.x, dx), y: turn(self.y, dy), ..self }
    }

    /// The scores inside: from, and up to but without.
    pub(super) fn scores(self) -> (f64, f64) {
        let first = interleave(self.x, self.y);
        let shift = 2 * (STEPS - self.steps);
        ((first << shift) as f64, ((first + 1) << shift) as f64)
    }
}

/// The bits of `y` on the even places, those of `x` on the odd ones.
fn interleave(x: u32, y: u32) -> u64 {
    spread(y) | spread(x) << 1
}

/// Puts a 0 above each bit, by halves.
fn spread(n: u32) -> u64 {
    let mut n = u64::from(n);
    n = (n | n << 16) & 0x0000_FFFF_0000_FFFF;
    n = (n | n << 8) & 0x00FF_00FF_00FF_00FF;
    n = (n | n << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    n = (n | n << 2) & 0x3333_3333_3333_3333;
    (n | n << 1) & 0x5555_5555_5555_5555
}

/// Undoes [`spread`].
fn even_bits(n: u64) -> u32 {
    let mut n = n & 0x5555_5555_5555_5555;
    n = (n | n >> 1) & 0x3333_3333_3333_3333;
    n = (n | n >> 2) & 0x0F0F_0F0F_0F0F_0F0F;
    n = (n | n >> 4) & 0x00FF_00FF_00FF_00FF;
    n = (n | n >> 8) & 0x0000_FFFF_0000_FFFF;
    (n | n >> 16) as u32
}

/// A unit of length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit(f64);

impl Unit {
    pub(super) const METRE: Self = Self(1.0);

    pub(super) fn parse(text: &[u8]) -> Result<Self, CommandError> {
        Ok(Self(match text {
            t if is_word(t, "m") => 1.0,
            t if is_word(t, "km") => 1000.0,
            t if is_word(t, "ft") => 0.3048,
            t if is_word(t, "mi") => 1609.34,
            _ => return Err(CommandError::err("unsupported unit provided. please use M, KM, FT, MI")),
        }))
    }

    pub(super) fn metres(self) -> f64 {
        self.0
    }
}

/// A length that is not a number is told by `otherwise`.
pub(super) fn length(view: &View<'_>, text: &[u8], otherwise: &'static str) -> Result<f64, CommandError> {
    view.float(text).map_err(|_| CommandError::err(otherwise))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_text_are_those_of_real_servers() {
        let palermo = Place { longitude: 13.361_389, latitude: 38.115_556 };
        assert_eq!(palermo.score(), 3_479_099_956_230_698);
        assert_eq!(&Place::of_score(3_479_099_956_230_698.0).geohash(), b"sqc8b49rny0");
        let catania = Place { longitude: 15.087_269, latitude: 37.502_669 };
        let apart = Place::of_score(palermo.score() as f64).distance(Place::of_score(catania.score() as f64));
        assert_eq!(format!("{apart:.4}"), "166274.1516");
    }

    #[test]
    fn any_double_is_the_score_of_some_place() {
        for score in [-1.0, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.5, 2f64.powi(52)] {
            let place = Place::of_score(score);
            assert!(place.longitude.abs() <= 180.0 && place.latitude.abs() <= 86.0, "{score} {place:?}");
            place.geohash();
        }
    }

    #[test]
    fn bits_spread_and_return() {
        for n in [0, 1, 2, 0xFFFF_FFFF, 0x1234_5678, 1 << 31] {
            assert_eq!((even_bits(spread(n)), even_bits(spread(n) >> 1)), (n, 0));
        }
    }
}
