//! SUBSCRIBE and its relatives, PUBLISH, PUBSUB.

use resp::Encoder;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::{LISTENS, Out, container, help, rows};
use crate::pubsub::Kind;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "pubsub";
    /// Listens for messages published to channels that match one or more patterns.
    "psubscribe" -2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, LISTENS], since "2.0.0" => psubscribe;
    /// Posts a message to a channel.
    "publish" 3 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::MAY_REPLICATE], since "2.0.0" => publish;
    /// A container for Pub/Sub commands.
    "pubsub" -2 [Flags::CONTAINER], since "2.8.0" => container;
    /// Returns helpful text about the different subcommands.
    "pubsub|help" 2 [Flags::LOADING, Flags::STALE], since "6.2.0" => help;
    /// Returns the active channels.
    "pubsub|channels" -2 [Flags::LOADING, Flags::STALE], since "2.8.0" => channels;
    /// Returns a count of unique pattern subscriptions.
    "pubsub|numpat" 2 [Flags::LOADING, Flags::STALE], since "2.8.0" => numpat;
    /// Returns a count of subscribers to channels.
    "pubsub|numsub" -2 [Flags::LOADING, Flags::STALE], since "2.8.0" => numsub;
    /// Returns the active shard channels.
    "pubsub|shardchannels" -2 [Flags::LOADING, Flags::STALE], since "7.0.0" => shardchannels;
    /// Returns the count of subscribers of shard channels.
    "pubsub|shardnumsub" -2 [Flags::LOADING, Flags::STALE], since "7.0.0" => shardnumsub;
    /// Stops listening to messages published to channels that match one or more patterns.
    "punsubscribe" -1 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, LISTENS], since "2.0.0" => punsubscribe;
    /// Post a message to a shard channel
    "spublish" 3 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::MAY_REPLICATE], since "7.0.0" => spublish;
    /// Listens for messages published to shard channels.
    "ssubscribe" -2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, LISTENS], since "7.0.0" => ssubscribe;
    /// Listens for messages published to channels.
    "subscribe" -2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, LISTENS], since "2.0.0" => subscribe;
    /// Stops listening to messages posted to shard channels.
    "sunsubscribe" -1 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, LISTENS], since "7.0.0" => sunsubscribe;
    /// Stops listening to messages posted to channels.
    "unsubscribe" -1 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, LISTENS], since "2.0.0" => unsubscribe;
}

/// One confirmation: the word, the name if there is one, how many subscriptions are left. Like a message it comes to
/// those who want no replies, too.
fn confirm(session: &Session, out: &mut RespReply<'_>, word: &str, name: Option<&[u8]>, count: usize) {
    let write = |encoder: &mut Encoder<'_>| {
        encoder.push(3);
        encoder.bulk(word.as_bytes());
        encoder.bulk_or_null(name);
        encoder.integer(i64::try_from(count).unwrap_or(i64::MAX));
    };
    if session.is_silent() {
        session.outbox.push(write);
    } else {
        write(&mut out.encoder());
    }
}

fn listen(session: &mut Session, kind: Kind, args: Args<'_>, out: &mut RespReply<'_>) -> CommandResult {
    for name in args.from(1) {
        let subscriptions = session.subscriptions();
        subscriptions.add(kind, name);
        let count = subscriptions.count(kind);
        confirm(session, out, kind.words().0, Some(name), count);
    }
    session.outbox.set_listens(true);
    Ok(())
}

fn stop(session: &mut Session, kind: Kind, args: Args<'_>, out: &mut RespReply<'_>) -> CommandResult {
    let subscriptions = session.subscriptions();
    let mut names: Vec<Box<[u8]>> = args.from(1).iter().map(|name| (*name).into()).collect();
    if names.is_empty() {
        names = subscriptions.names(kind);
    }
    let word = kind.words().1;
    if names.is_empty() {
        let count = subscriptions.count(kind);
        confirm(session, out, word, None, count);
    }
    for name in &names {
        let subscriptions = session.subscriptions();
        subscriptions.remove(kind, name);
        let count = subscriptions.count(kind);
        confirm(session, out, word, Some(name), count);
    }
    let listens = session.subscriptions().counts() != (0, 0, 0);
    session.outbox.set_listens(listens);
    Ok(())
}

macro_rules! subscribing {
    ($($name:ident: $kind:ident, $run:ident;)*) => {$(
        fn $name(session: &mut Session, args: Args<'_>, out: &mut RespReply<'_>, ground: &mut Ground<'_, '_>) -> CommandResult {
            // In a transaction, of all that listen, this one alone is refused.
            if args.is(0, "ssubscribe") && !matches!(ground, Ground::Free) {
                return Err(CommandError::err("SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
            }
            $run(session, Kind::$kind, args, out)
        }
    )*};
}

subscribing! {
    subscribe: Channel, listen;
    psubscribe: Pattern, listen;
    ssubscribe: Shard, listen;
    unsubscribe: Channel, stop;
    punsubscribe: Pattern, stop;
    sunsubscribe: Shard, stop;
}

fn publish(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    send(session, Kind::Channel, args, out, ground)
}

fn spublish(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    send(session, Kind::Shard, args, out, ground)
}

fn send(
    session: &Session,
    kind: Kind,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let told = engine.publish_from(kind, args, session.db, ground);
    // What comes to a silent client itself comes without the reply.
    if engine.compat().differences().pushes_first && !session.is_silent() {
        out.pushes(&session.outbox);
    }
    out.integer(i64::try_from(told).unwrap_or(i64::MAX));
    Ok(())
}

/// The channels of a kind that match the pattern, if there is one.
fn names(session: &Session, kind: Kind, args: Args<'_>, out: &mut RespReply<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::subcommand_syntax(args));
    }
    let mut all = session.engine.pubsub.channels(kind);
    all.retain(|name| args.get(2).is_none_or(|pattern| store::glob::matches(pattern, name)));
    out.encoder().array(all.len());
    all.iter().for_each(|name| out.bulk(name));
    Ok(())
}

fn counts(session: &Session, kind: Kind, args: Args<'_>, out: &mut RespReply<'_>) -> CommandResult {
    out.encoder().array(2 * args.from(2).len());
    for name in args.from(2) {
        out.bulk(name);
        out.integer(i64::try_from(session.engine.pubsub.listeners(kind, name)).unwrap_or(i64::MAX));
    }
    Ok(())
}

fn channels(s: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    names(s, Kind::Channel, args, out)
}

fn shardchannels(s: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    names(s, Kind::Shard, args, out)
}

fn numsub(s: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    counts(s, Kind::Channel, args, out)
}

fn shardnumsub(s: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    counts(s, Kind::Shard, args, out)
}

fn numpat(s: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(i64::try_from(s.engine.pubsub.channels(Kind::Pattern).len()).unwrap_or(i64::MAX));
    Ok(())
}
