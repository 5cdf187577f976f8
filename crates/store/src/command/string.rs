//! Commands of the group String.

use crate::command::commands;

commands! { String; }
