//! Our server, on one thread: what comes first is done first, as with the real servers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use server::{Engine, Listener, Options, Role, housekeeper};
use store::Compat;
use tokio::sync::oneshot;

/// A server that ends when it is dropped.
#[derive(Debug)]
pub(super) struct Ours {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ours {
    pub(super) fn start(compat: Compat) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (listening, place) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut options = Options::default();
                options.compat = Some(compat);
                let engine = Engine::new(Role::Primary, options);
                let kept = housekeeper::spawn(&engine);
                let listener = match kept {
                    Ok(()) => Listener::bind(Arc::clone(&engine), "127.0.0.1:0").await,
                    Err(error) => Err(error),
                };
                let _ = listening.send(listener.as_ref().map(Listener::local_addr).map_err(|e| e.kind()));
                let _ = stopped.await;
                if let Ok(listener) = listener {
                    listener.shutdown().await;
                }
            });
        });
        let addr = place.recv().map_err(io::Error::other)?.map_err(io::Error::from)?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
