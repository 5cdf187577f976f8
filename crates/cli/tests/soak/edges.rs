//! What clients do that servers would rather they did not.
//!
//! Each edge is one visit, from a new connection to its end without a word.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use testkit::{Client, Random};

use crate::writer::KEYS;

/// Where clients go.
pub(crate) struct Place {
    pub(crate) addr: String,
    /// The primary, if it follows one.
    pub(crate) primary: Option<String>,
}

/// One visit. What the server does about it is an error of the kind that connections have; a server that says nothing is
/// `TimedOut` or `WouldBlock`.
pub(crate) type Edge = fn(&Place, &mut Random) -> io::Result<()>;

/// All of them.
pub(crate) const EDGES: &[(&str, Edge)] = &[
    ("subscribe and vanish", subscribe),
    ("half a request", half_request),
    ("a huge pipeline", pipeline),
    ("a huge pipeline whose replies nobody reads", unread_pipeline),
    ("values of 64 MB", huge_value),
    ("a slow reader", slow_reader),
    ("a storm of connections", storm),
    ("MONITOR", monitor),
    ("blocked, then gone", blocked),
    ("a transaction left open", open_transaction),
    ("tracking", tracking),
    ("a replica that leaves", leaving_replica),
    ("killed while it waits", killed),
    ("scripts", scripts),
    ("what is no request", malformed),
    ("held by a pause", paused),
    ("CLIENT REPLY OFF", silent),
    ("the link is cut", cut_link),
];

/// How long a connection is waited for before the server counts as stuck: long, for a busy machine may starve it.
const PATIENCE: Duration = Duration::from_secs(300);
const MB: usize = 1 << 20;
/// So many keys have values of 64 MB, now and then.
const HUGE: usize = 2;

impl Place {
    fn client(&self) -> io::Result<Client> {
        patient(&self.addr)
    }

    /// A client of the server that takes the writes.
    pub(crate) fn writer(&self) -> io::Result<Client> {
        patient(self.primary.as_deref().unwrap_or(&self.addr))
    }

    /// Takes away the values that only visits to their end take away.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        let mut writes = self.writer()?;
        for n in 0..HUGE {
            writes.try_call(&["DEL", &format!("huge:{n}")])?;
        }
        Ok(())
    }

    fn stream(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.addr.as_str())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// A client who waits long enough.
pub(crate) fn patient(addr: &str) -> io::Result<Client> {
    let mut client = Client::connect(addr)?;
    client.set_timeout(PATIENCE)?;
    Ok(client)
}

/// A command as an array of bulk strings.
fn packed(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    pack(&mut out, &line.split(' ').collect::<Vec<_>>());
    out
}

fn pack(out: &mut Vec<u8>, words: &[impl AsRef<[u8]>]) {
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let word = word.as_ref();
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Leaves without a word, in one of the ways there are.
fn vanish(stream: TcpStream, random: &mut Random) -> io::Result<()> {
    match random.below(3) {
        0 => stream.shutdown(Shutdown::Write)?,
        1 => stream.shutdown(Shutdown::Both)?,
        // With bytes unread, the system resets it.
        _ => {}
    }
    drop(stream);
    Ok(())
}

/// Reads so many bytes at most, in pieces of a size; fewer if the server hangs up.
fn take(stream: &mut TcpStream, mut count: usize, piece: usize) -> io::Result<()> {
    let mut buffer = vec![0; piece];
    while count > 0 {
        let n = stream.read(&mut buffer[..piece.min(count)])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        count -= n;
    }
    Ok(())
}

fn greet(stream: &mut TcpStream, random: &mut Random) -> io::Result<()> {
    if random.one_in(2) {
        stream.write_all(&packed("HELLO 3"))?;
        take(stream, 1, 1)?;
    }
    Ok(())
}

fn subscribe(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    greet(&mut stream, random)?;
    let names =
        |what: &str, count: usize| (0..count).fold(what.to_owned(), |line, n| format!("{line} channel:{n}"));
    let count = 20 + random.below(60);
    for what in ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
        stream.write_all(&packed(&names(what, count)))?;
    }
    take(&mut stream, 1 + random.below(500), 100)?;
    let mut other = place.writer()?;
    for n in 0..random.below(30) {
        other.try_call(&["PUBLISH", &format!("channel:{n}"), &"m".repeat(5000)])?;
    }
    if random.one_in(2) {
        stream.write_all(&packed(&names("UNSUBSCRIBE", count / 2)))?;
    }
    vanish(stream, random)
}

fn half_request(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    let whole = match random.below(6) {
        0 => packed(&format!("MSET {}", "key value ".repeat(2000).trim_end())),
        1 => b"*1000000\r\n$3\r\nDEL\r\n$1\r\na\r\n".to_vec(),
        2 => [&b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000000\r\n"[..], &[b'x'; 100_000]].concat(),
        3 => vec![b'i'; 60_000],
        4 => packed("SET key value"),
        _ => b"*2\r\n$4\r\nECHO\r\n$5\r\nhe".to_vec(),
    };
    let cut = 1 + random.below(whole.len());
    if random.one_in(4) {
        for byte in whole[..cut].iter().take(300) {
            stream.write_all(&[*byte])?;
        }
    } else {
        stream.write_all(&whole[..cut])?;
    }
    vanish(stream, random)
}

fn pipeline(place: &Place, random: &mut Random) -> io::Result<()> {
    let (mut all, count) = (Vec::new(), 1000 + random.below(20_000));
    for _ in 0..count {
        pack(&mut all, &["GET", &format!("s:{}", random.below(KEYS))]);
    }
    place.client()?.pipeline_bytes(&all, count).map(drop)
}

fn unread_pipeline(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    // A server stops reading from one who does not read.
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    let mut all = Vec::new();
    for _ in 0..20_000 {
        pack(&mut all, &["GET", &format!("s:{}", random.below(KEYS))]);
    }
    let _ = stream.write_all(&all);
    vanish(stream, random)
}

fn huge_value(place: &Place, random: &mut Random) -> io::Result<()> {
    let key = format!("huge:{}", random.below(HUGE));
    let mut writes = place.writer()?;
    if place.primary.is_none() && random.one_in(3) {
        // A value that never comes to its end.
        let mut stream = place.stream()?;
        write!(stream, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), 64 * MB)?;
        stream.write_all(&vec![b'x'; random.below(64) * MB])?;
        return vanish(stream, random);
    }
    writes.try_call(&[b"SET", key.as_bytes(), &vec![b'x'; 64 * MB]])?;
    let mut client = place.client()?;
    if place.primary.is_some() {
        // The copy has it a moment later; much later if its link has just been cut.
        writes.try_call(&["WAIT", "1", "1000"])?;
    }
    let is_there = client.try_call(&["STRLEN", &key])?.int() > 0;
    if !is_there {
        return writes.try_call(&["DEL", &key]).map(drop);
    }
    match random.below(3) {
        0 => drop(client.try_call(&["GET", &key])?),
        1 => {
            let mut stream = place.stream()?;
            stream.write_all(&packed(&format!("GET {key}")).repeat(3))?;
            let some = 1 + random.below(5);
            take(&mut stream, some, MB)?;
            vanish(stream, random)?;
        }
        _ => {
            client.send(&["MULTI"]);
            client.send(&["GETRANGE", &key, "0", "30000000"]);
            client.send(&["EXEC"]);
            client.flush()?;
        }
    }
    drop(writes.try_call(&["APPEND", &key, "tail"])?);
    writes.try_call(&["DEL", &key]).map(drop)
}

fn slow_reader(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    stream.write_all(&packed(&format!("LRANGE long:{} 0 -1", random.below(5))).repeat(40))?;
    for _ in 0..200 {
        take(&mut stream, 100, 100)?;
        // Being slow is what this client does.
        thread::sleep(Duration::from_millis(1));
    }
    vanish(stream, random)
}

fn storm(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut all = Vec::new();
    for _ in 0..150 {
        let mut stream = place.stream()?;
        if !random.one_in(5) {
            stream.write_all(b"PING\r\n")?;
        }
        all.push(stream);
    }
    for mut stream in all {
        if random.one_in(2) {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0; 7])?;
        }
    }
    Ok(())
}

fn monitor(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    stream.write_all(&packed("MONITOR"))?;
    take(&mut stream, 5, 5)?;
    if random.one_in(2) {
        // Others talk, the probe at least.
        take(&mut stream, random.below(10_000), 4096)?;
    } else {
        // Not reading is what this client does.
        thread::sleep(Duration::from_millis(300));
    }
    if random.one_in(3) {
        stream.write_all(&packed("RESET"))?;
    }
    vanish(stream, random)
}

fn blocked(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    greet(&mut stream, random)?;
    let reads = ["XREAD BLOCK 0 STREAMS never $", "XREAD BLOCK 0 COUNT 3 STREAMS x:1 never $ $"];
    let writes = [
        "BLPOP nolist nolist2 0",
        "BZPOPMIN nozset 0",
        "BLMOVE nolist other LEFT RIGHT 0",
        "BLMPOP 0 2 a b LEFT",
        "WAIT 3 0",
    ];
    let line =
        if place.primary.is_some() || random.one_in(4) { random.pick(&reads) } else { random.pick(&writes) };
    stream.write_all(&packed(line))?;
    if random.one_in(2) {
        stream.write_all(&packed("GET s:1").repeat(random.below(3000)))?;
    }
    // Vanishes before, while and after it is blocked.
    thread::sleep(Duration::from_millis(random.below(50) as u64));
    vanish(stream, random)
}

fn open_transaction(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    let mut all = Vec::new();
    for n in 0..random.below(100) {
        pack(&mut all, &["WATCH", &format!("s:{n}")]);
    }
    pack(&mut all, &["MULTI"]);
    for n in 0..random.below(2000) {
        match place.primary {
            Some(_) => pack(&mut all, &["GET", &format!("s:{n}")]),
            None => pack(&mut all, &["SET", &format!("s:{}", n % KEYS), &"v".repeat(1000)]),
        }
    }
    stream.write_all(&all)?;
    if random.one_in(3) {
        take(&mut stream, 5, 5)?;
        stream.write_all(&packed("EXEC"))?;
    }
    vanish(stream, random)
}

fn tracking(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut other = place.client()?;
    let id = other.try_call(&["CLIENT", "ID"])?.int();
    other.try_call(&["SUBSCRIBE", "__redis__:invalidate"])?;
    let mut stream = place.stream()?;
    let how = match random.below(5) {
        0 => "CLIENT TRACKING ON BCAST PREFIX s: PREFIX h:".to_owned(),
        1 => "CLIENT TRACKING ON OPTIN".to_owned(),
        2 => "CLIENT TRACKING ON NOLOOP".to_owned(),
        3 => format!("CLIENT TRACKING ON REDIRECT {id}"),
        _ => "CLIENT TRACKING ON".to_owned(),
    };
    stream.write_all(&packed("HELLO 3"))?;
    stream.write_all(&packed(&how))?;
    if how.ends_with("OPTIN") {
        stream.write_all(&packed("CLIENT CACHING YES"))?;
    }
    let keys = (0..300).fold("MGET".to_owned(), |line, _| format!("{line} s:{}", random.below(KEYS)));
    stream.write_all(&packed(&keys))?;
    take(&mut stream, 1000, 100)?;
    let mut writes = place.writer()?;
    for word in keys.split(' ').skip(1).take(50) {
        writes.try_call(&["SET", word, &"v".repeat(1000)])?;
    }
    if random.one_in(2) {
        drop(other);
        writes.try_call(&["SET", "s:1", "v"])?;
    }
    vanish(stream, random)
}

fn leaving_replica(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut client = place.client()?;
    for line in ["PING", "REPLCONF listening-port 1", "REPLCONF capa eof capa psync2"] {
        client.try_call(&line.split(' ').collect::<Vec<_>>())?;
    }
    if random.one_in(2) {
        client.send(&["PSYNC", "?", "-1"]);
        client.flush()?;
        // A copy that has lost its primary refuses.
        if !client.receive_line()?.starts_with(b"-") {
            client.receive_raw(random.below(10_000))?;
        }
    }
    Ok(())
}

fn killed(place: &Place, random: &mut Random) -> io::Result<()> {
    let (mut victim, mut other) = (place.client()?, place.client()?);
    let id = victim.try_call(&["CLIENT", "ID"])?.int().to_string();
    let lines = ["XREAD BLOCK 0 STREAMS never $", "SUBSCRIBE never", "MULTI", "MONITOR"];
    victim.send_raw(&packed(random.pick(&lines)));
    victim.flush()?;
    let gone = random.one_in(3);
    if !gone {
        other.try_call(&["CLIENT", "KILL", "ID", &id])?;
        while !victim.at_end()? {
            victim.receive()?;
        }
    }
    drop(victim);
    other.try_call(&["CLIENT", "UNBLOCK", &id]).map(drop)
}

fn scripts(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut client = place.client()?;
    match random.below(4) {
        0 => {
            let body = format!("return {}", random.next());
            client.try_call(&["SCRIPT", "LOAD", &body])?;
            client.try_call(&["SCRIPT", "FLUSH"])?;
        }
        1 => drop(client.try_call(&[
            "EVAL",
            "local t = {} for i = 1, 20000 do t[i] = i .. 'x' end return t",
            "0",
        ])?),
        2 => {
            // Who has asked is gone when the answer is there.
            client.send(&["EVAL", "for i = 1, 300000 do local x = i * i end return 1", "0"]);
            client.flush()?;
        }
        _ => drop(client.try_call(&[
            "EVAL",
            &format!("return redis.call('GET', 's:{}')", random.below(9)),
            "0",
        ])?),
    }
    Ok(())
}

fn malformed(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    let bytes = match random.below(6) {
        0 => b"*x\r\n".to_vec(),
        1 => b"*2\r\n$-5\r\n".to_vec(),
        2 => b"*99999999999\r\n".to_vec(),
        3 => vec![b'a'; 200_000],
        4 => b"SET \"a\r\n".to_vec(),
        _ => {
            let mut bytes = vec![b'*'];
            bytes.extend(random.bytes(500));
            bytes.extend_from_slice(b"\r\n");
            bytes
        }
    };
    let _ = stream.write_all(&bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        result => result.map(drop),
    }
}

fn paused(place: &Place, random: &mut Random) -> io::Result<()> {
    if !random.one_in(20) {
        return Ok(());
    }
    let mut client = place.client()?;
    let mut stream = place.stream()?;
    client.try_call(&["CLIENT", "PAUSE", "40", random.pick(&["WRITE", "ALL"])])?;
    stream.write_all(&packed("SET s:1 held"))?;
    stream.write_all(&packed("PUBLISH channel:1 held"))?;
    vanish(stream, random)?;
    client.try_call(&["CLIENT", "UNPAUSE"]).map(drop)
}

fn silent(place: &Place, random: &mut Random) -> io::Result<()> {
    let mut stream = place.stream()?;
    stream.write_all(&packed("CLIENT REPLY OFF"))?;
    stream.write_all(&packed("GET s:1").repeat(random.below(10_000)))?;
    if random.one_in(2) {
        stream.write_all(&packed("CLIENT REPLY ON"))?;
        take(&mut stream, 5, 5)?;
    }
    vanish(stream, random)
}

fn cut_link(place: &Place, random: &mut Random) -> io::Result<()> {
    let Some(primary) = place.primary.as_deref().filter(|_| random.one_in(100)) else { return Ok(()) };
    let mut client = patient(primary)?;
    if random.one_in(5) {
        client.try_call(&["DEBUG", "CHANGE-REPL-ID"])?;
    }
    client.try_call(&["CLIENT", "KILL", "TYPE", "replica"]).map(drop)
}
