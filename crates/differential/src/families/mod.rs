//! The families, one a file.

use crate::family::Family;

mod bits;
mod chance;
mod dump;
mod fields;
mod geo;
mod hashes;
mod keys;
mod lists;
mod past;
mod scripts;
mod sets;
mod sketches;
mod sort;
mod streams;
mod strings;
mod zsets;

/// All of them.
pub(crate) const ALL: &[&Family] = &[
    &strings::FAMILY,
    &bits::FAMILY,
    &fields::FAMILY,
    &sketches::FAMILY,
    &lists::FAMILY,
    &sets::FAMILY,
    &chance::FAMILY,
    &keys::FAMILY,
    &past::FAMILY,
    &sort::FAMILY,
    &dump::FAMILY,
    &scripts::FAMILY,
    &hashes::FAMILY,
    &zsets::FAMILY,
    &streams::FAMILY,
    &geo::FAMILY,
];
