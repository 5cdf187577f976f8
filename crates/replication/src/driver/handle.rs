//! Starting and stopping a driver.

use crate::driver::orders::{Follow, Orders};
use crate::driver::run::Run;
use crate::driver::{DriverConfig, LinkStatus};
use crate::error::LinkError;
use crate::options::LinkOptions;
use crate::position::Position;
use crate::target::Target;
use std::fmt;
use std::io;
use std::sync::mpsc::sync_channel;
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

/// Keeps a target equal to a primary, from a thread of its own.
///
/// ```
/// use replication::{Driver, DriverConfig, testing::Recorder};
///
/// let handle = Driver::spawn(DriverConfig::new("127.0.0.1", 6379), Recorder::default())?;
/// println!("{:?}", handle.status().phase);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Driver;

impl Driver {
    /// Starts a driver. It connects, syncs, follows and reconnects until the handle says stop.
    ///
    /// # Errors
    /// The thread, or the runtime on it, cannot be made.
    pub fn spawn<T: Target + 'static>(config: DriverConfig, target: T) -> io::Result<Handle<T>> {
        Self::spawn_with(Orders::default(), config, target)
    }

    /// As [`spawn`](Self::spawn), and it follows nobody until [`Handle::follow`] says whom.
    ///
    /// # Errors
    /// The thread, or the runtime on it, cannot be made.
    pub fn spawn_idle<T: Target + 'static>(config: DriverConfig, target: T) -> io::Result<Handle<T>> {
        let orders = Orders { number: 1, follow: Follow::Nobody(None), ..Orders::default() };
        Self::spawn_with(orders, config, target)
    }

    fn spawn_with<T: Target + 'static>(
        orders: Orders,
        config: DriverConfig,
        target: T,
    ) -> io::Result<Handle<T>> {
        let (orders, ordered) = watch::channel(orders);
        let span = tracing::info_span!("link", primary = %config.host, port = config.port);
        let (run, status) = Run::new(config, target, ordered);
        let (done, target) = oneshot::channel();
        let (ready, started) = sync_channel(1);
        std::thread::Builder::new().name("replication".to_owned()).spawn(move || {
            // The link runs on this thread, the sockets are emptied by the worker.
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).thread_name("replication-io").enable_io().enable_time();
            match builder.build() {
                Ok(runtime) => {
                    let _ = ready.send(Ok(()));
                    let target = runtime.block_on(run.until_stopped().instrument(span));
                    let _ = done.send(target);
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
        started.recv().map_err(io::Error::other)??;
        Ok(Handle { orders, status, target })
    }
}

/// A running driver. Dropping it stops the driver without waiting for it.
pub struct Handle<T> {
    orders: watch::Sender<Orders>,
    status: watch::Receiver<LinkStatus>,
    target: oneshot::Receiver<T>,
}

impl<T> Handle<T> {
    /// The present state of the link.
    #[must_use]
    pub fn status(&self) -> LinkStatus {
        self.status.borrow().clone()
    }

    /// A receiver that wakes at every change of the state. It works in any runtime.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.status.clone()
    }

    /// Asks the driver to stop, without waiting.
    pub fn stop(&self) {
        self.orders.send_modify(|orders| orders.stop = true);
    }

    /// Leaves the present primary for this one, at once. The data stay until the new primary has sent its
    /// own, and are continued if it knows their history.
    pub fn follow(&self, host: &str, port: u16) {
        self.follow_as(0, host, port, None);
    }

    /// As [`follow`](Self::follow). `from` tells what the target holds if others have changed it meanwhile
    /// (position and the database selected there, or no history at all); `term` is told to
    /// [`Target::redirected`] before anything of the new primary.
    pub fn follow_as(&self, term: u64, host: &str, port: u16, from: Option<Option<(Position, u32)>>) {
        self.order(Follow::Primary { host: host.into(), port, from, term });
    }

    /// Changes what the link says from its next connection on, and its timeouts.
    pub fn set_link_options(&self, options: LinkOptions) {
        self.orders.send_modify(|orders| orders.options = Some(options));
    }

    /// Leaves the present primary and follows nobody.
    pub fn pause(&self) {
        self.order(Follow::Nobody(None));
    }

    /// Follows nobody, because whoever knows whom to follow does not say: the link is down for this reason.
    pub fn pause_for(&self, reason: LinkError) {
        self.order(Follow::Nobody(Some(reason)));
    }

    fn order(&self, follow: Follow) {
        self.orders.send_modify(|orders| {
            orders.number += 1;
            orders.follow = follow;
        });
    }

    /// Stops the driver: it sends a last ACK, closes the connection and hands the target back.
    /// `None` if the target panicked.
    pub async fn shutdown(self) -> Option<T> {
        self.stop();
        let Self { orders: _orders, target, .. } = self;
        target.await.ok()
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}
