//! A command's description as a reply.

use store::command as data;
use store::command::description::{self, Argument, Begin, Find, KeySpec};
use store::{Compat, Reply};

use crate::reply::RespReply;

/// Names of the commands and subcommands that we have and that the real server lists.
pub(crate) fn listed(compat: Compat) -> impl Iterator<Item = &'static str> {
    let data = data::all().filter(move |row| row.since.includes(compat)).map(|row| row.name);
    let connection = super::super::all().filter(move |row| row.since.includes(compat)).map(|row| row.name);
    data.chain(connection).filter(move |name| description::describe(compat, name).is_some())
}

fn subcommands(compat: Compat, name: &str) -> Vec<&'static str> {
    let is_its = |sub: &&str| sub.split_once('|').is_some_and(|(container, _)| container == name);
    listed(compat).filter(is_its).collect()
}

/// A set of simple strings.
pub(super) fn words<'w>(words: impl Iterator<Item = &'w str>, prefix: &str, out: &mut RespReply<'_>) {
    let words: Vec<&str> = words.collect();
    out.encoder().set(words.len());
    words.iter().for_each(|word| out.simple(&format!("{prefix}{word}")));
}

fn text(name: &str, value: &str, out: &mut RespReply<'_>) {
    out.bulk(name.as_bytes());
    out.bulk(value.as_bytes());
}

/// An entry of COMMAND.
pub(super) fn info(compat: Compat, name: &str, out: &mut RespReply<'_>) {
    let Some(description) = description::describe(compat, name) else { return };
    out.encoder().array(10);
    out.bulk(name.as_bytes());
    out.integer(description.field("arity").and_then(|arity| arity.parse().ok()).unwrap_or(-1));
    words(description.words("flags"), "", out);
    description.key_range().into_iter().for_each(|n| out.integer(n));
    words(description.words("acl"), "@", out);
    let tips: Vec<&str> = description.all("tip").collect();
    out.encoder().set(tips.len());
    tips.iter().for_each(|tip| out.bulk(tip.as_bytes()));
    let specs: Vec<KeySpec> = description.key_specs().collect();
    out.encoder().set(specs.len());
    specs.iter().for_each(|spec| key_spec(spec, out));
    let subcommands = subcommands(compat, name);
    if subcommands.is_empty() && compat.differences().no_subcommands_is_a_set {
        out.encoder().set(0);
    } else {
        out.encoder().array(subcommands.len());
        subcommands.iter().for_each(|sub| info(compat, sub, out));
    }
}

fn key_spec(spec: &KeySpec, out: &mut RespReply<'_>) {
    out.encoder().map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        text("notes", notes, out);
    }
    out.bulk(b"flags");
    words(spec.flags.split_ascii_whitespace(), "", out);
    out.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(at) => step("index", &[("index", at)], None, out),
        Begin::Keyword(word, from) => step("keyword", &[("startfrom", from)], Some(("keyword", word)), out),
        Begin::Unknown => step("unknown", &[], None, out),
    }
    out.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step: distance, limit } => {
            step("range", &[("lastkey", last), ("keystep", distance), ("limit", limit)], None, out);
        }
        Find::Keynum { count, first, step: distance } => {
            step("keynum", &[("keynumidx", count), ("firstkey", first), ("keystep", distance)], None, out);
        }
        Find::Unknown => step("unknown", &[], None, out),
    }
}

fn step(kind: &str, numbers: &[(&str, i64)], word: Option<(&str, &str)>, out: &mut RespReply<'_>) {
    out.encoder().map(2);
    text("type", kind, out);
    out.bulk(b"spec");
    out.encoder().map(numbers.len() + usize::from(word.is_some()));
    if let Some((name, word)) = word {
        text(name, word, out);
    }
    for (name, n) in numbers {
        out.bulk(name.as_bytes());
        out.integer(*n);
    }
}

/// An entry of COMMAND DOCS: the name and what there is to say.
pub(super) fn docs(compat: Compat, name: &str, out: &mut RespReply<'_>) {
    let Some(description) = description::describe(compat, name) else { return };
    out.bulk(name.as_bytes());
    let texts = |names: &'static [&'static str]| {
        names.iter().filter_map(|name| Some((*name, description.field(name)?))).collect::<Vec<_>>()
    };
    let first = texts(&["summary", "since", "group", "complexity"]);
    let flags: Vec<&str> = description.words("doc_flags").collect();
    let then = texts(&["deprecated_since", "replaced_by"]);
    let history: Vec<(&str, &str)> =
        description.all("history").filter_map(|line| line.split_once(' ')).collect();
    let (arguments, subcommands) = (description.arguments(), subcommands(compat, name));
    let some = [!flags.is_empty(), !history.is_empty(), !arguments.is_empty(), !subcommands.is_empty()];
    out.encoder().map(first.len() + then.len() + some.iter().filter(|is| **is).count());
    first.iter().for_each(|(name, value)| text(name, value, out));
    if !flags.is_empty() {
        out.bulk(b"doc_flags");
        words(flags.into_iter(), "", out);
    }
    then.iter().for_each(|(name, value)| text(name, value, out));
    if !history.is_empty() {
        out.bulk(b"history");
        out.encoder().set(history.len());
        for (version, change) in history {
            out.encoder().array(2);
            out.bulk(version.as_bytes());
            out.bulk(change.as_bytes());
        }
    }
    if !arguments.is_empty() {
        out.bulk(b"arguments");
        out.encoder().array(arguments.len());
        arguments.iter().for_each(|inner| argument(compat, inner, out));
    }
    if !subcommands.is_empty() {
        out.bulk(b"subcommands");
        out.encoder().map(subcommands.len());
        subcommands.iter().for_each(|sub| docs(compat, sub, out));
    }
}

fn argument(compat: Compat, told: &Argument, out: &mut RespReply<'_>) {
    let Argument { name, kind, display, key, token, summary, since, deprecated_since, flags, arguments } =
        told;
    let has_display =
        compat.differences().arguments_have_display_texts && !matches!(*kind, "oneof" | "block");
    let display = has_display.then(|| display.unwrap_or(name));
    let texts = [
        ("name", Some(*name)),
        ("type", Some(*kind)),
        ("display_text", display),
        ("key_spec_index", None),
        ("token", *token),
        ("summary", *summary),
        ("since", *since),
        ("deprecated_since", *deprecated_since),
    ];
    let count = texts.iter().filter(|(_, value)| value.is_some()).count();
    let some = [key.is_some(), !flags.is_empty(), !arguments.is_empty()];
    out.encoder().map(count + some.iter().filter(|is| **is).count());
    for (field, value) in texts {
        if let Some(value) = value {
            text(field, value, out);
        } else if let ("key_spec_index", Some(key)) = (field, key) {
            out.bulk(b"key_spec_index");
            out.integer(*key);
        }
    }
    if !flags.is_empty() {
        out.bulk(b"flags");
        words(flags.iter().copied(), "", out);
    }
    if !arguments.is_empty() {
        out.bulk(b"arguments");
        out.encoder().array(arguments.len());
        arguments.iter().for_each(|inner| argument(compat, inner, out));
    }
}
