//! Which clients CLIENT LIST and CLIENT KILL are about.

use store::{Args, ClientFilters, CommandError, Family};

use crate::clients::Client;
use crate::session::Session;

/// One condition.
#[derive(Debug)]
enum Condition {
    Ids(Vec<u64>),
    Kind(Kind),
    User(Vec<u8>),
    Addr(Vec<u8>),
    Local(Vec<u8>),
    Ip(Vec<u8>),
    Name(Vec<u8>),
    Library(Vec<u8>),
    LibraryVersion(Vec<u8>),
    Db(u32),
    /// Seconds since it came, and since it last said something, at least.
    Age(u64),
    Idle(u64),
    /// All of these letters.
    Flags(Vec<u8>),
    Capabilities(Vec<u8>),
}

/// The kinds of client that TYPE names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Primary,
    Replica,
    PubSub,
}

impl Kind {
    fn named(name: &[u8], family: Family) -> Result<Self, CommandError> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"master" => Ok(Self::Primary),
            b"primary" if family == Family::Valkey => Ok(Self::Primary),
            b"replica" | b"slave" => Ok(Self::Replica),
            b"pubsub" => Ok(Self::PubSub),
            _ => {
                let name = String::from_utf8_lossy(name).into_owned();
                Err(CommandError::Err(format!("Unknown client type '{name}'").into()))
            }
        }
    }

    /// A primary is no client of ours: we are its.
    fn of(client: &Client) -> Self {
        match () {
            () if client.is_replica && !client.is_monitor => Self::Replica,
            () if client.listens != (0, 0, 0) => Self::PubSub,
            () => Self::Normal,
        }
    }
}

/// All conditions hold.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// With whether it must not be so.
    conditions: Vec<(Condition, bool)>,
    spares_me: bool,
}

impl Wanted {
    pub(super) fn matches(&self, client: &Client, session: &Session) -> bool {
        if self.spares_me && client.id == session.id {
            return false;
        }
        let compat = session.engine.compat();
        self.conditions.iter().all(|(condition, not)| {
            let holds = match condition {
                Condition::Ids(ids) => ids.contains(&client.id),
                Condition::Kind(kind) => Kind::of(client) == *kind,
                Condition::User(name) => *client.user == **name,
                Condition::Addr(addr) => client.addr.spell(compat).as_bytes() == addr,
                Condition::Local(addr) => client.local.spell(compat).as_bytes() == addr,
                Condition::Ip(ip) => client.addr.ip().is_some_and(|known| known.to_string().as_bytes() == ip),
                Condition::Name(name) => client.name == *name,
                Condition::Library(name) => client.library == *name,
                Condition::LibraryVersion(name) => client.library_version == *name,
                Condition::Db(db) => client.db == *db,
                Condition::Age(least) => client.since.elapsed().as_secs() >= *least,
                Condition::Idle(least) => client.active.elapsed().as_secs() >= *least,
                Condition::Flags(letters) => {
                    let flags = client.flags(session.engine.blocked.has(client.id));
                    letters.iter().all(|letter| flags.as_bytes().contains(letter))
                }
                Condition::Capabilities(letters) => {
                    letters.iter().all(|letter| client.capabilities.as_bytes().contains(letter))
                }
            };
            holds != *not
        })
    }
}

/// The conditions of CLIENT LIST.
pub(super) fn of_list(session: &Session, args: Args<'_>) -> Result<Wanted, CommandError> {
    if known(session) >= ClientFilters::Both {
        return several(session, args);
    }
    let mut wanted = Wanted::default();
    match args.len() {
        2 => {}
        4 if args.is(2, "type") => {
            wanted.conditions.push((Condition::Kind(Kind::named(args.at(3), family(session))?), false));
        }
        n if n >= 4 && args.is(2, "id") => {
            let ids: Result<Vec<i64>, _> = (3..n).map(|i| args.int(i)).collect();
            let ids = ids.map_err(|_| CommandError::err("Invalid client ID"))?;
            let ids = ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect();
            wanted.conditions.push((Condition::Ids(ids), false));
        }
        _ => return Err(CommandError::Syntax),
    }
    Ok(wanted)
}

/// The conditions of CLIENT KILL, which spares who says it unless told otherwise.
pub(super) fn of_kill(session: &Session, args: Args<'_>) -> Result<Wanted, CommandError> {
    let mut wanted = several(session, args)?;
    if !(2..args.len()).any(|at| args.is(at, "skipme")) {
        wanted.spares_me = true;
    }
    Ok(wanted)
}

fn family(session: &Session) -> Family {
    session.engine.compat().differences().family
}

fn known(session: &Session) -> ClientFilters {
    session.engine.compat().differences().client_filters
}

fn several(session: &Session, args: Args<'_>) -> Result<Wanted, CommandError> {
    let known = known(session);
    let mut wanted = Wanted::default();
    let mut at = 2;
    while at < args.len() {
        let is_id = args.is(at, "id") || args.is(at, "not-id");
        if at + 1 >= args.len() && !(is_id && known >= ClientFilters::Both) {
            return Err(CommandError::Syntax);
        }
        let option = args.at(at).to_ascii_lowercase();
        let (not, option) = match option.strip_prefix(b"not-") {
            Some(option) if known == ClientFilters::All => (true, option),
            _ => (false, option.as_slice()),
        };
        let text = args.at(at + 1);
        let letters = |known: &[u8], what: &str| {
            let unknown: Vec<u8> = text.iter().copied().filter(|letter| !known.contains(letter)).collect();
            if unknown.is_empty() {
                return Ok(text.to_vec());
            }
            // Of capabilities all are named then.
            let unknown = if what == "capa" { text } else { &unknown };
            let (which, unknown) = (
                if not { format!("NOT-{}", what.to_ascii_uppercase()) } else { "provided".to_owned() },
                String::from_utf8_lossy(unknown),
            );
            let text = format!("Unknown {what} found in the {which} filter: {unknown}");
            Err(CommandError::Err(text.into()))
        };
        let seconds = |name: &str| {
            let n = args
                .int(at + 1)
                .map_err(|_| CommandError::Err(format!("{name} is not an integer or out of range").into()))?;
            let n = u64::try_from(n).ok().filter(|n| *n > 0);
            n.ok_or_else(|| CommandError::Err(format!("{name} should be greater than 0").into()))
        };
        let condition = match option {
            b"id" => {
                let (ids, next) = ids(args, at + 1, known)?;
                if ids.is_empty() && family(session) == Family::Valkey && at == 2 {
                    return Err(CommandError::Syntax);
                }
                wanted.conditions.push((Condition::Ids(ids), not));
                at = next;
                continue;
            }
            b"skipme" if !not => {
                wanted.spares_me = match () {
                    () if args.is(at + 1, "yes") => true,
                    () if args.is(at + 1, "no") => false,
                    () => return Err(CommandError::Syntax),
                };
                at += 2;
                continue;
            }
            b"type" => Condition::Kind(Kind::named(text, family(session))?),
            b"addr" => Condition::Addr(text.to_vec()),
            b"laddr" => Condition::Local(text.to_vec()),
            b"user" => {
                if session.engine.acl.get(text).is_none() {
                    let name = String::from_utf8_lossy(text).into_owned();
                    return Err(CommandError::Err(format!("No such user '{name}'").into()));
                }
                Condition::User(text.to_vec())
            }
            b"maxage" if known >= ClientFilters::Age && !not => Condition::Age(seconds("maxage")?),
            _ if known < ClientFilters::All => return Err(CommandError::Syntax),
            b"idle" if !not => Condition::Idle(seconds("idle")?),
            b"name" => Condition::Name(text.to_vec()),
            b"lib-name" => Condition::Library(text.to_vec()),
            b"lib-ver" => Condition::LibraryVersion(text.to_vec()),
            b"ip" => Condition::Ip(text.to_vec()),
            b"capa" => Condition::Capabilities(letters(b"r", "capa")?),
            b"flags" => Condition::Flags(letters(b"OMSPxbtRBdcuAUreTIE N", "flags")?),
            b"db" => {
                let name = if not { "NOT-DB" } else { "DB" };
                let refused = |what: String| CommandError::Err(format!("{name} {what}").into());
                let db =
                    args.int(at + 1).map_err(|_| refused("is not an integer or out of range".to_owned()))?;
                let known = session.engine.keyspace.databases();
                let db = u32::try_from(db).ok().filter(|db| *db < known);
                let last = known.saturating_sub(1);
                Condition::Db(db.ok_or_else(|| refused(format!("number should be between 0 and {last}")))?)
            }
            _ => return Err(CommandError::Syntax),
        };
        wanted.conditions.push((condition, not));
        at += 2;
    }
    Ok(wanted)
}

/// One id, or as many as there are where several are known; and what comes next.
fn ids(args: Args<'_>, first: usize, known: ClientFilters) -> Result<(Vec<u64>, usize), CommandError> {
    let small = || CommandError::err("client-id should be greater than 0");
    let (mut ids, mut at) = (Vec::new(), first);
    while at < args.len() {
        let id = match args.int(at) {
            Ok(id) => id,
            Err(_) if at > first => break,
            Err(_) if known >= ClientFilters::Both => return Err(CommandError::Syntax),
            Err(_) => return Err(small()),
        };
        ids.push(u64::try_from(id).ok().filter(|id| *id > 0).ok_or_else(small)?);
        at += 1;
        if known < ClientFilters::Both {
            break;
        }
    }
    Ok((ids, at))
}
