//! Commands of the group SortedSet.

use crate::command::commands;

commands! { SortedSet; }
