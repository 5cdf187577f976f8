//! How a primary writes its stream: SELECT where the database changes, MULTI and EXEC around what
//! belongs together.

use crate::handshake::encode;
use bytes::BytesMut;

/// Turns effects into stream bytes.
///
/// ```
/// let mut writer = replication::StreamWriter::default();
/// writer.command(0, &[b"SET", b"k", b"v"]);
/// writer.begin();
/// writer.command(3, &[b"DEL", b"a"]);
/// writer.command(3, &[b"DEL", b"b"]);
/// writer.commit();
/// let mut commands = Vec::new();
/// writer.take(|bytes| commands.extend_from_slice(bytes));
/// let text = String::from_utf8_lossy(&commands);
/// let order: Vec<_> = ["SELECT", "SET", "MULTI", "SELECT", "DEL", "DEL", "EXEC"].into();
/// assert_eq!(text.lines().filter(|line| order.contains(line)).collect::<Vec<_>>(), order);
/// ```
#[derive(Debug, Default)]
pub struct StreamWriter {
    /// The database that readers of the stream have selected; `None`: they must not assume any.
    selected: Option<u32>,
    out: BytesMut,
    /// The open transaction's bytes, and how many commands they are.
    group: BytesMut,
    grouped: usize,
    open: bool,
}

impl StreamWriter {
    /// Adds a command that ran in database `db`.
    pub fn command(&mut self, db: u32, args: &[&[u8]]) {
        let out = if self.open { &mut self.group } else { &mut self.out };
        if self.selected != Some(db) {
            encode(out, &[b"SELECT", db.to_string().as_bytes()]);
            self.selected = Some(db);
        }
        encode(out, args);
        self.grouped += usize::from(self.open);
    }

    /// What follows until [`commit`](Self::commit) must appear at once.
    pub fn begin(&mut self) {
        self.open = true;
    }

    /// Ends the group. One command goes out bare, several between MULTI and EXEC, none not at all.
    pub fn commit(&mut self) {
        if self.grouped > 1 {
            encode(&mut self.out, &[b"MULTI"]);
        }
        self.out.extend_from_slice(&self.group);
        if self.grouped > 1 {
            encode(&mut self.out, &[b"EXEC"]);
        }
        self.group.clear();
        self.grouped = 0;
        self.open = false;
    }

    /// Adds a PING: the primary's sign of life, every ten seconds.
    pub fn ping(&mut self) {
        encode(&mut self.out, &[b"ping"]);
    }

    /// Asks every replica for an ACK, as WAIT does.
    pub fn getack(&mut self) {
        encode(&mut self.out, &[b"REPLCONF", b"GETACK", b"*"]);
    }

    /// Makes the next command say its database: a replica is about to join that knows none.
    pub fn forget_db(&mut self) {
        self.selected = None;
    }

    /// The stream's readers have this database selected, by bytes that somebody else wrote.
    pub fn assume_db(&mut self, db: u32) {
        self.selected = Some(db);
    }

    /// The database that the stream has selected.
    #[must_use]
    pub fn selected(&self) -> Option<u32> {
        self.selected
    }

    /// Hands over the bytes written since the last call; those of an open group stay.
    pub fn take(&mut self, with: impl FnOnce(&[u8])) {
        with(&self.out);
        self.out.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(writer: &mut StreamWriter) -> String {
        let mut text = String::new();
        writer.take(|bytes| text = String::from_utf8_lossy(bytes).replace("\r\n", " "));
        text
    }

    #[test]
    fn select_appears_only_where_the_database_changes() {
        let mut writer = StreamWriter::default();
        writer.command(0, &[b"A"]);
        writer.command(0, &[b"B"]);
        writer.command(5, &[b"C"]);
        let select = |db| format!("*2 $6 SELECT $1 {db} ");
        assert_eq!(taken(&mut writer), format!("{}*1 $1 A *1 $1 B {}*1 $1 C ", select(0), select(5)));
        writer.forget_db();
        writer.command(5, &[b"D"]);
        assert_eq!(taken(&mut writer), format!("{}*1 $1 D ", select(5)));
    }

    #[test]
    fn a_group_of_one_is_bare_and_an_empty_one_nothing() {
        let mut writer = StreamWriter::default();
        writer.begin();
        writer.commit();
        assert_eq!(taken(&mut writer), "");
        writer.begin();
        writer.command(0, &[b"A"]);
        writer.commit();
        assert_eq!(taken(&mut writer), "*2 $6 SELECT $1 0 *1 $1 A ");
        writer.begin();
        writer.command(0, &[b"A"]);
        writer.command(0, &[b"B"]);
        assert_eq!(taken(&mut writer), "", "a group must not be seen before it is complete");
        writer.commit();
        assert_eq!(taken(&mut writer), "*1 $5 MULTI *1 $1 A *1 $1 B *1 $4 EXEC ");
    }
}
