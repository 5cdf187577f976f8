//! Hashes that share their field names (Redis 8.10; format section 13.2, known at second hand).

use std::collections::HashMap;

use super::cursor::{Cursor, Head, Read, corrupt};
use super::{Decoder, State};
use crate::encoding::Listpack;
use crate::visitor::{Kind, Part, Visitor, Want};

/// Field names by template id. They are kept for the whole dump, as they have arrived.
#[derive(Debug, Default)]
pub(super) struct Templates {
    known: HashMap<u64, Vec<Box<[u8]>>>,
    /// Names of the template that is being read.
    open: Vec<Box<[u8]>>,
}

/// A template's names or a templated hash's values, still to come.
#[derive(Debug)]
pub(super) struct Values {
    phase: Phase,
    /// Names or values left.
    left: u64,
    want: Want,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Names of opcode 242, for this id.
    Define(u64),
    /// Names in front of a value of their own; whether the values are a listpack.
    Names { packed: bool },
    /// Values as strings; `None`: by the names in front of them.
    Strings(Option<u64>),
    /// Template id and values as a listpack.
    Listpack { own: bool },
}

impl Decoder {
    pub(super) fn template_definition(&mut self, cur: &mut Cursor<'_>) -> Read<()> {
        let (id, left) = (cur.len()?, cur.len()?);
        if self.templates.known.contains_key(&id) {
            return corrupt("a hash template twice");
        }
        self.templates.open = Vec::new();
        self.state = State::Template(Values { phase: Phase::Define(id), left, want: Want::Skip });
        cur.commit();
        Ok(())
    }

    pub(super) fn template_value<V: Visitor + ?Sized>(
        &mut self,
        byte: u8,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        self.templates.open = Vec::new();
        let (phase, left) = match byte {
            29 | 31 => match cur.len()? {
                0 => {
                    let blob = cur.str()?;
                    for name in Listpack::new(self.first.of(blob)?)?.iter() {
                        self.templates.open.push(name.to_vec().into());
                    }
                    (Phase::Names { packed: byte == 29 }, 0)
                }
                1 => (Phase::Names { packed: byte == 29 }, cur.len()?),
                _ => return corrupt("unknown form of a hash template"),
            },
            30 => (Phase::Listpack { own: false }, 1),
            _ => {
                let id = cur.len()?;
                let Some(names) = self.templates.known.get(&id) else {
                    return corrupt("an unknown hash template");
                };
                (Phase::Strings(Some(id)), names.len() as u64)
            }
        };
        let want = self.announce(byte, Kind::Hash, visitor)?;
        self.state = State::Template(Values { phase, left, want });
        cur.commit();
        Ok(())
    }

    pub(super) fn template<V: Visitor + ?Sized>(
        &mut self,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        let State::Template(values) = &mut self.state else { return Ok(()) };
        let Templates { known, open } = &mut self.templates;
        let wanted = values.want != Want::Skip;
        match values.phase {
            Phase::Define(_) | Phase::Names { .. } => {
                while values.left > 0 {
                    let name = cur.str()?;
                    open.push(self.first.of(name)?.into());
                    cur.commit();
                    values.left -= 1;
                }
                match values.phase {
                    Phase::Define(id) => {
                        known.insert(id, std::mem::take(open));
                        self.state = State::Record;
                        return Ok(());
                    }
                    Phase::Names { packed: true } => values.phase = Phase::Listpack { own: true },
                    _ => {
                        values.left = open.len() as u64;
                        values.phase = Phase::Strings(None);
                    }
                }
                return Ok(());
            }
            Phase::Strings(id) => {
                let names = match id {
                    Some(id) => known.get(&id).map_or(&[][..], Vec::as_slice),
                    None => open.as_slice(),
                };
                while values.left > 0 {
                    let head = cur.head()?;
                    if !wanted {
                        let body = head.body();
                        let passed = cur.up_to(body).len() as u64;
                        values.left -= 1;
                        cur.commit();
                        if passed < body {
                            self.skip = body - passed;
                            return Ok(());
                        }
                        continue;
                    }
                    let value = cur.body(head)?;
                    // What is left counts down to the last name.
                    let index = names.len().checked_sub(usize::try_from(values.left).unwrap_or(usize::MAX));
                    let Some(field) = index.and_then(|index| names.get(index)) else {
                        return corrupt("more values than names");
                    };
                    let value = self.first.of(value)?;
                    visitor.part(Part::Field { field, value, expire_ms: None })?;
                    cur.commit();
                    values.left -= 1;
                }
            }
            Phase::Listpack { own } => {
                let head: Head = cur.head()?;
                let blob = cur.body(head)?;
                if wanted {
                    let list = Listpack::new(self.first.of(blob)?)?;
                    let mut items = list.iter();
                    let id = items.next().and_then(|id| id.as_int());
                    let names = match (own, id.and_then(|id| u64::try_from(id).ok())) {
                        (true, Some(_)) => Some(open.as_slice()),
                        (false, Some(id)) => known.get(&id).map(Vec::as_slice),
                        (_, None) => None,
                    };
                    let Some(names) = names else { return corrupt("an unknown hash template") };
                    if list.len() != names.len().saturating_add(1) {
                        return corrupt("values do not match the names of their template");
                    }
                    let mut digits = [0; 20];
                    for (field, value) in names.iter().zip(items) {
                        let value = value.to_bytes(&mut digits);
                        visitor.part(Part::Field { field, value, expire_ms: None })?;
                    }
                }
                cur.commit();
            }
        }
        self.templates.open = Vec::new();
        if wanted {
            self.finish(visitor)
        } else {
            self.next_record();
            Ok(())
        }
    }
}
