//! Commands of the group Stream.

use crate::command::commands;

commands! { Stream; }
