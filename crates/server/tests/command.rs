//! COMMAND beside the real servers: everything that we have is told as they tell it.

mod support;

use support::beside_each;
use testkit::Reply;

/// A reply without the order that its server's hash tables have.
fn sorted(reply: Reply) -> Reply {
    let key = |reply: &Reply| format!("{reply:?}");
    match reply {
        Reply::Set(items) => {
            let mut items: Vec<Reply> = items.into_iter().map(sorted).collect();
            items.sort_by_key(key);
            Reply::Set(items)
        }
        Reply::Array(items) => Reply::Array(items.into_iter().map(sorted).collect()),
        Reply::Map(pairs) => Reply::Map(pairs.into_iter().map(|(k, v)| (k, sorted(v))).collect()),
        other => other,
    }
}

fn names(reply: &Reply) -> Vec<String> {
    let mut names: Vec<String> = reply.array().iter().map(Reply::text).collect();
    names.sort();
    names
}

/// Without the subcommands, which are compared on their own.
fn flat(info: Reply) -> Reply {
    match info {
        Reply::Array(mut parts) if parts.len() == 10 => {
            if let Reply::Array(subcommands) | Reply::Set(subcommands) = &mut parts[9] {
                subcommands.clear();
            }
            Reply::Array(parts)
        }
        other => other,
    }
}

fn without_subcommands(docs: Reply) -> Reply {
    match docs {
        Reply::Map(pairs) => {
            Reply::Map(pairs.into_iter().filter(|(k, _)| k.text() != "subcommands").collect())
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_we_have_is_described_as_there() {
    beside_each(|compat, real, ours| {
        for client in [&mut *real, &mut *ours] {
            client.line("HELLO 3").ok();
        }
        let (all, theirs) = (names(&ours.line("COMMAND LIST")), names(&real.line("COMMAND LIST")));
        assert!(all.len() > 240, "{compat}: {}", all.len());
        let only_ours: Vec<_> = all.iter().filter(|name| !theirs.contains(name)).collect();
        assert!(only_ours.is_empty(), "{compat}: {only_ours:?}");
        for name in &all {
            let ask = ["COMMAND", "INFO", name];
            let (theirs, mine) = (real.call(&ask).array()[0].clone(), ours.call(&ask).array()[0].clone());
            if theirs.array()[9].as_array().is_some_and(|subs| !subs.is_empty()) {
                assert_eq!(sorted(flat(mine)), sorted(flat(theirs)), "{compat}: {name}");
            } else {
                assert_eq!(sorted(mine), sorted(theirs), "{compat}: {name}");
            }
            let ask = ["COMMAND", "DOCS", name];
            let (theirs, mine) = (real.call(&ask), ours.call(&ask));
            let ([(_, theirs)], [(told, mine)]) =
                (&theirs.as_pairs().unwrap()[..], &mine.as_pairs().unwrap()[..])
            else {
                panic!("{compat}: {name}")
            };
            assert_eq!(told.text(), *name);
            let cleaned = |docs: &Reply| sorted(without_subcommands(docs.clone()));
            assert_eq!(cleaned(mine), cleaned(theirs), "{compat}: {name}");
        }
        // All at once is the same as one by one, subcommands inside their containers.
        let whole = ours.line("COMMAND");
        assert_eq!(whole, ours.line("COMMAND INFO"));
        let mut seen: Vec<String> = Vec::new();
        for info in whole.array() {
            seen.push(info.array()[0].text());
            if let Reply::Array(subcommands) = &info.array()[9] {
                seen.extend(subcommands.iter().map(|sub| sub.array()[0].text()));
            }
        }
        seen.sort();
        assert_eq!(seen, all, "{compat}");
        assert_eq!(ours.line("COMMAND COUNT").int(), i64::try_from(whole.array().len()).unwrap());
        assert_eq!(ours.line("COMMAND DOCS").as_pairs().unwrap().len(), whole.array().len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resp2_has_the_same_shape() {
    beside_each(|compat, real, ours| {
        for name in ["get", "set", "xreadgroup", "sort", "eval", "zunionstore", "config|set", "object|help"] {
            for about in ["INFO", "DOCS"] {
                let ask = ["COMMAND", about, name];
                assert_eq!(ours.call(&ask), real.call(&ask), "{compat}: {ask:?}");
            }
        }
    })
    .await;
}

const CALLS: &[&str] = &[
    "COMMAND NOSUCH",
    "COMMAND HELP",
    "COMMAND HELP x",
    "COMMAND COUNT x",
    "COMMAND INFO nosuch config|nosuch get|x bf.add json.get",
    "COMMAND DOCS nosuch config|nosuch",
    "COMMAND LIST x",
    "COMMAND LIST FILTERBY",
    "COMMAND LIST FILTERBY ACLCAT",
    "COMMAND LIST FILTERBY ACLCAT nosuch",
    "COMMAND LIST FILTERBY ACLCAT @string",
    "COMMAND LIST FILTERBY PATTERN LCS",
    "COMMAND LIST FILTERBY PATTERN lcs x",
    "COMMAND LIST FILTERBY PATTERN nosuch*",
    "COMMAND LIST FILTERBY MODULE nosuch",
    "COMMAND LIST FILTERBY NOSUCH x",
    "COMMAND GETKEYS",
    "COMMAND GETKEYS GET",
    "COMMAND GETKEYS GET a",
    "COMMAND GETKEYS GET a b",
    "COMMAND GETKEYS NOSUCH a",
    "COMMAND GETKEYS PING",
    "COMMAND GETKEYS PING x",
    "COMMAND GETKEYS EVAL x 0",
    "COMMAND GETKEYS EVAL x 2 a b c",
    "COMMAND GETKEYS OBJECT NOSUCH x",
    "COMMAND GETKEYS OBJECT HELP",
    "COMMAND GETKEYS config|get x",
    "COMMAND GETKEYS ZUNIONSTORE d 3 a b",
    "COMMAND GETKEYS JSON.SET a $ 1",
    "COMMAND GETKEYSANDFLAGS SET a b GET",
    "COMMAND GETKEYSANDFLAGS SORT a BY x STORE b",
    "COMMAND GETKEYSANDFLAGS XREADGROUP GROUP g c STREAMS a b > >",
    "COMMAND GETKEYSANDFLAGS OBJECT",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_as_there() {
    beside_each(|compat, real, ours| {
        for protocol in ["2", "3"] {
            real.call(&["HELLO", protocol]).ok();
            ours.call(&["HELLO", protocol]).ok();
            for call in CALLS {
                assert_eq!(ours.line(call), real.line(call), "{compat}: {call}");
            }
            for category in ["pfadd", "hyperloglog"].into_iter().zip(["PATTERN", "ACLCAT"]) {
                let call = format!("COMMAND LIST FILTERBY {} {}", category.1, category.0);
                let (theirs, mine) = (names(&real.line(&call)), names(&ours.line(&call)));
                assert!(
                    !mine.is_empty() && mine.iter().all(|name| theirs.contains(name)),
                    "{compat}: {call}: {mine:?}"
                );
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_answer_as_there() {
    beside_each(|compat, real, ours| {
        let containers: Vec<String> = names(&ours.line("COMMAND LIST FILTERBY PATTERN *|help"))
            .iter()
            .filter_map(|name| name.split('|').next().map(str::to_owned))
            .chain(["debug".to_owned()])
            .collect();
        assert!(containers.len() > 5, "{containers:?}");
        for container in &containers {
            let calls: [&[&str]; 7] = [
                &[container],
                &[container, "HELP"],
                &[container, "help", "x"],
                &[container, "NoSuch"],
                &[container, "NoSuch", "x", "y"],
                &[container, ""],
                &[container, "zero\0byte"],
            ];
            for call in calls {
                if call.len() == 1 && container == "command" {
                    continue;
                }
                assert_eq!(ours.call(call), real.call(call), "{compat}: {call:?}");
            }
            // Queued or not: it is unknown before that.
            for client in [&mut *real, &mut *ours] {
                client.line("MULTI").ok();
            }
            let calls: [&[&str]; 2] = [&[container, "NoSuch"], &["EXEC"]];
            for call in calls {
                assert_eq!(ours.call(call), real.call(call), "{compat}: {container}: {call:?}");
            }
        }
        // Every subcommand with a number of arguments that it does not take.
        for name in names(&ours.line("COMMAND LIST FILTERBY PATTERN *|*")) {
            let mut call: Vec<&str> = name.split('|').collect();
            let arity = ours.call(&["COMMAND", "INFO", &name]).array()[0].array()[1].int();
            if arity > 0 {
                call.resize(usize::try_from(arity).unwrap() + 1, "x");
            } else if arity < -2 {
                call.resize(usize::try_from(-arity).unwrap() - 1, "x");
            } else {
                continue;
            }
            assert_eq!(ours.call(&call), real.call(&call), "{compat}: {call:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_commands_and_wrong_arities_are_refused_as_there() {
    beside_each(|compat, real, ours| {
        let long = "x".repeat(300);
        let calls: [&[&[u8]]; 12] = [
            &[b"NoSuch"],
            &[b"NoSuch", b"a", b"b c", b""],
            &[b"No\0Such", b"a\0b"],
            &[b"", b"a"],
            &[b"no\r\nsuch", b"a\r\nb"],
            &[b"\xff\xfe", b"\xff"],
            &[long.as_bytes(), long.as_bytes(), b"more"],
            &[b"a", long.as_bytes().split_at(100).0, long.as_bytes().split_at(20).0, b"third", b"fourth"],
            &[b"get|x", b"a"],
            &[b"object|encoding", b"a"],
            &[b"VADD", b"k", b"VALUES", b"1", b"1", b"e"],
            &[b"ft.search", b"idx", b"*"],
        ];
        for call in calls {
            // The one real server that has vector sets has them as a module.
            if call[0] == b"VADD" && compat == store::Compat::Redis82 {
                assert!(ours.call(call).error().starts_with("ERR unknown command 'VADD'"));
                continue;
            }
            let shown: Vec<_> = call.iter().map(|part| part.escape_ascii().to_string()).collect();
            assert_eq!(
                ours.call_for_bytes(call).unwrap().escape_ascii().to_string(),
                real.call_for_bytes(call).unwrap().escape_ascii().to_string(),
                "{compat}: {shown:?}"
            );
        }
        for name in names(&ours.line("COMMAND LIST")) {
            if name.contains('|') {
                continue;
            }
            let arity = ours.call(&["COMMAND", "INFO", &name]).array()[0].array()[1].int();
            let few = usize::try_from(arity.abs()).unwrap() - 1;
            if few > 0 {
                let call = [&[name.as_str()], &vec!["x"; few - 1][..]].concat();
                assert_eq!(ours.call(&call), real.call(&call), "{compat}: {call:?}");
            }
            if arity > 0 {
                let call = [&[name.as_str()], &vec!["x"; few + 1][..]].concat();
                assert_eq!(ours.call(&call), real.call(&call), "{compat}: {call:?}");
            }
        }
    })
    .await;
}

#[test]
fn the_page_in_docs_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
    let wanted = server::commands_page();
    if std::env::var_os("WRITE_PAGE").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let held = std::fs::read_to_string(path).unwrap();
    let first = held.lines().zip(wanted.lines()).find(|(held, wanted)| held != wanted);
    assert!(
        held == wanted,
        "write it again, by `replica commands` or WRITE_PAGE=1 with this test ({first:?})"
    );
}
