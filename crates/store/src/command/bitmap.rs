//! Commands of the group Bitmap.

use crate::command::commands;

commands! { Bitmap; }
