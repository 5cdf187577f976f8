//! Keeps the sockets watched while a command takes long.
//!
//! Of the runtime's workers one waits for the sockets, the others sleep. When that one goes off to run what
//! has come and stays there (an endless script, a SORT of millions), tokio wakes no other to wait in its place:
//! nobody would hear the client that comes to kill the script. So somebody outside the runtime gives it
//! something to do now and then; the worker who wakes for it finds the place empty and takes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

/// So long a client may go unheard, and so long one who comes where nobody is.
const BEAT: Duration = Duration::from_millis(10);
const SLOW_BEAT: Duration = Duration::from_millis(100);

/// Beats until `stop`.
///
/// # Errors
/// The thread cannot be made.
pub(crate) fn spawn(engine: &Arc<Engine>, stop: CancellationToken) -> std::io::Result<()> {
    let (engine, runtime) = (Arc::downgrade(engine), Handle::current());
    std::thread::Builder::new().name("pulse".to_owned()).spawn(move || {
        while !stop.is_cancelled() {
            let Some(clients) = engine.upgrade().map(|engine| engine.clients.len()) else { return };
            runtime.spawn(async {});
            std::thread::sleep(if clients > 0 { BEAT } else { SLOW_BEAT });
        }
    })?;
    Ok(())
}
