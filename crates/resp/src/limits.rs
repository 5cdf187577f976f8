//! How much a peer may claim before it is refused.

/// Bounds on what a decoder accepts. Every field is an option; the constructors carry the servers' defaults.
///
/// A limit bounds what is accepted, never what is allocated: decoders grow with the bytes that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest bulk string in bytes (`proto-max-bulk-len`).
    pub bulk_len: u64,
    /// Most elements that one request or aggregate may announce.
    pub elements: u64,
    /// Longest line in bytes without its end: inline commands and length headers.
    pub line_len: usize,
    /// Longest request or reply in bytes, framing included (`client-query-buffer-limit`).
    /// Positions are 32 bits wide, so anything above 4 GiB means 4 GiB.
    pub frame_len: u64,
    /// Deepest nesting of aggregates in a reply. Requests do not nest.
    pub depth: usize,
}

impl Limits {
    /// What Redis 7.0 grants a client: bulks of 512 MiB, `i32::MAX` elements, lines of 64 KiB, 1 GiB in all.
    ///
    /// Checked against a 7.0.15 server: `*2147483647` is accepted and `*2147483648` refused. (Servers before
    /// 7.0 drew that line at 1024 * 1024; set [`elements`](Self::elements) to have it back.)
    pub const fn requests() -> Self {
        Self {
            bulk_len: 512 << 20,
            elements: i32::MAX as u64,
            line_len: 64 << 10,
            frame_len: 1 << 30,
            depth: 1,
        }
    }

    /// What a replica grants its primary: servers lift the bulk and buffer limits on that link.
    pub const fn stream() -> Self {
        Self { bulk_len: u32::MAX as u64, frame_len: u32::MAX as u64, ..Self::requests() }
    }

    /// What a client grants a server: replies may be as large as the data behind them.
    pub const fn replies() -> Self {
        Self { elements: u32::MAX as u64, line_len: 1 << 20, depth: 128, ..Self::stream() }
    }
}
