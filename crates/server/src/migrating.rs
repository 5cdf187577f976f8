//! Handing keys to another server, for MIGRATE: what is said, and the connections that are kept for the next time.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use resp::encode_command;

/// So many connections are kept.
const KEPT: usize = 64;
/// And so long.
const IDLE: Duration = Duration::from_secs(10);
/// No line of a reply is longer.
const LINE: u64 = 64 * 1024;
/// What is selected on a connection is not known. It can be asked for, and nothing is selected then, as with the real
/// servers.
const UNKNOWN: i64 = -1;

/// Where keys go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) host: &'a [u8],
    pub(crate) port: &'a [u8],
    pub(crate) db: i64,
    /// Words behind AUTH.
    pub(crate) auth: &'a [&'a [u8]],
    pub(crate) replace: bool,
    /// For each step: to connect, to write, to read.
    pub(crate) timeout: Duration,
}

/// A key on its way.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    pub(crate) key: &'a [u8],
    /// Milliseconds; 0: for ever.
    pub(crate) ttl: i64,
    pub(crate) payload: Vec<u8>,
}

/// Why not all keys arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The name says nothing, or nobody can be reached.
    Connecting,
    Writing,
    Reading,
    /// The first error that the target answered, without its `-`.
    Told(Vec<u8>),
}

/// Connections to servers that got keys lately.
#[derive(Debug, Default)]
pub(crate) struct Targets(Mutex<HashMap<Address, Link>>);

/// Host and port, as they were given.
type Address = (Box<[u8]>, Box<[u8]>);

#[derive(Debug)]
struct Link {
    stream: BufReader<TcpStream>,
    db: i64,
    used: Instant,
}

impl Targets {
    /// Hands keys over. For each whether it has arrived, and what went wrong first.
    pub(crate) fn hand_over(&self, to: Target<'_>, parcels: &[Parcel<'_>]) -> (Vec<bool>, Option<Failure>) {
        let address: Address = (to.host.into(), to.port.into());
        let kept = self.0.lock().remove(&address).filter(|link| link.used.elapsed() < IDLE);
        let mut arrived = vec![false; parcels.len()];
        if let Some(link) = kept {
            let failure = self.try_over(link, &address, to, parcels, &mut arrived);
            // The other side may have closed it long ago: nothing has arrived then, and a new one will tell.
            let is_stale = matches!(failure, Some((Failure::Writing | Failure::Reading, false)));
            if !is_stale || arrived.contains(&true) {
                return (arrived, failure.map(|(failure, _)| failure));
            }
        }
        let failure = match Link::open(to) {
            Ok(link) => self.try_over(link, &address, to, parcels, &mut arrived).map(|(failure, _)| failure),
            Err(failure) => Some(failure),
        };
        (arrived, failure)
    }

    /// The failure comes with whether time has run out.
    fn try_over(
        &self,
        mut link: Link,
        address: &Address,
        to: Target<'_>,
        parcels: &[Parcel<'_>],
        arrived: &mut [bool],
    ) -> Option<(Failure, bool)> {
        let timed_out =
            |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        let selects = link.db != to.db;
        if let Err(error) = link.say(to, selects, parcels) {
            return Some((Failure::Writing, timed_out(&error)));
        }
        let mut told = None;
        let before = usize::from(!to.auth.is_empty()) + usize::from(selects);
        let mut refused = None;
        for _ in 0..before {
            match link.hear() {
                Ok(error) => refused = refused.or(error),
                Err(error) => return Some((Failure::Reading, timed_out(&error))),
            }
        }
        for arrived in arrived.iter_mut() {
            match link.hear() {
                Ok(error) => match refused.clone().or(error) {
                    Some(error) => told = told.or(Some(error)),
                    None => *arrived = true,
                },
                Err(error) => return Some((Failure::Reading, timed_out(&error))),
            }
        }
        link.db = if told.is_some() { UNKNOWN } else { to.db };
        self.keep(address, link);
        told.map(|error| (Failure::Told(error), false))
    }

    fn keep(&self, address: &Address, mut link: Link) {
        link.used = Instant::now();
        let mut links = self.0.lock();
        links.retain(|_, link| link.used.elapsed() < IDLE);
        if links.len() < KEPT {
            links.insert(address.clone(), link);
        }
    }
}

impl Link {
    fn open(to: Target<'_>) -> Result<Self, Failure> {
        let host = std::str::from_utf8(to.host).map_err(|_| Failure::Connecting)?;
        // What is no number is port 0, which nobody can be reached at.
        let port: u64 = std::str::from_utf8(to.port).ok().and_then(|port| port.parse().ok()).unwrap_or(0);
        let port = u16::try_from(port).map_err(|_| Failure::Writing)?;
        let addresses = (host, port).to_socket_addrs().map_err(|_| Failure::Connecting)?;
        let mut streams = addresses.filter_map(|at| TcpStream::connect_timeout(&at, to.timeout).ok());
        // The real servers notice only when they write that nobody is there, and say so.
        let stream = streams.next().ok_or(Failure::Writing)?;
        let set = stream.set_nodelay(true);
        set.map_err(|_| Failure::Connecting)?;
        Ok(Self { stream: BufReader::new(stream), db: UNKNOWN, used: Instant::now() })
    }

    fn say(&mut self, to: Target<'_>, selects: bool, parcels: &[Parcel<'_>]) -> std::io::Result<()> {
        let mut request = Vec::new();
        if !to.auth.is_empty() {
            let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..]).chain(to.auth.iter().copied()).collect();
            encode_command(&mut request, &words);
        }
        if selects {
            encode_command(&mut request, &[b"SELECT", to.db.to_string().as_bytes()]);
        }
        for parcel in parcels {
            let ttl = parcel.ttl.to_string();
            let words: [&[u8]; 5] = [b"RESTORE", parcel.key, ttl.as_bytes(), &parcel.payload, b"REPLACE"];
            encode_command(&mut request, if to.replace { &words } else { &words[..4] });
        }
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(to.timeout))?;
        stream.set_read_timeout(Some(to.timeout))?;
        stream.write_all(&request)
    }

    /// A reply: the error that it is, if it is one.
    fn hear(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.stream.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(match line.split_first() {
            Some((b'-', error)) => Some(error.to_vec()),
            _ => None,
        })
    }
}
