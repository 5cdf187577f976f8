//! A proxy that breaks connections on purpose, at an exact byte.
//!
//! ```text
//! client <-- plan.back --- proxy <--- server
//!        --- plan.forth -->       --->
//! ```
//!
//! It knows nothing of what passes: bytes are counted from the beginning of each connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What happens to one connection.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// To what the server sends.
    pub back: Course,
    /// To what the client sends.
    pub forth: Course,
    /// Whether the server gets a second connection with the same requests; its replies are dropped.
    pub twice: bool,
}

/// What happens to one direction of a connection.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Most bytes passed on at a time; 0: as they come.
    pub chunk: usize,
    /// A pause before each of them.
    pub pause: Duration,
    /// What happens after so many bytes.
    pub fault: Option<(u64, Fault)>,
}

/// What happens at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends in both directions.
    Close,
    /// The client finds it reset.
    Reset,
    /// Nothing passes any more, and nobody is told.
    Stall,
    /// The next byte is changed where the mask has bits.
    Flip(u8),
    /// These bytes come in between.
    Insert(Vec<u8>),
}

impl Plan {
    /// Nothing but passing on.
    #[must_use]
    pub fn pass() -> Self {
        Self::default()
    }

    /// A fault in what the server sends, after so many bytes.
    #[must_use]
    pub fn back(after: u64, fault: Fault) -> Self {
        Self { back: Course { fault: Some((after, fault)), ..Course::default() }, ..Self::default() }
    }

    /// A fault in what the client sends, after so many bytes.
    #[must_use]
    pub fn forth(after: u64, fault: Fault) -> Self {
        Self { forth: Course { fault: Some((after, fault)), ..Course::default() }, ..Self::default() }
    }
}

type Planner = Box<dyn FnMut(u64) -> Plan + Send>;

/// A running proxy. Connections end with it.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    planner: Mutex<Planner>,
    accepted: AtomicU64,
    stopped: AtomicBool,
    /// Both ends of every connection, to end them.
    open: Mutex<Vec<TcpStream>>,
    /// What the server sent over the last connection, if it is kept.
    heard: Mutex<Vec<u8>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `target`.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            planner: Mutex::new(Box::new(|_| Plan::pass())),
            accepted: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
            heard: Mutex::new(Vec::new()),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ours.stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(client) = client else { continue };
                let number = ours.accepted.fetch_add(1, Ordering::AcqRel);
                let plan = (lock(&ours.planner))(number);
                let shared = Arc::clone(&ours);
                thread::spawn(move || drop(shared.serve(client, plan)));
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Makes plans for the connections to come; each is told its number from 0 on, counted from the start.
    pub fn plan(&self, planner: impl FnMut(u64) -> Plan + Send + 'static) {
        *lock(&self.shared.planner) = Box::new(planner);
    }

    /// The next connection goes by this plan, those after it pass.
    pub fn plan_once(&self, plan: Plan) {
        let mut plan = Some(plan);
        self.plan(move |_| plan.take().unwrap_or_default());
    }

    /// Ends all connections that are open.
    pub fn cut(&self) {
        for socket in lock(&self.shared.open).drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Another server answers from the next connection on.
    pub fn retarget(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// All that the server has sent over the last connection.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        lock(&self.shared.heard).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn serve(self: Arc<Self>, client: TcpStream, plan: Plan) -> io::Result<()> {
        let target = *lock(&self.target);
        let server = TcpStream::connect(target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let second = if plan.twice { Some(TcpStream::connect(target)?) } else { None };
        {
            let mut open = lock(&self.open);
            open.push(client.try_clone()?);
            open.push(server.try_clone()?);
            if let Some(second) = &second {
                open.push(second.try_clone()?);
                let mut replies = second.try_clone()?;
                thread::spawn(move || io::copy(&mut replies, &mut io::sink()));
            }
        }
        lock(&self.heard).clear();
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        let forth = plan.forth;
        thread::spawn(move || pass(from, to, second, &forth, &|_| {}));
        let shared = Arc::clone(&self);
        pass(server, client, None, &plan.back, &move |bytes| lock(&shared.heard).extend_from_slice(bytes));
        Ok(())
    }
}

/// Passes bytes on until one side ends, or the fault ends it.
fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    mut also: Option<TcpStream>,
    course: &Course,
    heard: &dyn Fn(&[u8]),
) {
    let mut buffer = vec![0; if course.chunk == 0 { 64 * 1024 } else { course.chunk }];
    let mut passed = 0_u64;
    let mut fault = course.fault.clone();
    loop {
        // Never reads past the place of the fault, so that it happens there and not later.
        let left = fault.as_ref().map_or(u64::MAX, |(at, _)| at.saturating_sub(passed));
        if left == 0 {
            match fault.take() {
                Some((_, Fault::Close)) | None => break,
                Some((_, Fault::Reset)) => {
                    reset(&to);
                    break;
                }
                Some((_, Fault::Stall)) => {
                    // Until the proxy or the peer ends the connection.
                    let _ = io::copy(&mut from, &mut io::sink());
                    return;
                }
                Some((_, Fault::Flip(mask))) => {
                    let mut byte = [0];
                    if from.read_exact(&mut byte).is_err() || to.write_all(&[byte[0] ^ mask]).is_err() {
                        break;
                    }
                    passed += 1;
                }
                Some((_, Fault::Insert(bytes))) => {
                    if to.write_all(&bytes).is_err() {
                        break;
                    }
                }
            }
            continue;
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..most) else { break };
        let count = match from.read(room) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let Some(bytes) = buffer.get(..count) else { break };
        if !course.pause.is_zero() {
            thread::sleep(course.pause);
        }
        heard(bytes);
        if let Some(also) = &mut also {
            let _ = also.write_all(bytes);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
        passed += count as u64;
    }
    for socket in [Some(from), Some(to), also].into_iter().flatten() {
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Closes a connection in a way that its peer finds it reset: an answer that nobody reads.
fn reset(socket: &TcpStream) {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(500)));
    let _ = socket.peek(&mut [0]);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends these bytes and then waits for the end.
    fn server(bytes: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let mut socket = socket;
                thread::spawn(move || {
                    let _ = socket.write_all(bytes);
                    let _ = io::copy(&mut socket, &mut io::sink());
                });
            }
        });
        address
    }

    fn received(proxy: &Proxy, count: usize) -> Vec<u8> {
        let mut client = TcpStream::connect(proxy.addr()).unwrap();
        let mut bytes = vec![0; count];
        client.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn faults_happen_at_their_byte() {
        let proxy = Proxy::start(server(b"0123456789"));
        assert_eq!(received(&proxy, 10), b"0123456789");
        proxy.plan_once(Plan::back(3, Fault::Flip(1)));
        assert_eq!(received(&proxy, 10), b"0122456789");
        proxy.plan_once(Plan::back(9, Fault::Insert(b"xyz".to_vec())));
        assert_eq!(received(&proxy, 13), b"012345678xyz9");
        proxy.plan_once(Plan::back(4, Fault::Close));
        let mut all = Vec::new();
        TcpStream::connect(proxy.addr()).unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all, b"0123");
        assert_eq!(proxy.connections(), 4);
    }
}
