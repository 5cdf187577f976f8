//! Hashes on their way into a dump: packed ones as they are, tables without a copy.

use rdb::encoding::{Full, ListpackBuf};
use rdb::{EncodeError, ValueEncoder};

use super::{Hash, Repr, Row, value_of};

impl Hash {
    /// Writes the fields, expired ones included.
    ///
    /// # Errors
    /// Fields expire, and the version cannot say so.
    pub fn save(&self, out: ValueEncoder<'_>) -> Result<(), EncodeError> {
        match &self.0 {
            Repr::Packed(list) => out.hash_listpack(list.as_listpack()),
            Repr::Expiring(_) => match self.by_deadline() {
                Ok((sorted, true)) => return out.hash_listpack_ex(sorted.as_listpack()),
                Ok((pairs, false)) => out.hash_listpack(pairs.as_listpack()),
                // The same entries in another order do fit; should they not, they go one by one.
                Err(Full) => {
                    let fields =
                        self.iter(i64::MIN).map(|(n, f)| (n.to_vec(), f.value.to_vec(), f.expire_ms));
                    let fields: Vec<_> = fields.collect();
                    return out
                        .hash_fields(fields.len(), fields.iter().map(|(n, v, at)| (&n[..], &v[..], *at)));
                }
            },
            // Longer than a reader would keep packed, so it gets what it would make of it.
            Repr::Wide(list) => {
                let items: Vec<Vec<u8>> = list.iter().map(|item| item.to_vec()).collect();
                out.hash(items.len() / 2, items.chunks_exact(2).map(|pair| (&pair[0][..], &pair[1][..])));
            }
            Repr::Table(table) if table.expiring() > 0 => {
                let fields = table.iter().map(|Row(e)| (e.key(), value_of(e), e.expire()));
                return out.hash_fields(table.len(), fields);
            }
            Repr::Table(table) => {
                out.hash(table.len(), table.iter().map(|Row(e)| (e.key(), value_of(e))));
            }
        }
        Ok(())
    }

    /// A listpack of triples in the order of deadlines, those without one last, as servers expect it; of pairs
    /// if there is no deadline at all. Whether there is.
    fn by_deadline(&self) -> Result<(ListpackBuf, bool), Full> {
        let mut fields: Vec<_> = self.iter(i64::MIN).collect();
        fields.sort_by_key(|(_, found)| (found.expire_ms.is_none(), found.expire_ms));
        let expires = fields.first().is_some_and(|(_, found)| found.expire_ms.is_some());
        let mut list = ListpackBuf::new();
        for (name, found) in fields {
            list.push_item(name)?;
            list.push_item(found.value)?;
            if expires {
                list.push_int(found.expire_ms.unwrap_or(0))?;
            }
        }
        Ok((list, expires))
    }
}
