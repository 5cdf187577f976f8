//! Where a primary is: `redis://user:password@host:port`, `rediss://..` for TLS, `host:port`, several of these after
//! commas, `unix:///path` for a socket of this machine, `redis-sentinel://user:password@host:port,host:port/name` for
//! the Sentinels who know, or `redis-cluster://user:password@host:port,host:port` for the primaries of a cluster.

use std::path::PathBuf;

use crate::error::Error;

/// The port where there is none in the address.
const DEFAULT_PORT: u16 = 6379;
/// That of a Sentinel.
const SENTINEL_PORT: u16 = 26379;

/// A primary's address with the credentials that stood in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address, without brackets; the path of a Unix socket.
    pub host: String,
    /// 6379 unless given; 0 for a Unix socket.
    pub port: u16,
    /// Where else it may be: tried in this order after the first, at every connection.
    pub others: Vec<(String, u16)>,
    /// The Unix socket at which it listens.
    pub unix: Option<PathBuf>,
    /// The ACL user; none stands for `default`.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// Whether it said `rediss://` or `valkeys://`.
    pub tls: bool,
    /// The Sentinels to ask; then there is no host yet. User and password are for the primary.
    pub service: Option<Service>,
    /// The nodes of a cluster to ask first; then host and port are the first one's.
    pub cluster: Vec<(String, u16)>,
}

/// A primary by the name that Sentinels call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name.
    pub name: String,
    /// Where the Sentinels are; port 26379 unless given.
    pub sentinels: Vec<(String, u16)>,
}

impl Address {
    /// Reads an address. Percent escapes in user and password are decoded.
    ///
    /// # Errors
    /// [`Error::Config`] names what makes no sense.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config = |what: &str| Error::Config(format!("{what} in the address of the primary"));
        let (mut by_sentinels, mut of_cluster, mut by_path) = (false, false, false);
        let (tls, rest) = match text.split_once("://") {
            Some(("redis" | "valkey", rest)) => (false, rest),
            Some(("rediss" | "valkeys", rest)) => (true, rest),
            Some((scheme @ ("redis-sentinel" | "rediss-sentinel"), rest)) => {
                by_sentinels = true;
                (scheme == "rediss-sentinel", rest)
            }
            Some((scheme @ ("redis-cluster" | "rediss-cluster"), rest)) => {
                of_cluster = true;
                (scheme == "rediss-cluster", rest)
            }
            Some(("unix" | "redis+unix" | "valkey+unix", rest)) => {
                by_path = true;
                (false, rest)
            }
            Some((scheme, _)) => return Err(config(&format!("the scheme {scheme:?} is not known"))),
            None => (false, text),
        };
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let credentials = match credentials.map(|c| c.split_once(':').unwrap_or((c, ""))) {
            None => (None, None),
            Some((user, password)) => (
                Some(decode(user)).filter(|u| !u.is_empty()),
                Some(decode(password)).filter(|p| !p.is_empty()),
            ),
        };
        let (user, password) = credentials;
        if by_path {
            let path = decode(place.split('?').next().unwrap_or_default());
            if !path.starts_with('/') {
                return Err(config("no absolute path (unix:///run/redis.sock)"));
            }
            let (others, cluster, unix) = (Vec::new(), Vec::new(), Some(PathBuf::from(&path)));
            return Ok(Self {
                host: path,
                port: 0,
                others,
                unix,
                user,
                password,
                tls,
                service: None,
                cluster,
            });
        }
        let (place, name) = match place.split_once('/') {
            Some((place, name)) => (place, name.split('?').next().unwrap_or_default()),
            None => (place.split('?').next().unwrap_or_default(), ""),
        };
        let several = |usual: u16| -> Result<Vec<(String, u16)>, Error> {
            place.split(',').map(|place| one(place.trim(), usual, &config)).collect()
        };
        let (mut cluster, mut others) = (Vec::new(), Vec::new());
        let (host, port, service) = if by_sentinels {
            if name.is_empty() {
                return Err(config("no name of the primary (redis-sentinel://host/NAME)"));
            }
            (String::new(), 0, Some(Service { name: decode(name), sentinels: several(SENTINEL_PORT)? }))
        } else if of_cluster {
            cluster = several(DEFAULT_PORT)?;
            let (host, port) = cluster.first().cloned().unwrap_or_default();
            (host, port, None)
        } else {
            others = several(DEFAULT_PORT)?;
            let (host, port) = others.remove(0);
            (host, port, None)
        };
        Ok(Self { host, port, others, unix: None, user, password, tls, service, cluster })
    }
}

/// A host with its port, if it has one.
fn one(place: &str, usual: u16, config: &impl Fn(&str) -> Error) -> Result<(String, u16), Error> {
    let (host, port) = match place.rsplit_once(':') {
        // An IPv6 address stands in brackets where a port follows.
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
            (host, port.parse().map_err(|_| config(&format!("the port {port:?} is no port")))?)
        }
        _ => (place, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(config("no host")) } else { Ok((host.to_owned(), port)) }
}

/// `%41` is `A`; what is no such escape stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        let parse = |text: &str| Address::parse(text).unwrap();
        let plain = Address {
            host: "h".into(),
            port: 6379,
            others: Vec::new(),
            unix: None,
            user: None,
            password: None,
            tls: false,
            service: None,
            cluster: Vec::new(),
        };
        assert_eq!(parse("h"), plain);
        assert_eq!(parse("redis://h"), plain);
        assert_eq!(parse("redis://h:6379/0"), plain);
        assert_eq!(parse("rediss://h"), Address { tls: true, ..plain });
        assert_eq!(parse("h:1").port, 1);
        assert_eq!(parse("[::1]:7").host, "::1");
        assert_eq!(parse("::1").host, "::1");
        let full = parse("redis://app:s%40e%3Acret@cache.internal:7000");
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("app"), Some("s@e:cret")));
        assert_eq!(parse("redis://:pw@h").password.as_deref(), Some("pw"));
        assert_eq!(parse("redis://:pw@h").user, None);
    }

    #[test]
    fn sentinels_are_read() {
        let address = Address::parse("redis-sentinel://app:pw@a,b:7,[::1]:8/my%20name?x=1").unwrap();
        let sentinels = vec![("a".to_owned(), 26379), ("b".to_owned(), 7), ("::1".to_owned(), 8)];
        assert_eq!(address.service, Some(Service { name: "my name".to_owned(), sentinels }));
        assert_eq!((address.user.as_deref(), address.password.as_deref()), (Some("app"), Some("pw")));
        assert!(!address.tls && Address::parse("rediss-sentinel://a/n").unwrap().tls);
    }

    #[test]
    fn several_places_and_sockets_are_read() {
        let several = Address::parse("redis://:pw@a:1,b,[::1]:2/0").unwrap();
        assert_eq!((several.host.as_str(), several.port), ("a", 1));
        assert_eq!(several.others, [("b".to_owned(), 6379), ("::1".to_owned(), 2)]);
        assert_eq!(Address::parse("a,b").unwrap().others.len(), 1);
        let socket = Address::parse("unix://app:s%40e@/run/my%20redis.sock?x=1").unwrap();
        assert_eq!(socket.unix.as_deref(), Some(std::path::Path::new("/run/my redis.sock")));
        assert_eq!((socket.user.as_deref(), socket.password.as_deref()), (Some("app"), Some("s@e")));
        assert_eq!(Address::parse("redis+unix:///run/r.sock").unwrap().host, "/run/r.sock");
    }

    #[test]
    fn clusters_are_read() {
        let address = Address::parse("rediss-cluster://:pw@a:7000,b").unwrap();
        assert_eq!(address.cluster, [("a".to_owned(), 7000), ("b".to_owned(), 6379)]);
        assert_eq!((address.host.as_str(), address.password.as_deref()), ("a", Some("pw")));
        assert!(address.tls && Address::parse("redis://a").unwrap().cluster.is_empty());
    }

    #[test]
    fn addresses_without_sense_are_refused() {
        for text in [
            "",
            "redis://",
            "h:port",
            "http://h",
            "redis://u:p@",
            "redis-sentinel://a",
            "redis-sentinel:///n",
            "redis-cluster://a,,b",
            "redis://a,",
            "unix://",
            "unix://run/r.sock",
        ] {
            assert!(matches!(Address::parse(text), Err(Error::Config(_))), "{text}");
        }
    }
}
