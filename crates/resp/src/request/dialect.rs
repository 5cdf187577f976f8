//! What the servers do not read alike.

/// Whose way of reading what clients send.
///
/// Well-formed requests mean the same in each; what differs is what passes besides. Checked against Redis 7.0.15 and
/// 8.2.3, Valkey 8.1.8 and 9.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Dialect {
    /// Redis: what stands in the place of a line end is skipped unseen.
    #[default]
    Redis,
    /// Valkey 8: a line of a request, and each argument, must end with CR LF. Inline commands lose their bytes 0xff.
    Valkey8,
    /// Valkey 9: besides, what follows a closing quote belongs to the same word, and a backslash in quotes does not
    /// spare the last byte of a line.
    Valkey9,
}

impl Dialect {
    pub(super) fn minds_line_ends(self) -> bool {
        self >= Self::Valkey8
    }

    pub(super) fn loses_ff(self) -> bool {
        self >= Self::Valkey8
    }

    pub(super) fn joins_quotes(self) -> bool {
        self >= Self::Valkey9
    }
}
