//! Who we are to the primary.

use std::fmt;
use std::sync::Arc;

/// User and password for the primary. Printing it shows no password.
///
/// ```
/// use replica::{Credentials, Replica};
///
/// let settings = Replica::builder()
///     .master("redis://cache.internal")
///     .credentials(Credentials::user("app", "secret"));
/// // A secret that changes: asked for before each connection.
/// let settings = settings.credentials(Credentials::provider(|| {
///     Credentials::password(std::fs::read_to_string("/run/secrets/redis").unwrap_or_default().trim_end())
/// }));
/// # drop(settings);
/// ```
#[derive(Clone)]
pub struct Credentials(pub(crate) Source);

#[derive(Clone)]
pub(crate) enum Source {
    Known(replication::Credentials),
    Asked(Arc<dyn Fn() -> Credentials + Send + Sync>),
}

impl Credentials {
    /// A password alone: that of the user `default`.
    #[must_use]
    pub fn password(password: impl Into<String>) -> Self {
        Self(Source::Known(replication::Credentials { user: None, password: password.into() }))
    }

    /// An ACL user.
    #[must_use]
    pub fn user(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Source::Known(replication::Credentials { user: Some(user.into()), password: password.into() }))
    }

    /// Asks before each connection. `ask` may block for a moment, on the link's own thread.
    #[must_use]
    pub fn provider(ask: impl Fn() -> Self + Send + Sync + 'static) -> Self {
        Self(Source::Asked(Arc::new(ask)))
    }

    /// Whether they may change.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.0, Source::Asked(_))
    }

    /// What is so at this moment.
    pub(crate) fn now(&self) -> replication::Credentials {
        match &self.0 {
            Source::Known(known) => known.clone(),
            Source::Asked(ask) => ask().now(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Known(known) => known.fmt(f),
            Source::Asked(_) => f.write_str("Credentials::provider"),
        }
    }
}
