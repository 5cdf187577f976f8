//! The connection of those tools that talk to one server.

use replica::{Address, Wire};

use crate::Failure;

/// Connects and logs in.
pub fn open(url: &str, tls: &crate::tls::Args) -> Result<Wire, Failure> {
    let address = Address::parse(url)?;
    if address.service.is_some() || !address.cluster.is_empty() {
        return Err("a server's own address is needed here, not that of Sentinels or a cluster".into());
    }
    let tls = if address.tls { Some(tls.build()?) } else { None };
    Ok(Wire::open(&address, tls.as_ref())?)
}
