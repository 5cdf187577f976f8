//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use std::collections::BTreeSet;

use store::{Args, CommandError, CommandResult, Reply};

use super::{LOOK, Out, rows};
use crate::session::{Ground, Session};
use crate::tracking::Mode;

rows! { "connection";
    "client|caching" 3 [LOOK], since "6.0.0" => caching;
    "client|getredir" 2 [LOOK], since "6.0.0" => getredir;
    "client|tracking" -3 [LOOK], since "6.0.0" => tracking;
    "client|trackinginfo" 2 [LOOK], since "6.2.0" => trackinginfo;
}

fn tracking(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let wanted = parse(session, args)?;
    session.track(wanted);
    out.simple("OK");
    Ok(())
}

fn parse(session: &Session, args: Args<'_>) -> Result<Option<Mode>, CommandError> {
    let mut mode = Mode::default();
    let mut at = 3;
    while at < args.len() {
        let more = at + 1 < args.len();
        if args.is(at, "redirect") && more {
            if mode.redirect.is_some() {
                return Err(CommandError::err("A client can only redirect to a single other client"));
            }
            let id = args.int(at + 1)?;
            let id = u64::try_from(id).ok().filter(|id| session.engine.clients.outbox(*id).is_some());
            let gone = CommandError::err("The client ID you want redirect to does not exist");
            mode.redirect = Some(id.ok_or(gone)?);
            at += 1;
        } else if args.is(at, "bcast") {
            mode.broadcast = true;
        } else if args.is(at, "optin") {
            mode.opt_in = true;
        } else if args.is(at, "optout") {
            mode.opt_out = true;
        } else if args.is(at, "noloop") {
            mode.no_loop = true;
        } else if args.is(at, "prefix") && more {
            mode.prefixes.push(args.at(at + 1).into());
            at += 1;
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    if args.is(2, "off") {
        return Ok(None);
    }
    if !args.is(2, "on") {
        return Err(CommandError::Syntax);
    }
    check(session.tracking.as_deref(), &mode)?;
    if mode.broadcast {
        let before = session.tracking.iter().flat_map(|mode| mode.prefixes.iter().cloned());
        let mut all: BTreeSet<Box<[u8]>> = before.collect();
        if mode.prefixes.is_empty() {
            all.insert(Box::default());
        }
        all.extend(std::mem::take(&mut mode.prefixes));
        mode.prefixes = all.into_iter().collect();
    }
    Ok(Some(mode))
}

/// What does not go together, with each other and with what went before.
fn check(before: Option<&Mode>, mode: &Mode) -> CommandResult {
    let refused = |text: &'static str| Err(CommandError::err(text));
    if !mode.broadcast && !mode.prefixes.is_empty() {
        return refused("PREFIX option requires BCAST mode to be enabled");
    }
    if before.is_some_and(|before| before.broadcast != mode.broadcast) {
        return refused(
            "You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
        );
    }
    if mode.broadcast && (mode.opt_in || mode.opt_out) {
        return refused("OPTIN and OPTOUT are not compatible with BCAST");
    }
    if mode.opt_in && mode.opt_out {
        return refused("You can't specify both OPTIN mode and OPTOUT mode");
    }
    if before.is_some_and(|before| (before.opt_in && mode.opt_out) || (before.opt_out && mode.opt_in)) {
        return refused(
            "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
        );
    }
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    let shown = |prefix: &[u8]| String::from_utf8_lossy(prefix).into_owned();
    for (i, prefix) in mode.prefixes.iter().enumerate() {
        let known = before.into_iter().flat_map(|before| &before.prefixes);
        if let Some(other) = known.into_iter().find(|other| overlap(prefix, other)) {
            let text = format!(
                "Prefix '{}' overlaps with an existing prefix '{}'. Prefixes for a single client must not overlap.",
                shown(prefix),
                shown(other)
            );
            return Err(CommandError::Err(text.into()));
        }
        if let Some(other) = mode.prefixes[i + 1..].iter().find(|other| overlap(prefix, other)) {
            let text = format!(
                "Prefix '{}' overlaps with another provided prefix '{}'. Prefixes for a single client must not overlap.",
                shown(prefix),
                shown(other)
            );
            return Err(CommandError::Err(text.into()));
        }
    }
    Ok(())
}

fn caching(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let Some(mode) = &session.tracking else {
        return Err(CommandError::err(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    if args.is(2, "yes") {
        if !mode.opt_in {
            return Err(CommandError::err(
                "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
    } else if args.is(2, "no") {
        if !mode.opt_out {
            return Err(CommandError::err(
                "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
    } else {
        return Err(CommandError::Syntax);
    }
    session.cache_next();
    out.simple("OK");
    Ok(())
}

fn getredir(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(session.tracking.as_deref().map_or(-1, redirect));
    Ok(())
}

fn redirect(mode: &Mode) -> i64 {
    mode.redirect.map_or(0, |id| i64::try_from(id).unwrap_or(i64::MAX))
}

fn trackinginfo(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let mut flags = Vec::new();
    let mut prefixes: &[Box<[u8]>] = &[];
    match &session.tracking {
        None => flags.push("off"),
        Some(mode) => {
            flags.push("on");
            let asked = session.caching_asked();
            for (is_so, flag) in [
                (mode.broadcast, "bcast"),
                (mode.opt_in, "optin"),
                (mode.opt_in && asked, "caching-yes"),
                (mode.opt_out, "optout"),
                (mode.opt_out && asked, "caching-no"),
                (mode.no_loop, "noloop"),
                (mode.is_broken(), "broken_redirect"),
            ] {
                flags.extend(is_so.then_some(flag));
            }
            prefixes = &mode.prefixes;
        }
    }
    out.encoder().map(3);
    out.bulk(b"flags");
    out.encoder().set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"redirect");
    out.integer(session.tracking.as_deref().map_or(-1, redirect));
    out.bulk(b"prefixes");
    out.encoder().array(prefixes.len());
    prefixes.iter().for_each(|prefix| out.bulk(prefix));
    Ok(())
}
