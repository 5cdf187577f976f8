//! `replica commands`: the commands that clients can call, as the page in `docs/` has them.

/// Prints the page.
pub fn run() {
    say!("{}", server::commands_page().trim_end());
}
