//! CLUSTER and its like, as a server answers them that is in no cluster; or, if `cluster-topology` says so, as the one
//! node of a cluster that has all slots ([`topology`](super::topology)).

use store::command::{Flags, description};
use store::{Args, CommandError, CommandResult, Reply};

use super::{ADMIN_OR_SCRIPT, Out, container, help, rows, topology};
use crate::filter::slot;
use crate::session::{Ground, Session};

rows! { "cluster";
    "asking" 1 [Flags::FAST], since "3.0.0" => asking;
    "cluster" -2 [Flags::CONTAINER], since "3.0.0" => container;
    "cluster|addslots" -3 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|addslotsrange" -4 [ADMIN_OR_SCRIPT], since "7.0.0" => disabled;
    "cluster|bumpepoch" 2 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|cancelslotmigrations" 2 [ADMIN_OR_SCRIPT], valkey "9.0.0" => disabled;
    "cluster|count-failure-reports" 3 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|countkeysinslot" 3 [Flags::LOADING, Flags::STALE], since "3.0.0" => topology::countkeysinslot;
    "cluster|delslots" -3 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|delslotsrange" -4 [ADMIN_OR_SCRIPT], since "7.0.0" => disabled;
    "cluster|failover" -2 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|flushslot" -3 [ADMIN_OR_SCRIPT, Flags::MAY_REPLICATE], valkey "9.0.0" => disabled;
    "cluster|flushslots" 2 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|forget" 3 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|getkeysinslot" 4 [Flags::LOADING, Flags::STALE], since "3.0.0" => topology::getkeysinslot;
    "cluster|getslotmigrations" 2 [Flags::LOADING, Flags::STALE], valkey "9.0.0" => topology::none;
    "cluster|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0" => helps;
    "cluster|info" 2 [Flags::LOADING, Flags::STALE], since "3.0.0" => topology::info;
    "cluster|keyslot" 3 [Flags::LOADING, Flags::STALE], since "3.0.0" => keyslot;
    "cluster|links" 2 [Flags::LOADING, Flags::STALE], since "7.0.0" => topology::none;
    "cluster|meet" -4 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|migrateslots" -4 [ADMIN_OR_SCRIPT], valkey "9.0.0" => disabled;
    "cluster|myid" 2 [Flags::LOADING, Flags::STALE], since "3.0.0" => topology::myid;
    "cluster|myshardid" 2 [Flags::LOADING, Flags::STALE], since "7.2.0" => topology::myid;
    "cluster|nodes" 2 [Flags::LOADING, Flags::STALE], since "3.0.0" => topology::nodes;
    "cluster|replicas" 3 [ADMIN_OR_SCRIPT], since "5.0.0" => topology::replicas;
    "cluster|replicate" 3 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|reset" -2 [ADMIN_OR_SCRIPT, Flags::NOSCRIPT], since "3.0.0" => disabled;
    "cluster|saveconfig" 2 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|set-config-epoch" 3 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|setslot" -4 [ADMIN_OR_SCRIPT], since "3.0.0" => disabled;
    "cluster|shards" 2 [Flags::LOADING, Flags::STALE], since "7.0.0" => topology::shards;
    "cluster|slaves" 3 [ADMIN_OR_SCRIPT], since "3.0.0" => topology::replicas;
    "cluster|slot-stats" -4 [Flags::LOADING, Flags::STALE], since "8.2.0" valkey "8.0.0" => disabled;
    "cluster|slots" 2 [Flags::LOADING, Flags::STALE], since "3.0.0" => topology::slots;
    "cluster|syncslots" -3 [ADMIN_OR_SCRIPT, Flags::MAY_REPLICATE], valkey "9.0.0" => disabled;
    "clusterscan" -2 [], valkey "9.1.0" => disabled;
    "readonly" 1 [Flags::FAST, Flags::LOADING, Flags::STALE], since "3.0.0" => readonly;
    "readwrite" 1 [Flags::FAST, Flags::LOADING, Flags::STALE], since "3.0.0" => readonly;
}

pub(super) const DISABLED: CommandError = CommandError::err("This instance has cluster support disabled");

fn disabled(_: &mut Session, _: Args<'_>, _: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    Err(DISABLED)
}

/// Nothing is ever on its way to this node: there is nothing to ask for.
fn asking(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.is_alone_in_cluster().then(|| out.simple("OK")).ok_or(DISABLED)
}

/// Not every server helps who has no cluster.
fn helps(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if !session.engine.is_alone_in_cluster()
        && description::help(session.engine.compat(), args.at(0)).is_empty()
    {
        return Err(DISABLED);
    }
    help(session, args, out, ground)
}

fn keyslot(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if !session.engine.is_alone_in_cluster() && !session.engine.compat().differences().keyslot_without_cluster
    {
        return Err(DISABLED);
    }
    out.integer(slot(args.at(2)).into());
    Ok(())
}

fn readonly(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if !session.engine.is_alone_in_cluster() && !session.engine.compat().differences().readonly_is_fine {
        return Err(DISABLED);
    }
    out.simple("OK");
    Ok(())
}
