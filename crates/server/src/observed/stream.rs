//! MONITOR on a replica: what the primary sends, as it sends it.

use bytes::BytesMut;
use resp::{Limits, Mode, RequestDecoder};
use smallvec::SmallVec;
use store::Args;

use super::{Teller, is_shown, monitor_line};
use crate::engine::Engine;
use crate::role::Role;
use crate::session::Found;
use crate::target::selected;

impl Engine {
    /// Shows a piece of a primary's stream to those who see all: commands one by one, SELECT, MULTI and EXEC among
    /// them, each in the database that is selected behind it. `db` is selected before the piece, `from` is the primary's
    /// address.
    pub(crate) fn show_stream(&self, from: impl FnOnce() -> String, mut db: u32, raw: &[u8]) {
        if !self.observed.monitors.any() {
            return;
        }
        let from = from();
        let mut decoder = RequestDecoder::with_buffer(Limits::stream(), Mode::Stream, BytesMut::from(raw));
        while let Ok(Some(request)) = decoder.next_ref() {
            let parts: SmallVec<[&[u8]; 8]> = request.iter().collect();
            let args = Args::new(&parts);
            if parts.is_empty() || args.is(0, "replconf") {
                continue;
            }
            if args.is(0, "select") {
                db = selected(args).unwrap_or(db);
            }
            let hides = |found: Found| !is_shown(self.compat(), found.name());
            if !Found::named(self.compat(), args).is_some_and(hides) {
                self.observed.monitors.tell(&monitor_line(db, Teller::Client(&from), args));
            }
        }
    }

    /// The address of the primary that this engine follows, for those who see all.
    pub(crate) fn primary_address(&self) -> String {
        match self.role() {
            Role::Replica { host, port } => address(&host, port),
            Role::Primary => String::new(),
        }
    }
}

/// An address as MONITOR spells it.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
