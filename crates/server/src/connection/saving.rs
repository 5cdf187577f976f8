//! SAVE, BGSAVE, LASTSAVE and SHUTDOWN.

use std::sync::Arc;

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::rows;
use crate::connection::Out;
use crate::saving::{SaveError, Started};
use crate::session::{After, Ground, Session, Wait};
use crate::stopping::Close;

rows! { "server";
    /// Asynchronously saves the database(s) to disk.
    "bgsave" -1 [Flags::ADMIN, Flags::NOSCRIPT], since "1.0.0" => bgsave;
    /// Returns the Unix timestamp of the last successful save to disk.
    "lastsave" 1 [Flags::FAST, Flags::LOADING, Flags::STALE], since "1.0.0" => lastsave;
    /// Synchronously saves the database(s) to disk.
    "save" 1 [Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_MULTI], since "1.0.0" => save;
    /// Synchronously saves the database(s) to disk and shuts down the server.
    "shutdown" -1 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, Flags::NO_MULTI], since "1.0.0" => shutdown;
}

const IN_PROGRESS: CommandError = CommandError::err("Background save already in progress");

/// Others are served meanwhile: only this client waits.
fn save(session: &mut Session, _: Args<'_>, _: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let engine = Arc::clone(&session.engine);
    let turn = engine.snapshot_turn().ok_or(IN_PROGRESS)?;
    session.after = After::Wait(Wait(Box::pin(async move {
        match engine.save_in_turn(turn).await {
            Ok(()) => b"+OK\r\n".to_vec(),
            Err(error @ SaveError::NoPlace) => format!("-ERR {error}\r\n").into_bytes(),
            Err(error) => {
                // The real servers say no more than this either.
                tracing::error!(%error, "not saved");
                b"-ERR\r\n".to_vec()
            }
        }
    })));
    Ok(())
}

fn bgsave(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let cancels = engine.compat().differences().bgsave_cancel;
    match args.len() {
        1 => {}
        2 if args.is(1, "schedule") => {}
        2 if args.is(1, "cancel") && cancels => {
            out.simple(match engine.saving.cancel() {
                Some(true) => "Background saving cancelled",
                Some(false) => "Scheduled background saving cancelled",
                None => {
                    return Err(CommandError::err(
                        "Background saving is currently not in progress or scheduled",
                    ));
                }
            });
            return Ok(());
        }
        _ => return Err(CommandError::Syntax),
    }
    if engine.saving.settings.read().dir.is_none() {
        return Err(CommandError::Err(SaveError::NoPlace.to_string().into()));
    }
    if !matches!(ground, Ground::Free) {
        drop(engine.snapshot_turn().ok_or(IN_PROGRESS)?);
        engine.saving.schedule();
        out.simple("Background saving scheduled");
        return Ok(());
    }
    match engine.save_in_background() {
        Started::Now => out.simple("Background saving started"),
        Started::Busy => return Err(IN_PROGRESS),
    }
    Ok(())
}

fn lastsave(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(session.engine.saving.figures().last_save);
    Ok(())
}

/// There is no reply to a shutdown that works: the connection ends.
fn shutdown(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let (mut how, mut save, mut nosave, mut abort) = (Close::default(), false, false, false);
    for i in 1..args.len() {
        let flag = [
            ("save", &mut save),
            ("nosave", &mut nosave),
            ("now", &mut how.now),
            ("force", &mut how.force),
            ("abort", &mut abort),
        ]
        .into_iter()
        .find(|(word, _)| args.is(i, word));
        *flag.ok_or(CommandError::Syntax)?.1 = true;
    }
    if save && nosave || abort && (save || nosave || how.now || how.force) {
        return Err(CommandError::Syntax);
    }
    let engine = Arc::clone(&session.engine);
    if abort {
        if !engine.stopping.abort() {
            return Err(CommandError::err("No shutdown in progress."));
        }
        out.simple("OK");
        return Ok(());
    }
    // What a script that has been running for long may be in the middle of is not to be saved.
    if !nosave {
        engine.check_busy()?;
    }
    if !engine.stopping.is_possible() {
        return Err(CommandError::err("this server is a part of a program, which alone can end it"));
    }
    how.save = if nosave { Some(false) } else { save.then_some(true) };
    session.after = After::Wait(Wait(Box::pin(async move {
        match engine.close(how).await {
            Ok(()) => {
                engine.stopping.tell();
                std::future::pending().await
            }
            Err(error) => {
                tracing::error!(%error, "no shutdown");
                b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n".to_vec()
            }
        }
    })));
    Ok(())
}
