//! DEBUG DIGEST and DIGEST-VALUE.

use store::{Args, CommandResult, Reply, digest};

use super::with_view;
use crate::connection::Out;
use crate::session::{Ground, Session};

pub(super) fn digest(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let _still = matches!(ground, Ground::Free).then(|| engine.keyspace.still());
    let digest = with_view(session, ground, &[], digest::of_everything);
    out.simple(&digest.to_string());
    Ok(())
}

pub(super) fn digest_value(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let keys = args.from(2);
    out.encoder().array(keys.len());
    with_view(session, ground, keys, |view| {
        keys.iter().for_each(|key| out.simple(&digest::of_key(view, key).to_string()));
    });
    Ok(())
}
