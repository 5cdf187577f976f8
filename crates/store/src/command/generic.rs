//! Commands of the group Generic.

use crate::command::commands;

commands! { Generic; }
