//! Commands of the group List.

use crate::command::commands;

commands! { List; }
