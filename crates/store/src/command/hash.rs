//! Commands of the group Hash.

use crate::command::commands;

commands! { Hash; }
