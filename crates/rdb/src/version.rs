//! Magic and version: who wrote a dump decides what four of its bytes mean.

/// Which family of servers wrote a dump (format section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// `REDIS` + 4 digits; versions 1 to 16. Valkey up to 8 writes this as well.
    Redis,
    /// `VALKEY` + 3 digits; versions 80 and 81.
    Valkey,
}

/// Flavour and number of a dump's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The magic's family.
    pub flavour: Flavour,
    /// The number behind it.
    pub number: u16,
}
