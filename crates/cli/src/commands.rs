//! `replica commands`: the commands that clients can call, as the page in `docs/` has them.

/// Prints the page.
pub fn run() {
    print!("{}", server::commands_page());
}
