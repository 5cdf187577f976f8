//! Commands of the group HyperLogLog.

use crate::command::commands;

commands! { HyperLogLog; }
