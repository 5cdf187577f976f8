//! Commands of the group Set.

use crate::command::commands;

commands! { Set; }
