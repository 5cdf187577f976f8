//! EVAL and SCRIPT.
use super::rows;
rows! { "scripting"; }
