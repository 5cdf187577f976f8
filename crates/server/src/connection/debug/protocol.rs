//! DEBUG PROTOCOL and DEBUG ERROR: replies of every kind, for those who test clients.

use store::{Args, CommandError, CommandResult, Compat, Reply};

use crate::connection::Out;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

pub(super) fn error(
    _: &mut Session,
    args: Args<'_>,
    _: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let text: String = String::from_utf8_lossy(args.at(2)).replace(['\r', '\n'], " ");
    Err(CommandError::Coded(text.into()))
}

pub(super) fn protocol(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let is = |word| args.is(2, word);
    let numbers = |out: &mut RespReply<'_>| (0..3).for_each(|n| out.integer(n));
    match () {
        () if is("string") => out.bulk(b"Hello World"),
        () if is("integer") => out.integer(12345),
        () if is("double") => out.encoder().double(f64::from(3141) / 1000.0),
        () if is("bignum") => out.encoder().big_number(b"1234567999999999999999999999999999999"),
        () if is("null") => out.encoder().null(),
        () if is("array") => {
            out.encoder().array(3);
            numbers(out);
        }
        () if is("set") => {
            out.encoder().set(3);
            numbers(out);
        }
        () if is("map") => {
            out.encoder().map(3);
            for n in 0..3 {
                out.integer(n);
                out.boolean(n == 1);
            }
        }
        () if is("attrib") => {
            if out.encoder().attribute(1) {
                out.bulk(b"key-popularity");
                out.encoder().array(2);
                out.bulk(b"key:123");
                out.integer(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        () if is("push") => return push(session.engine.keyspace.compat(), out),
        () if is("verbatim") => out.verbatim("txt", b"This is a verbatim\nstring"),
        () if is("true") => out.boolean(true),
        () if is("false") => out.boolean(false),
        () => {
            return Err(CommandError::err(
                "Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// Redis 7.0 sends the push before the reply, later servers after it.
fn push(compat: Compat, out: &mut RespReply<'_>) -> CommandResult {
    if !out.is_resp3() {
        return Err(CommandError::err("RESP2 is not supported by this command"));
    }
    let reply: &[u8] = b"Some real reply following the push reply";
    if compat != Compat::Redis70 {
        out.bulk(reply);
    }
    out.encoder().push(2);
    out.bulk(b"server-cpu-usage");
    out.integer(42);
    if compat == Compat::Redis70 {
        out.bulk(reply);
    }
    Ok(())
}
