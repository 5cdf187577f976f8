//! CONFIG, by the table of [settings](crate::settings).

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::{ADMIN, Out, container, help, rows};
use crate::session::{Ground, Session};
use crate::settings::{self, Checked, Found};

rows! { "server";
    /// A container for server configuration commands.
    "config" -2 [Flags::CONTAINER], since "2.0.0" => container;
    /// Returns helpful text about the different subcommands.
    "config|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0" => help;
    /// Returns the effective values of configuration parameters.
    "config|get" -3 [ADMIN], since "2.0.0" => get;
    /// Resets the server's statistics.
    "config|resetstat" 2 [ADMIN], since "2.0.0" => resetstat;
    /// Persists the effective configuration to file.
    "config|rewrite" 2 [ADMIN], since "2.8.0" => rewrite;
    /// Sets configuration parameters in-flight.
    "config|set" -4 [ADMIN], since "2.0.0" => set;
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

/// A name without a pattern is answered as it was asked.
fn get(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let engine = &session.engine;
    let patterns = args.from(2);
    let mut found: Vec<(&[u8], Found)> = Vec::new();
    for setting in settings::all(engine.compat()) {
        for name in setting.old_name().into_iter().chain([setting.name()]) {
            let is_it = |p: &&&[u8]| store::glob::matches(&p.to_ascii_lowercase(), name.as_bytes());
            let Some(by) = patterns.iter().find(is_it) else { continue };
            let is_pattern = by.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
            found.push((if is_pattern { name.as_bytes() } else { by }, setting));
        }
    }
    found.sort_unstable_by_key(|(name, _)| *name);
    out.encoder().map(found.len());
    for (name, setting) in found {
        out.bulk(name);
        out.bulk(setting.get(engine).as_bytes());
    }
    Ok(())
}

fn failed(name: &str, why: &str) -> CommandError {
    let text = format!("CONFIG SET failed (possibly related to argument '{name}') - {why}");
    CommandError::Err(text.into())
}

/// All or nothing: every pair is looked at before the first change.
fn set(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let engine = &session.engine;
    let mut wanted: Vec<(String, Found, &[u8])> = Vec::new();
    for pair in args.from(2).chunks_exact(2) {
        let name = String::from_utf8_lossy(pair[0]).into_owned();
        let Some(setting) = Found::named(&lower(pair[0]), engine.compat()) else {
            let text = format!("Unknown option or number of arguments for CONFIG SET - '{name}'");
            return Err(CommandError::Err(text.into()));
        };
        if setting.is_immutable() {
            return Err(failed(&name, "can't set immutable config"));
        }
        if setting.is_protected() && !session.may(engine.options.protected_configs) {
            return Err(failed(&name, "can't set protected config"));
        }
        if wanted.iter().any(|(other, ..)| other.eq_ignore_ascii_case(&name)) {
            return Err(failed(&name, "duplicate parameter"));
        }
        wanted.push((name, setting, pair[1]));
    }
    let checked: Result<Vec<(Found, Checked)>, CommandError> = wanted
        .iter()
        .map(|(name, setting, value)| {
            let checked =
                setting.check(value, engine).map_err(|why| failed(&name.to_ascii_lowercase(), &why))?;
            Ok((*setting, checked))
        })
        .collect();
    settings::apply(engine, &checked?).map_err(|(name, why)| failed(name, &why))?;
    if let Ground::Free = ground {
        // The next command minds a new limit. A transaction cannot look: it has shards in hand.
        engine.measure_tables();
    }
    out.simple("OK");
    Ok(())
}

fn resetstat(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.stats.reset();
    session.engine.client_limits.reset_counts();
    session.forget_counts();
    session.engine.observed.reset_counts();
    out.simple("OK");
    Ok(())
}

fn rewrite(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.rewrite_configuration().map_err(|why| CommandError::Err(why.into()))?;
    out.simple("OK");
    Ok(())
}
