//! INFO, TIME and their like.

use store::command::Flags;
use store::{Args, CommandResult, Reply};

use super::rows;
use crate::connection::Out;
use crate::info;
use crate::session::{Ground, Session};

rows! { "server";
    /// Returns information and statistics about the server.
    "info" -1 [Flags::LOADING, Flags::STALE], since "1.0.0" => info;
    /// Returns the server time.
    "time" 1 [Flags::FAST, Flags::LOADING, Flags::STALE], since "2.6.0" => time;
}

fn info(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    session.hand_over();
    let sections: Vec<String> =
        args.from(1).iter().map(|s| String::from_utf8_lossy(s).to_ascii_lowercase()).collect();
    let is_free = matches!(ground, Ground::Free);
    let text = info::text(&session.engine, &session.usage(ground), is_free, &sections);
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn time(_: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let micros =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_micros());
    out.encoder().array(2);
    out.bulk((micros / 1_000_000).to_string().as_bytes());
    out.bulk((micros % 1_000_000).to_string().as_bytes());
    Ok(())
}
