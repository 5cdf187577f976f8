//! The driver's loop: connect, converse, wait, again.

use crate::driver::{DriverConfig, LinkStatus, Phase};
use crate::error::{LinkError, Recovery};
use crate::link::{Link, LinkPhase};
use crate::target::Target;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long the last ACK may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

pub(crate) struct Run<T: Target> {
    config: DriverConfig,
    link: Link<T>,
    target: T,
    stop: watch::Receiver<bool>,
    status: watch::Sender<LinkStatus>,
    /// The origin of the link's time.
    started: Instant,
    last_io: Option<Instant>,
    buffer: Vec<u8>,
}

/// How a connection ended.
enum End {
    Stopped,
    Broken(LinkError),
}

impl<T: Target> Run<T> {
    pub(crate) fn new(
        config: DriverConfig,
        target: T,
        stop: watch::Receiver<bool>,
    ) -> (Self, watch::Receiver<LinkStatus>) {
        let mut link = Link::new(config.link.clone());
        if let Some((position, db)) = config.resume {
            link.resume(position, db);
        }
        let started = Instant::now();
        let (status, watcher) = watch::channel(LinkStatus {
            phase: Phase::Connecting,
            phase_since: started.into_std(),
            position: link.position(),
            read_offset: link.read_offset(),
            stream_db: link.stream_db(),
            counters: link.counters(),
            last_io: None,
        });
        let buffer = vec![0; config.read_buffer.max(4096)];
        (Self { config, link, target, stop, status, started, last_io: None, buffer }, watcher)
    }

    /// Runs until the handle says stop, or is dropped.
    pub(crate) async fn until_stopped(mut self) -> T {
        let mut failures = 0;
        loop {
            let synced_before = self.syncs();
            let reason = match self.connection().await {
                End::Stopped => break,
                End::Broken(reason) => reason,
            };
            // A connection that brought data was a good one: begin with short waits again.
            failures = if self.syncs() > synced_before { 1 } else { failures + 1 };
            let retry_in = match reason.recovery() {
                Recovery::GiveUp => self.config.backoff.jittered(u32::MAX),
                Recovery::Resume | Recovery::Resync => self.config.backoff.jittered(failures),
            };
            tracing::warn!(%reason, ?retry_in, recovery = ?reason.recovery(), "link down");
            self.publish(Phase::Down { reason, retry_in });
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => break,
                () = sleep(retry_in) => {}
            }
        }
        tracing::info!(position = ?self.link.position(), "link stopped");
        self.publish(Phase::Stopped);
        self.target
    }

    async fn connection(&mut self) -> End {
        self.publish(Phase::Connecting);
        let connecting = connect(&self.config);
        let socket = tokio::select! {
            biased;
            () = stopped(&mut self.stop) => return End::Stopped,
            connected = connecting => match connected {
                Ok(socket) => socket,
                Err(error) => return End::Broken(error),
            },
        };
        match self.converse(socket).await {
            Ok(()) => End::Stopped,
            Err(error) => End::Broken(error),
        }
    }

    /// Talks to the primary until the connection breaks (an error) or the driver is to stop.
    async fn converse(&mut self, mut socket: TcpStream) -> Result<(), LinkError> {
        self.link.handle_connected(self.now());
        loop {
            self.transmit(&mut socket).await?;
            self.report();
            let deadline = self.link.poll_timeout().map(|at| self.started + at);
            let alarm = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Reading comes before the alarm: bytes that wait are no silence, however long the
                // last ones took to apply.
                biased;
                () = stopped(&mut self.stop) => {
                    self.link.acknowledge();
                    let _ = timeout(FAREWELL, self.transmit(&mut socket)).await;
                    let _ = timeout(FAREWELL, socket.shutdown()).await;
                    self.link.handle_closed(self.now());
                    return Ok(());
                }
                read = socket.read(&mut self.buffer) => self.received(read)?,
                () = alarm => {}
            }
            self.link.handle_timeout(self.now())?;
        }
    }

    fn received(&mut self, read: io::Result<usize>) -> Result<(), LinkError> {
        match read {
            Ok(0) => Err(self.link.handle_closed(self.now())),
            Ok(count) => {
                self.last_io = Some(Instant::now());
                let bytes = self.buffer.get(..count).unwrap_or_default();
                let now = self.started.elapsed();
                self.link.handle_bytes(now, bytes, &mut self.target)
            }
            Err(error) => Err(self.lost(&error)),
        }
    }

    async fn transmit(&mut self, socket: &mut TcpStream) -> Result<(), LinkError> {
        while let Some(bytes) = self.link.poll_transmit() {
            match timeout(self.config.link.read_timeout, socket.write_all(&bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.lost(&error)),
                Err(elapsed) => return Err(self.lost(&io::Error::new(io::ErrorKind::TimedOut, elapsed))),
            }
        }
        Ok(())
    }

    fn lost(&mut self, error: &io::Error) -> LinkError {
        let doing = self.link.doing();
        self.link.handle_closed(self.now());
        LinkError::Lost { doing, reason: error.to_string().into() }
    }

    /// Logs what happened and publishes where the link is.
    fn report(&mut self) {
        while let Some(event) = self.link.poll_event() {
            tracing::debug!(?event, "link event");
        }
        self.publish(match self.link.phase() {
            LinkPhase::Down | LinkPhase::Handshake => Phase::Handshake,
            LinkPhase::Transfer { received, total } => Phase::Transfer { received, total },
            LinkPhase::Streaming => Phase::Streaming,
        });
    }

    fn publish(&self, phase: Phase) {
        self.status.send_modify(|status| {
            if std::mem::discriminant(&status.phase) != std::mem::discriminant(&phase) {
                status.phase_since = Instant::now().into_std();
            }
            status.phase = phase;
            status.position = self.link.position();
            status.read_offset = self.link.read_offset();
            status.stream_db = self.link.stream_db();
            status.counters = self.link.counters();
            status.last_io = self.last_io.map(Instant::into_std);
        });
    }

    fn syncs(&self) -> u64 {
        let counters = self.link.counters();
        counters.full_syncs + counters.partial_syncs
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Resolves the primary's name and connects to the first of its addresses that answers.
async fn connect(config: &DriverConfig) -> Result<TcpStream, LinkError> {
    let failed = |reason: String| LinkError::Unreachable {
        address: format!("{}:{}", config.host, config.port).into(),
        reason: Arc::from(reason),
    };
    tracing::debug!(host = %config.host, port = config.port, "connecting");
    let connecting = TcpStream::connect((config.host.as_str(), config.port));
    let socket = match timeout(config.connect_timeout, connecting).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("no answer for {} s", config.connect_timeout.as_secs_f32()))),
    };
    socket.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    Ok(socket)
}

/// Ends when the driver is to stop: the handle said so, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}
