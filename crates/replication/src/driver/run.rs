//! The driver's loop: connect, converse, wait, again.

use crate::driver::orders::{Follow, Orders};
use crate::driver::pump::{End, Gauge, Line};
use crate::driver::transport::connect;
use crate::driver::{DriverConfig, LinkStatus, Phase};
use crate::error::{Failures, LinkError, Recovery};
use crate::link::{Link, LinkPhase};
use crate::target::Target;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long the last ACK may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// Bytes handed to the link between two looks at the clock and at the orders.
const TURN: usize = 256 * 1024;

pub(crate) struct Run<T: Target> {
    config: DriverConfig,
    link: Link<T>,
    target: T,
    orders: watch::Receiver<Orders>,
    /// The number of the orders that are being followed.
    number: u64,
    status: watch::Sender<LinkStatus>,
    /// The origin of the link's time.
    started: Instant,
    gauge: Arc<Gauge>,
    failures: Failures,
    /// Why there is nobody to follow.
    lacking: Option<LinkError>,
    /// Everything that this connection had received by then has gone through the link.
    level: Option<Instant>,
}

/// How a connection ended.
enum Ended {
    Stopped,
    Redirected,
    Broken(LinkError),
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        Self::Broken(error)
    }
}

impl<T: Target> Run<T> {
    pub(crate) fn new(
        config: DriverConfig,
        target: T,
        orders: watch::Receiver<Orders>,
    ) -> (Self, watch::Receiver<LinkStatus>) {
        let mut link = Link::new(config.link.clone());
        if let Some((position, db)) = config.resume {
            link.resume(position, db);
        }
        let started = Instant::now();
        let mut first = LinkStatus::new(&config.host, config.port);
        first.phase_since = started.into_std();
        first.position = link.position();
        first.read_offset = link.read_offset();
        first.stream_db = link.stream_db();
        first.buffered.limit = config.buffer_limit;
        let (status, watcher) = watch::channel(first);
        let gauge = Gauge::new(started, config.buffer_limit, config.rate_limit);
        let failures = Failures::default();
        let run = Self {
            config,
            link,
            target,
            orders,
            number: 0,
            status,
            started,
            gauge,
            failures,
            lacking: None,
            level: None,
        };
        (run, watcher)
    }

    /// Runs until the handle says stop, or is dropped.
    pub(crate) async fn until_stopped(mut self) -> T {
        let mut failures = 0;
        let mut follows = true;
        loop {
            if let Some(redirected) = self.obey() {
                follows = redirected;
                failures = 0;
            }
            if !follows {
                let phase = match self.lacking.clone() {
                    Some(reason) => Phase::Down { reason, retry_in: Duration::from_secs(1) },
                    None => Phase::Idle,
                };
                self.publish(phase, 0);
                match self.disturbed().await {
                    Ended::Stopped => break,
                    _ => continue,
                }
            }
            let synced_before = self.syncs();
            let reason = match self.connection().await {
                Ended::Stopped => break,
                Ended::Redirected => {
                    self.failures.add(LinkError::Redirected.kind());
                    continue;
                }
                Ended::Broken(reason) => reason,
            };
            self.failures.add(reason.kind());
            // A connection that brought data was a good one: begin with short waits again.
            failures = if self.syncs() > synced_before { 1 } else { failures + 1 };
            let retry_in = match reason.recovery() {
                Recovery::GiveUp => self.config.backoff.jittered(u32::MAX),
                Recovery::Resume | Recovery::Resync => self.config.backoff.jittered(failures),
            };
            tracing::warn!(%reason, ?retry_in, recovery = ?reason.recovery(), "link down");
            self.publish(Phase::Down { reason, retry_in }, 0);
            tokio::select! {
                biased;
                ended = disturbed(&mut self.orders, self.number) => {
                    if matches!(ended, Ended::Stopped) {
                        break;
                    }
                }
                () = sleep(retry_in) => {}
            }
        }
        tracing::info!(position = ?self.link.position(), "link stopped");
        self.publish(Phase::Stopped, 0);
        self.target
    }

    /// Takes new orders in, if there are any. Answers whether there is somebody to follow.
    fn obey(&mut self) -> Option<bool> {
        let orders = self.orders.borrow_and_update().clone();
        if let Some(options) = orders.options {
            self.link.set_options(options);
        }
        if orders.number == self.number {
            return None;
        }
        self.number = orders.number;
        match orders.follow {
            Follow::Configured => Some(true),
            Follow::Nobody(why) => {
                self.lacking = why;
                Some(false)
            }
            Follow::Primary { host, port, from, term } => {
                tracing::info!(%host, port, "following another primary");
                self.config.host = host.to_string();
                self.config.port = port;
                self.target.redirected(term);
                match from {
                    None => {}
                    Some(None) => self.link.forget(),
                    Some(Some((position, db))) => self.link.resume(position, db),
                }
                Some(true)
            }
        }
    }

    async fn disturbed(&mut self) -> Ended {
        disturbed(&mut self.orders, self.number).await
    }

    async fn connection(&mut self) -> Ended {
        self.publish(Phase::Connecting, 0);
        if let Some(provider) = &self.config.credentials {
            self.link.set_credentials(provider.get());
        }
        let transport = tokio::select! {
            biased;
            ended = disturbed(&mut self.orders, self.number) => return ended,
            connected = connect(&self.config) => match connected {
                Ok(transport) => transport,
                Err(error) => return Ended::Broken(error),
            },
        };
        let mut first = Line::start(transport, &self.gauge, self.config.read_buffer.max(4096));
        let Err(ended) = self.converse(&mut first).await;
        match &ended {
            Ended::Broken(_) => {}
            Ended::Stopped | Ended::Redirected => {
                self.link.acknowledge();
                let _ = timeout(FAREWELL, self.transmit(&mut first)).await;
                let _ = timeout(FAREWELL, first.out.shutdown()).await;
                self.link.handle_closed(self.now());
            }
        }
        ended
    }

    /// Talks to the primary until the connection breaks or there are other orders.
    async fn converse(&mut self, first: &mut Line) -> Result<std::convert::Infallible, Ended> {
        self.link.handle_connected(self.now());
        let mut second: Option<Line> = None;
        loop {
            self.transmit(first).await?;
            self.tend_second(&mut second).await?;
            let waiting = first.waiting() + second.as_ref().map_or(0, Line::waiting);
            self.report(waiting);
            first.limit_rate(matches!(self.link.phase(), LinkPhase::Transfer { .. }) && second.is_none());
            let deadline = self.link.poll_timeout().and_then(|at| self.started.checked_add(at));
            let alarm = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let dump = async {
                match &second {
                    Some(line) => line.ready().await,
                    None => std::future::pending().await,
                }
            };
            let holding = self.link.is_holding_stream();
            tokio::select! {
                // Reading comes before the alarm: bytes that wait are no silence, however long the
                // last ones took to apply.
                biased;
                ended = disturbed(&mut self.orders, self.number) => return Err(ended),
                () = dump => self.received_dump(&mut second)?,
                () = first.ready(), if !holding => self.received(first)?,
                () = alarm => {}
            }
            self.link.handle_timeout(self.now())?;
        }
    }

    fn received(&mut self, first: &mut Line) -> Result<(), LinkError> {
        let now = self.now();
        let bytes = first.bytes(TURN);
        let count = bytes.len();
        if count > 0 {
            self.link.handle_bytes(now, bytes, &mut self.target)?;
            if let Some(level) = first.consume(count) {
                self.level = Some(level);
            }
            return Ok(());
        }
        match first.end() {
            None => Ok(()),
            Some(End::Closed) => Err(self.link.handle_closed(now)),
            Some(End::Broken(error)) => Err(self.lost(&error)),
        }
    }

    fn received_dump(&mut self, second: &mut Option<Line>) -> Result<(), LinkError> {
        let now = self.now();
        let Some(line) = second else { return Ok(()) };
        let bytes = line.bytes(TURN);
        let count = bytes.len();
        if count > 0 {
            self.link.handle_dump_bytes(now, bytes, &mut self.target)?;
            let _ = line.consume(count);
            return Ok(());
        }
        match line.end() {
            None => return Ok(()),
            Some(End::Closed) => self.link.handle_dump_closed()?,
            Some(End::Broken(error)) => {
                if self.link.handle_dump_closed().is_err() {
                    return Err(self.lost(&error));
                }
            }
        }
        *second = None;
        Ok(())
    }

    /// Opens the second connection when the link wants it, and closes it when it does not any more.
    async fn tend_second(&mut self, second: &mut Option<Line>) -> Result<(), Ended> {
        if !self.link.wants_dump_channel() {
            *second = None;
            return Ok(());
        }
        if second.is_none() {
            let transport = tokio::select! {
                biased;
                ended = disturbed(&mut self.orders, self.number) => return Err(ended),
                connected = connect(&self.config) => connected.inspect_err(|_| {
                    self.link.handle_closed(self.started.elapsed());
                })?,
            };
            let line = Line::start(transport, &self.gauge, self.config.read_buffer.max(4096));
            line.limit_rate(true);
            *second = Some(line);
            self.link.handle_dump_connected(self.now());
        }
        while let Some(bytes) = self.link.poll_dump_transmit() {
            if let Some(line) = second {
                self.write(line, &bytes).await?;
            }
        }
        Ok(())
    }

    async fn transmit(&mut self, line: &mut Line) -> Result<(), LinkError> {
        while let Some(bytes) = self.link.poll_transmit() {
            self.write(line, &bytes).await?;
        }
        Ok(())
    }

    async fn write(&mut self, line: &mut Line, bytes: &Bytes) -> Result<(), LinkError> {
        let written = async {
            line.out.write_all(bytes).await?;
            line.out.flush().await
        };
        match timeout(self.config.write_timeout, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.lost(&error)),
            Err(elapsed) => Err(self.lost(&io::Error::new(io::ErrorKind::TimedOut, elapsed))),
        }
    }

    fn lost(&mut self, error: &io::Error) -> LinkError {
        let doing = self.link.doing();
        self.link.handle_closed(self.now());
        // With TLS 1.3 the primary looks at our certificate when we think that all is well.
        #[cfg(feature = "tls")]
        if self.config.tls.is_some() && error.kind() == io::ErrorKind::InvalidData {
            let address = format!("{}:{}", self.config.host, self.config.port).into();
            return LinkError::Tls { address, reason: error.to_string().into(), broken: false };
        }
        LinkError::Lost { doing, reason: error.to_string().into() }
    }

    /// Logs what happened and publishes where the link is.
    fn report(&mut self, waiting: usize) {
        while let Some(event) = self.link.poll_event() {
            tracing::debug!(?event, "link event");
        }
        let phase = match self.link.phase() {
            LinkPhase::Down | LinkPhase::Handshake => Phase::Handshake,
            LinkPhase::Transfer { received, total } => Phase::Transfer { received, total },
            LinkPhase::Streaming => Phase::Streaming,
        };
        self.publish(phase, waiting);
    }

    fn publish(&self, phase: Phase, waiting: usize) {
        self.status.send_modify(|status| {
            // What waits in the buffer has been read, too.
            let streaming = phase.is_streaming();
            status.enter(phase, self.link.counters());
            status.position = self.link.position();
            let ahead = if streaming { waiting as u64 } else { 0 };
            status.read_offset = self.link.read_offset().map(|offset| offset.after(ahead));
            status.stream_db = self.link.stream_db();
            status.last_io = self.gauge.last_byte().map(Instant::into_std);
            if streaming {
                let idle = status.last_io.filter(|_| waiting == 0);
                status.level_at = status.level_at.max(idle).max(self.level.map(Instant::into_std));
            }
            status.buffered.bytes = waiting;
            status.buffered.peak = self.gauge.peak();
            status.failures = self.failures;
            if (status.primary.0.as_ref(), status.primary.1) != (self.config.host.as_str(), self.config.port)
            {
                status.primary = (self.config.host.as_str().into(), self.config.port);
            }
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

/// Ends when there are orders other than those numbered `number`: from the handle, or because it is gone.
async fn disturbed(orders: &mut watch::Receiver<Orders>, number: u64) -> Ended {
    match orders.wait_for(|orders| orders.stop || orders.number != number).await {
        Ok(orders) if !orders.stop => Ended::Redirected,
        _ => Ended::Stopped,
    }
}
