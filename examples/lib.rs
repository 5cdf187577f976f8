//! Examples live beside this file, one program each. What they share is here: somebody to follow.

use replica::{Error, Standalone};

/// The primary that an example follows.
#[derive(Debug)]
pub struct Primary {
    url: String,
    own: Option<Standalone>,
}

impl Primary {
    /// Its address, for [`Builder::master`](replica::Builder::master).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The one in this process, if no other was named.
    #[must_use]
    pub fn own(&self) -> Option<&Standalone> {
        self.own.as_ref()
    }
}

/// The primary named by `--master URL` (or by the first argument); without that, one of our own in this process that
/// has run these commands.
///
/// # Errors
/// A socket that cannot be had, or a command that makes no sense.
pub async fn primary(commands: &[&[&str]]) -> Result<Primary, Error> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--master");
    if let Some(url) = args.next() {
        let url = url.strip_prefix("--master=").map(str::to_owned).unwrap_or(url);
        return Ok(Primary { url, own: None });
    }
    let own = Standalone::start("127.0.0.1:0").await?;
    for command in commands {
        own.call(command)?;
    }
    Ok(Primary { url: own.url(), own: Some(own) })
}
