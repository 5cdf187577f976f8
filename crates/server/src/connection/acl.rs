//! ACL.

use std::sync::Arc;

use store::command::{Flags, description};
use store::{AclTexts, Args, CommandError, CommandResult, Compat, Null, Reply};

use super::{ADMIN, LOOK, Out, container, help, rows};
use crate::acl::{Denied, LogEntry, RuleError, Selector, User, categories, merged};
use crate::engine::Engine;
use crate::pubsub::Kind;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "server";
    "acl" -2 [Flags::CONTAINER], since "6.0.0" => container;
    "acl|cat" -2 [LOOK], since "6.0.0" => cat;
    "acl|deluser" -3 [ADMIN], since "6.0.0" => deluser;
    "acl|dryrun" -4 [ADMIN], since "7.0.0" => dryrun;
    "acl|genpass" -2 [LOOK], since "6.0.0" => genpass;
    "acl|getuser" 3 [ADMIN], since "6.0.0" => getuser;
    "acl|help" 2 [Flags::LOADING, Flags::STALE], since "6.0.0" => help;
    "acl|list" 2 [ADMIN], since "6.0.0" => list;
    "acl|load" 2 [ADMIN], since "6.0.0" => load;
    "acl|log" -2 [ADMIN], since "6.0.0" => log;
    "acl|save" 2 [ADMIN], since "6.0.0" => save;
    "acl|setuser" -3 [ADMIN], since "6.0.0" => setuser;
    "acl|users" 2 [ADMIN], since "6.0.0" => users;
    "acl|whoami" 2 [LOOK], since "6.0.0" => whoami;
}

fn whoami(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let user = session.current_user();
    out.bulk(&user.name);
    Ok(())
}

fn users(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let users = session.engine.acl.list();
    out.encoder().array(users.len());
    users.iter().for_each(|user| out.bulk(&user.name));
    Ok(())
}

fn list(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let users = session.engine.acl.list();
    out.encoder().array(users.len());
    users.iter().for_each(|user| out.bulk(&user.line(session.engine.compat())));
    Ok(())
}

fn getuser(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let Some(user) = session.engine.acl.get(args.at(2)) else {
        out.null(Null::Bulk);
        return Ok(());
    };
    let compat = session.engine.compat();
    let databases = compat.differences().acl_databases;
    out.encoder().map(6 + usize::from(databases));
    out.bulk(b"flags");
    let flags = user.flags(compat);
    out.encoder().set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"passwords");
    out.encoder().array(user.passwords().len());
    user.passwords().iter().for_each(|hash| out.bulk(hash));
    let selector = |selector: &Selector, out: &mut RespReply<'_>| {
        for (name, text) in [
            (&b"commands"[..], selector.commands_text().into_bytes()),
            (b"keys", selector.keys_text()),
            (b"channels", selector.channels_text()),
        ] {
            out.bulk(name);
            out.bulk(&text);
        }
        if databases {
            out.bulk(b"databases");
            out.bulk(selector.databases_text().as_bytes());
        }
    };
    selector(&user.root, out);
    out.bulk(b"selectors");
    out.encoder().array(user.selectors.len());
    for each in &user.selectors {
        out.encoder().map(3 + usize::from(databases));
        selector(each, out);
    }
    Ok(())
}

fn setuser(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let name = args.at(2);
    if name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        return Err(CommandError::err("Usernames can't contain spaces or null characters"));
    }
    let rules = merged(args.from(3)).map_err(|rule| {
        let rule = String::from_utf8_lossy(&rule).into_owned();
        CommandError::Err(format!("Unmatched parenthesis in acl selector starting at '{rule}'.").into())
    })?;
    let set = |rules: &[Vec<u8>]| session.engine.acl.set(name, rules, session.engine.compat());
    set(&rules).map_err(|(rule, why)| refused(&rule, why))?;
    session.engine.hang_up_on_listeners(name);
    out.simple("OK");
    Ok(())
}

fn refused(rule: &[u8], why: RuleError) -> CommandError {
    let rule = String::from_utf8_lossy(rule);
    CommandError::Err(format!("Error in ACL SETUSER modifier '{rule}': {why}").into())
}

fn deluser(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let mut gone = 0;
    for name in args.from(2) {
        if *name == b"default" {
            return Err(CommandError::err("The 'default' user cannot be removed"));
        }
        if session.engine.acl.remove(name) {
            gone += 1;
            session.engine.clients.hang_up_on(name, session.id);
            if *session.current_user().name == **name {
                session.after = crate::session::After::Close;
            }
        }
    }
    out.integer(gone);
    Ok(())
}

fn cat(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let compat = session.engine.compat();
    let names: Vec<&str> = match args.get(2) {
        _ if args.len() > 3 => return Err(CommandError::subcommand_syntax(args)),
        None => categories(compat),
        Some(wanted) => {
            let wanted = String::from_utf8_lossy(wanted).into_owned();
            if !categories(compat).contains(&wanted.to_ascii_lowercase().as_str()) {
                return Err(CommandError::Err(format!("Unknown category '{wanted}'").into()));
            }
            let wanted = wanted.to_ascii_lowercase();
            let is_in = |name: &&str| {
                description::describe(compat, name)
                    .is_some_and(|d| d.words("acl").any(|category| category == wanted))
            };
            super::command::listed(compat).filter(is_in).collect()
        }
    };
    out.encoder().array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(())
}

fn genpass(_: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let bits = match args.get(2) {
        _ if args.len() > 3 => return Err(CommandError::subcommand_syntax(args)),
        None => 256,
        Some(_) => args.int(2)?,
    };
    let Some(bits) = usize::try_from(bits).ok().filter(|bits| (1..=4096).contains(bits)) else {
        return Err(CommandError::err(
            "ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    };
    let digits = bits.div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).map_err(|_| CommandError::err("the system has no random numbers to give"))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    out.bulk(&hex.as_bytes()[..digits]);
    Ok(())
}

fn dryrun(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let engine = &session.engine;
    let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let Some(user) = engine.acl.get(args.at(2)) else {
        return Err(CommandError::Err(format!("User '{}' not found", shown(args.at(2))).into()));
    };
    let command = Args::new(args.from(3));
    let Some(found) = crate::session::Found::named(engine.compat(), command) else {
        return Err(CommandError::Err(format!("Command '{}' not found", shown(args.at(3))).into()));
    };
    found.check_arity(command)?;
    match user.check(engine.compat(), found.name(), command, session.db) {
        Ok(()) => out.simple("OK"),
        Err(denied) => {
            out.bulk(
                dry_text(engine.compat().differences().acl_texts, &user, found.name(), command, denied)
                    .as_bytes(),
            );
        }
    }
    Ok(())
}

fn dry_text(texts: AclTexts, user: &User, name: &str, args: Args<'_>, denied: Denied) -> String {
    let who = match texts {
        AclTexts::Old => "This user".to_owned(),
        AclTexts::Named => format!("User {}", String::from_utf8_lossy(&user.name)),
    };
    let at = |at: usize| String::from_utf8_lossy(args.at(at)).into_owned();
    match denied {
        Denied::Command => format!("{who} has no permissions to run the '{name}' command"),
        Denied::Key(key) => format!("{who} has no permissions to access the '{}' key", at(key)),
        Denied::Channel(channel) => {
            format!("{who} has no permissions to access the '{}' channel", at(channel))
        }
        Denied::Database(db) => format!("{who} has no permissions to access database {}", at(db)),
    }
}

const NO_FILE_REDIS: CommandError = CommandError::err(
    "This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
);
const NO_FILE: CommandError = CommandError::err(
    "This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in the configuration.",
);

fn file(session: &Session) -> Result<std::path::PathBuf, CommandError> {
    let missing = match session.engine.compat().family() {
        store::Family::Redis => NO_FILE_REDIS,
        store::Family::Valkey => NO_FILE,
    };
    session.engine.acl.file().map(std::path::Path::to_path_buf).ok_or(missing)
}

fn load(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let path = file(session)?;
    let engine = &session.engine;
    let all = engine.acl.load(&path, engine.compat());
    all.map_err(|why| CommandError::Err(why.to_string().into()))?;
    for client in engine.clients.list() {
        if engine.acl.get(&client.user).is_none() {
            client.stop.cancel();
        }
    }
    out.simple("OK");
    Ok(())
}

fn save(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let path = file(session)?;
    session.engine.acl.save(&path, session.engine.compat()).map_err(|error| {
        tracing::warn!(path = %path.display(), %error, "users could not be saved");
        CommandError::err(
            "There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })?;
    out.simple("OK");
    Ok(())
}

fn log(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let mut most = 10;
    if args.len() > 3 {
        return Err(CommandError::subcommand_syntax(args));
    }
    if args.is(2, "reset") {
        session.engine.acl.log.lock().clear();
        out.simple("OK");
        return Ok(());
    }
    if args.get(2).is_some() {
        most = usize::try_from(args.int(2)?).unwrap_or(0);
    }
    let entries = session.engine.acl.log.lock().newest(most);
    let has_ids = session.engine.compat().differences().acl_log_ids;
    out.encoder().array(entries.len());
    for entry in &entries {
        log_entry(entry, has_ids, out);
    }
    Ok(())
}

fn log_entry(entry: &LogEntry, has_ids: bool, out: &mut RespReply<'_>) {
    out.encoder().map(if has_ids { 10 } else { 7 });
    out.bulk(b"count");
    out.integer(i64::try_from(entry.count).unwrap_or(i64::MAX));
    for (name, text) in [
        (&b"reason"[..], entry.reason.as_bytes()),
        (b"context", entry.context.as_bytes()),
        (b"object", &entry.object),
        (b"username", &entry.username),
    ] {
        out.bulk(name);
        out.bulk(text);
    }
    out.bulk(b"age-seconds");
    out.double(entry.at.elapsed().as_millis() as f64 / 1000.0);
    out.bulk(b"client-info");
    out.bulk(entry.client.trim_end().as_bytes());
    if has_ids {
        for (name, n) in [
            (&b"entry-id"[..], i64::try_from(entry.id).unwrap_or(i64::MAX)),
            (b"timestamp-created", entry.created_ms),
            (b"timestamp-last-updated", entry.updated_ms),
        ] {
            out.bulk(name);
            out.integer(n);
        }
    }
}

impl Session {
    /// Refuses what the user may not do, and keeps it in the log.
    pub(crate) fn check_permissions(
        &mut self,
        name: &'static str,
        args: Args<'_>,
        executes: bool,
    ) -> CommandResult {
        if self.current_user().is_unlimited() {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let user = Arc::clone(self.current_user());
        let Err(denied) = user.check(engine.compat(), name, args, self.db) else { return Ok(()) };
        let context = if executes || self.transaction.is_some() { "multi" } else { "toplevel" };
        engine.log_refusal(self.id, context, &user, name, args, denied);
        if executes {
            return Err(denial_of_queued(denied));
        }
        Err(denial(engine.compat().differences().acl_texts, &user, name, denied))
    }
}

impl Engine {
    /// Ends the connections of a user that listen to what it may not hear any more.
    fn hang_up_on_listeners(&self, name: &[u8]) {
        let Some(user) = self.acl.get(name).filter(|_| !self.pubsub.is_idle()) else { return };
        for client in self.clients.list().into_iter().filter(|client| *client.user == *name) {
            let listens = self.pubsub.of_client(client.id);
            if listens.iter().any(|(kind, name)| !user.allows_channel(name, *kind == Kind::Pattern)) {
                client.stop.cancel();
            }
        }
    }

    /// Keeps in the log what a client may not do.
    pub(crate) fn log_refusal(
        &self,
        client: u64,
        context: &'static str,
        user: &User,
        name: &str,
        args: Args<'_>,
        denied: Denied,
    ) {
        let (reason, object) = match denied {
            Denied::Command => ("command", name.as_bytes()),
            Denied::Key(at) => ("key", args.at(at)),
            Denied::Channel(at) => ("channel", args.at(at)),
            Denied::Database(0) => ("database", name.as_bytes()),
            Denied::Database(at) => ("database", args.at(at)),
        };
        self.log_denial(client, reason, context, object.to_vec(), &user.name);
    }

    /// Keeps a denial in the log.
    pub(crate) fn log_denial(
        &self,
        client: u64,
        reason: &'static str,
        context: &'static str,
        object: Vec<u8>,
        user: &[u8],
    ) {
        let now = crate::engine::unix_ms();
        let client =
            self.clients.get(client).map(|client| client.line(self.compat(), false)).unwrap_or_default();
        self.acl.log.lock().add(LogEntry {
            id: 0,
            count: 1,
            reason,
            context,
            object,
            username: user.to_vec(),
            client,
            at: std::time::Instant::now(),
            created_ms: now,
            updated_ms: now,
        });
    }
}

/// The text of a refusal, for a script.
pub(crate) fn script_denial(compat: Compat, user: &User, name: &str, denied: Denied) -> String {
    match (compat.differences().acl_texts, denied) {
        (AclTexts::Old, Denied::Command) => {
            "ERR The user executing the script can't run this command or subcommand".to_owned()
        }
        (AclTexts::Old, Denied::Key(_)) => {
            "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments".to_owned()
        }
        (AclTexts::Old, Denied::Channel(_) | Denied::Database(_)) => {
            "ERR The user executing the script can't publish to the channel mentioned in the command".to_owned()
        }
        (texts @ AclTexts::Named, _) => {
            let line = denial(texts, user, name, denied).bytes().into_owned();
            let text = String::from_utf8_lossy(line.strip_prefix(b"NOPERM ").unwrap_or(&line)).into_owned();
            format!("ERR ACL failure in script: {text}")
        }
    }
}

/// The text of a refusal when it is too late: the command has been queued.
fn denial_of_queued(denied: Denied) -> CommandError {
    let reason = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => "no permission to access one of the channels used as arguments to the command",
        Denied::Database(_) => "no permission",
    };
    let text = format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}"
    );
    CommandError::Coded(text.into())
}

/// The text of a refusal.
pub(crate) fn denial(texts: AclTexts, user: &User, name: &str, denied: Denied) -> CommandError {
    let text = match (texts, denied) {
        (AclTexts::Old, Denied::Command) => {
            format!("NOPERM this user has no permissions to run the '{name}' command")
        }
        (AclTexts::Old, Denied::Key(_)) => {
            "NOPERM this user has no permissions to access one of the keys used as arguments".to_owned()
        }
        (AclTexts::Old, Denied::Channel(_)) => {
            "NOPERM this user has no permissions to access one of the channels used as arguments".to_owned()
        }
        (AclTexts::Named, Denied::Command) => {
            let user = String::from_utf8_lossy(&user.name);
            format!("NOPERM User {user} has no permissions to run the '{name}' command")
        }
        (AclTexts::Named, Denied::Key(_)) => "NOPERM No permissions to access a key".to_owned(),
        (AclTexts::Named, Denied::Channel(_)) => "NOPERM No permissions to access a channel".to_owned(),
        (_, Denied::Database(_)) => "NOPERM No permissions to access database".to_owned(),
    };
    CommandError::Coded(text.into())
}
