//! Commands of the group Geo.

use crate::command::commands;

commands! { Geo; }
