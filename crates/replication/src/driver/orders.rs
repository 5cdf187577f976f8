//! What the handle tells the driver.

use crate::error::LinkError;
use crate::options::LinkOptions;
use crate::position::Position;
use std::sync::Arc;

/// The latest orders; `number` grows with each change of primary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    pub(crate) stop: bool,
    pub(crate) number: u64,
    pub(crate) follow: Follow,
    /// What to say at the next connection, if it is not what the configuration says.
    pub(crate) options: Option<LinkOptions>,
}

/// Whom to follow.
#[derive(Debug, Clone, Default)]
pub(crate) enum Follow {
    /// The one of the configuration.
    #[default]
    Configured,
    /// Nobody, and why if that is to be told as a failure.
    Nobody(Option<LinkError>),
    Primary {
        host: Arc<str>,
        port: u16,
        /// What the target holds; `None`: what the link knows.
        from: Option<Option<(Position, u32)>>,
        term: u64,
    },
}
