//! Which cells to look into for the members inside a circle, a box or a polygon.

use super::place::{Area, Cell, EARTH, LATITUDES, Place, Radians, STEPS, latitude_distance};

/// Half the width of Mercator's map in metres.
const MERCATOR: f64 = 20_037_726.37;

/// What lies inside, in metres and degrees.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
    Polygon(Vec<Place>),
}

impl Shape {
    /// The distance of `place` from `centre` if it lies inside.
    pub(super) fn distance(&self, centre: Place, place: Place) -> Option<f64> {
        match self {
            Self::Circle { radius } => Some(centre.distance(place)).filter(|metres| metres <= radius),
            Self::Polygon(vertices) => contains(vertices, place).then(|| centre.distance(place)),
            Self::Box { width, height } => {
                if latitude_distance(place.latitude, centre.latitude) > height / 2.0 {
                    return None;
                }
                let level = Place { latitude: place.latitude, ..centre };
                if place.distance(level) > width / 2.0 {
                    return None;
                }
                Some(centre.distance(place))
            }
        }
    }

    /// The radius of a circle around all of it.
    fn radius(&self, centre: Place) -> f64 {
        match self {
            Self::Circle { radius } => *radius,
            Self::Box { width, height } => (width / 2.0).hypot(height / 2.0),
            Self::Polygon(vertices) => vertices.iter().map(|v| centre.distance(*v)).fold(0.0, f64::max),
        }
    }

    /// The degrees that it reaches to, beyond the map's edges perhaps.
    fn bounds(&self, centre: Place) -> Area {
        let (width, height) = match self {
            Self::Circle { radius } => (*radius, *radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
            Self::Polygon(vertices) => {
                let span = |part: fn(&Place) -> f64| {
                    let ends = (f64::INFINITY, f64::NEG_INFINITY);
                    vertices.iter().map(part).fold(ends, |(low, high), n| (low.min(n), high.max(n)))
                };
                return Area { longitudes: span(|p| p.longitude), latitudes: span(|p| p.latitude) };
            }
        };
        let degrees = |metres: f64| metres / EARTH / (std::f64::consts::PI / 180.0);
        let dy = degrees(height);
        // Meridians are closest at the end that is nearer to a pole.
        let nearer = if centre.latitude < 0.0 { centre.latitude - dy } else { centre.latitude + dy };
        let dx = degrees(width / nearer.to_radians_exact().cos());
        Area {
            longitudes: (centre.longitude - dx, centre.longitude + dx),
            latitudes: (centre.latitude - dy, centre.latitude + dy),
        }
    }
}

/// Whether a ray from the place to the east leaves the polygon an odd number of times.
fn contains(vertices: &[Place], place: Place) -> bool {
    let before = vertices.iter().cycle().skip(vertices.len().saturating_sub(1));
    vertices.iter().zip(before).fold(false, |inside, (a, b)| {
        let crosses = (a.latitude > place.latitude) != (b.latitude > place.latitude)
            && place.longitude
                < (b.longitude - a.longitude) * (place.latitude - a.latitude) / (b.latitude - a.latitude)
                    + a.longitude;
        inside != crosses
    })
}

/// The middle of some places: of the points in space, and from there up to the surface.
pub(super) fn middle(places: &[Place]) -> Place {
    let mut sum = [0.0; 3];
    for place in places {
        let (longitude, latitude) = (place.longitude.to_radians_exact(), place.latitude.to_radians_exact());
        sum[0] += latitude.cos() * longitude.cos();
        sum[1] += latitude.cos() * longitude.sin();
        sum[2] += latitude.sin();
    }
    let [x, y, z] = sum.map(|n| n / places.len() as f64);
    let degrees = |radians: f64| radians / (std::f64::consts::PI / 180.0);
    Place { longitude: degrees(y.atan2(x)), latitude: degrees(z.atan2((x * x + y * y).sqrt())) }
}

/// The cells that cover the shape, in the order in which real servers look into them: unsorted results show it.
pub(super) fn cover(shape: &Shape, centre: Place) -> Vec<Cell> {
    let bounds = shape.bounds(centre);
    let mut steps = steps_for(shape.radius(centre), centre.latitude);
    let cell_at = |steps| {
        // A place on the upper edge of the map gets the column or row beyond the last: so does its score.
        let (x, y) = centre.cell(LATITUDES, steps);
        Cell { x, y, steps }
    };
    let mut cell = cell_at(steps);
    // The cells around may not reach as far as the shape does.
    let short = cell.moved(0, 1).area().latitudes.1 < bounds.latitudes.1
        || cell.moved(0, -1).area().latitudes.0 > bounds.latitudes.0
        || cell.moved(1, 0).area().longitudes.1 < bounds.longitudes.1
        || cell.moved(-1, 0).area().longitudes.0 > bounds.longitudes.0;
    if short && steps > 1 {
        steps -= 1;
        cell = cell_at(steps);
    }
    let area = cell.area();
    let useless = |dx: i32, dy: i32| {
        steps >= 2
            && ((dy < 0 && area.latitudes.0 < bounds.latitudes.0)
                || (dy > 0 && area.latitudes.1 > bounds.latitudes.1)
                || (dx < 0 && area.longitudes.0 < bounds.longitudes.0)
                || (dx > 0 && area.longitudes.1 > bounds.longitudes.1))
    };
    let around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
    let mut cells: Vec<Cell> = Vec::with_capacity(around.len());
    for (dx, dy) in around {
        let next = cell.moved(dx, dy);
        // Few steps make neighbours meet at the back of the globe.
        if !useless(dx, dy) && !cells.contains(&next) {
            cells.push(next);
        }
    }
    cells
}

/// The finest grid of which three cells in a row are sure to cover the circle.
fn steps_for(radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS;
    }
    let mut steps = 1_i32;
    let mut reach = radius;
    while reach < MERCATOR && steps < 64 {
        reach *= 2.0;
        steps += 1;
    }
    // Two coarser, so that the circle is covered in most places; more towards the poles, where cells are narrow.
    steps -= 2;
    if latitude.abs() > 66.0 {
        steps -= 1;
    }
    if latitude.abs() > 80.0 {
        steps -= 1;
    }
    steps.clamp(1, STEPS as i32).unsigned_abs()
}
