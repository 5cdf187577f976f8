//! What modules write: framed by opcodes, so that it can be kept or skipped without knowing the module (section 12).

use super::cursor::{Cursor, Read, Stop};
use super::{Decoder, State};
use crate::error::ErrorKind;
use crate::visitor::{Part, Visitor};

/// A module's value, auxiliary record or key metadata.
#[derive(Debug)]
pub(super) struct Module {
    sink: Sink,
    next: Next,
}

/// What becomes of the bytes.
#[derive(Debug)]
pub(super) enum Sink {
    /// A value that is wanted.
    Part,
    /// A value that is not.
    Nowhere,
    /// An auxiliary record: it is short, and its visitor gets it whole.
    Aux(Vec<u8>),
    /// Key metadata: dropped.
    Meta {
        /// Classes left, this one included.
        classes: u64,
    },
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Id,
    Opcode,
    /// So many bytes of a string.
    Bytes(u64),
    End,
}

impl Module {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, next: Next::Id }
    }

    /// Moves on by one item of the frame.
    fn advance(&mut self, cur: &mut Cursor<'_>) -> Read<()> {
        self.next = match self.next {
            Next::Id => {
                match self.sink {
                    Sink::Meta { .. } => {
                        cur.array::<4>()?;
                    }
                    _ => {
                        cur.len()?;
                    }
                }
                Next::Opcode
            }
            Next::Opcode => match cur.len()? {
                0 => Next::End,
                1 | 2 => {
                    cur.len()?;
                    Next::Opcode
                }
                3 => {
                    cur.array::<4>()?;
                    Next::Opcode
                }
                4 => {
                    cur.array::<8>()?;
                    Next::Opcode
                }
                5 => match cur.head()?.body() {
                    0 => Next::Opcode,
                    body => Next::Bytes(body),
                },
                opcode => return Err(ErrorKind::ModuleOpcode(opcode).into()),
            },
            Next::Bytes(left) => match cur.up_to(left).len() as u64 {
                0 => return Err(Stop::Need(1)),
                n if n < left => Next::Bytes(left - n),
                _ => Next::Opcode,
            },
            Next::End => Next::End,
        };
        Ok(())
    }
}

impl Decoder {
    pub(super) fn module<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let State::Module(module) = &mut self.state else { return Ok(()) };
        let begin = cur.pos();
        // As much as there is goes on as one piece.
        let stop = loop {
            let before = cur.pos();
            match module.advance(cur) {
                Ok(()) if matches!(module.next, Next::End) => break None,
                Ok(()) => cur.commit(),
                Err(Stop::Need(n)) => {
                    cur.rewind(before);
                    break Some(Stop::Need(n));
                }
                Err(stop) => return Err(stop),
            }
        };
        let bytes = cur.since(begin);
        let last = stop.is_none();
        match &mut module.sink {
            Sink::Part if !bytes.is_empty() => visitor.part(Part::Module { bytes, last })?,
            Sink::Aux(all) => all.extend_from_slice(bytes),
            _ => {}
        }
        if let Some(stop) = stop {
            return Err(stop);
        }
        cur.commit();
        match &mut module.sink {
            Sink::Part => self.finish(visitor)?,
            Sink::Nowhere => self.next_record(),
            Sink::Aux(all) => {
                visitor.module_aux(all);
                self.state = State::Record;
            }
            Sink::Meta { classes } => {
                *classes = classes.saturating_sub(1);
                let classes = *classes;
                self.state = match (classes, self.single) {
                    (0, true) => State::Payload,
                    (0, false) => State::Record,
                    _ => State::Module(Module::new(Sink::Meta { classes })),
                };
            }
        }
        Ok(())
    }
}
