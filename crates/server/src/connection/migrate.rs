//! MIGRATE: keys go to another server, and are here no more.

use std::sync::Arc;
use std::time::Duration;

use store::command::Flags;
use store::{Args, Class, CommandError, CommandResult, Reply, ShardSet, Txn};

use super::{Out, WRITES, rows};
use crate::engine::Engine;
use crate::migrating::{Failure, Parcel, Target};
use crate::session::{Ground, Session};
use crate::yielding;

rows! { "generic";
    "migrate" -6 [WRITES, Flags::MAY_REPLICATE], since "2.6.0" => migrate;
}

/// What is asked for.
struct Order<'a> {
    target: Target<'a>,
    keys: &'a [&'a [u8]],
    copy: bool,
}

impl<'a> Order<'a> {
    fn parse(args: &'a [&'a [u8]]) -> Result<Self, CommandError> {
        let words = Args::new(args);
        let (mut auth, mut copy, mut replace): (&[&[u8]], _, _) = (&[], false, false);
        let mut keys = &args[3..4];
        let mut at = 6;
        while at < args.len() {
            let more = args.len() - at - 1;
            if words.is(at, "copy") {
                copy = true;
            } else if words.is(at, "replace") {
                replace = true;
            } else if words.is(at, "auth") && more >= 1 {
                auth = &args[at + 1..at + 2];
                at += 1;
            } else if words.is(at, "auth2") && more >= 2 {
                auth = &args[at + 1..at + 3];
                at += 2;
            } else if words.is(at, "keys") {
                if !args[3].is_empty() {
                    return Err(CommandError::err(
                        "When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                keys = &args[at + 1..];
                break;
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        let timeout = words.int(5)?;
        let db = words.int(4)?;
        let timeout = u64::try_from(timeout).ok().filter(|ms| *ms > 0).unwrap_or(1000);
        let timeout = Duration::from_millis(timeout);
        let target = Target { host: args[1], port: args[2], db, auth, replace, timeout };
        Ok(Self { target, keys, copy })
    }

    /// Hands over what is there. The keys are held throughout: nobody changes what is under way.
    fn fulfil(&self, engine: &Engine, txn: &mut Txn<'_>, out: &mut dyn Reply) -> CommandResult {
        let mut parcels = Vec::new();
        for key in self.keys {
            txn.reap(key);
            if let Some(entry) = txn.entry(key) {
                let ttl = entry.expire().map_or(0, |at| at.saturating_sub(txn.now()).max(1));
                parcels.push(Parcel { key, ttl, payload: entry.payload(engine.compat())? });
            }
        }
        if parcels.is_empty() {
            out.simple("NOKEY");
            return Ok(());
        }
        let (arrived, failure) = engine.targets.hand_over(self.target, &parcels);
        if !self.copy {
            let gone =
                parcels.iter().zip(&arrived).filter(|(_, arrived)| **arrived).map(|(parcel, _)| parcel.key);
            let mut told: Vec<&[u8]> = vec![b"DEL"];
            for key in gone {
                if txn.remove(key) {
                    txn.changed(Class::Generic, "del", key);
                }
                told.push(key);
            }
            if told.len() > 1 {
                txn.rewrite(&told);
            }
        }
        match failure {
            None => {
                out.ok();
                Ok(())
            }
            Some(Failure::Told(error)) => Err(CommandError::Raw(
                [b"ERR Target instance replied with error: ", &error[..]].concat().into(),
            )),
            Some(Failure::Connecting) => {
                Err(CommandError::coded("IOERR error or timeout connecting to the client"))
            }
            Some(Failure::Writing) => {
                Err(CommandError::coded("IOERR error or timeout writing to target instance"))
            }
            Some(Failure::Reading) => {
                Err(CommandError::coded("IOERR error or timeout reading to target instance"))
            }
        }
    }
}

fn migrate(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let order = Order::parse(args.all())?;
    let engine = Arc::clone(&session.engine);
    let mut set = ShardSet::none();
    order.keys.iter().for_each(|key| set.add(&engine.keyspace, session.db, key));
    match ground {
        Ground::Txn(txn) => {
            txn.hold(&set);
            txn.select(session.db);
            order.fulfil(&engine, txn, out)
        }
        Ground::Free => {
            yielding::leave();
            engine.write_with(&set, session.db, |txn| order.fulfil(&engine, txn, out))
        }
        Ground::Still(_) => Err(CommandError::coded("READONLY You can't write against a read only replica.")),
    }
}
