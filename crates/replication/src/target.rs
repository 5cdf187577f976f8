//! Where a link delivers: the data set that follows a primary.

use crate::position::{Offset, ReplId};
use resp::RequestRef;

/// The commands of one MULTI..EXEC, to be applied so that no reader sees a part of it; or one command or a few that
/// stand one behind the other (see [`Target::gathers`]), each of which appears whole.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The database selected when the first command runs; a SELECT among the commands changes it for
    /// those behind.
    pub db: u32,
    /// The commands in order, at least one, without MULTI and EXEC. A SELECT inside a transaction is
    /// left in; one outside never comes here: it shows in the next batch's `db`. PING and REPLCONF
    /// never come. They borrow the link's buffer: copy what is to stay.
    pub commands: &'a [RequestRef<'a>],
    /// Whether they stood between MULTI and EXEC.
    pub transaction: bool,
    /// The offset after the batch, in bytes of the stream: publish it together with the effects.
    pub end: Offset,
    /// The database that the stream has selected after the batch.
    pub selected: u32,
    /// The batch as it came, MULTI and EXEC and whatever stood between them included: what replicas of this
    /// replica are sent, once it has been applied.
    pub raw: &'a [u8],
}

impl Batch<'_> {
    /// The first `count` commands, and those behind. Nothing is behind all commands: of a transaction, take all.
    #[must_use]
    pub fn split_at(self, count: usize) -> (Self, Self) {
        let (first, others) = self.commands.split_at_checked(count).unwrap_or((self.commands, &[]));
        let length =
            if others.is_empty() { self.raw.len() } else { first.iter().map(RequestRef::wire_len).sum() };
        let (raw, behind) = self.raw.split_at_checked(length).unwrap_or((self.raw, &[]));
        let end = self.end.before(behind.len() as u64);
        (Self { commands: first, raw, end, ..self }, Self { commands: others, raw: behind, ..self })
    }
}

/// Receives a full data set and then every later write, in order, from one task.
///
/// `begin_full_sync`, then the loader is driven as an [`rdb::Visitor`], then either `finish_full_sync`
/// (the dump was complete and its checksum good) or the loader is dropped (it was not): the data set
/// must then be as before. `apply` is never called while a full sync runs.
pub trait Target: Send {
    /// Builds the new data set aside while the old one keeps serving.
    type Loader: rdb::Visitor + Send;

    /// A full sync begins.
    fn begin_full_sync(&mut self) -> Self::Loader;

    /// Replaces the data set by the loader's, at once, and publishes the position with it.
    fn finish_full_sync(&mut self, loader: Self::Loader, replid: ReplId, offset: Offset);

    /// What comes from now on is for the caller's number `term`, as given to
    /// [`Handle::follow_as`](crate::Handle::follow_as).
    fn redirected(&mut self, term: u64) {
        let _ = term;
    }

    /// The primary continued the history under a new id (`+CONTINUE <id>`): same data, same offset.
    fn replid_changed(&mut self, replid: ReplId) {
        let _ = replid;
    }

    /// Applies a batch. A command that fails or is unknown is the target's to count: the stream goes on.
    fn apply(&mut self, batch: Batch<'_>);

    /// How many commands that have arrived, and belong to no transaction, the target takes in one batch at most.
    fn gathers(&self) -> usize {
        1
    }

    /// Everything that has arrived so far is applied: the moment to wake those who wait for it, rather than
    /// at every command.
    fn settled(&mut self) {}

    /// Whether the stream has done what this target cannot follow, so that only a full sync brings it in
    /// order again. Asked after every piece of the stream; true ends the connection once.
    fn wants_full_sync(&mut self) -> bool {
        false
    }

    /// The stream moved on without a command to apply (PING, REPLCONF GETACK, SELECT, an empty
    /// transaction, a bare newline). `selected` and `raw` as in a [`Batch`].
    fn advance(&mut self, end: Offset, selected: u32, raw: &[u8]) {
        let _ = (end, selected, raw);
    }
}
