//! Where the server is, and how to log in.

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "tls")]
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo};

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port, with or without TLS.
    Tcp {
        /// A name or an IP address.
        host: String,
        /// 1 to 65,535.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// A server, or one node of a cluster, and how to log in. All nodes take the same login.
#[derive(Clone)]
pub struct Endpoint {
    /// The server's address.
    pub address: Address,
    /// User name, unless it is `default`.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Database number.
    pub db: i64,
    /// Whether this is a cluster node, so that the loader finds the other nodes.
    pub cluster: bool,
    /// TLS settings, if the server speaks TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
}

/// TLS settings.
#[cfg(feature = "tls")]
#[derive(Clone)]
pub struct Tls {
    /// The trusted authorities and the client certificate.
    pub config: Arc<rustls::ClientConfig>,
    /// The name to expect in the certificate, if it is not the host.
    pub server_name: Option<String>,
}

impl Endpoint {
    /// Converts a redis-rs address. TLS settings are not included: call [`Endpoint::use_tls`] for those.
    #[must_use]
    pub fn from_info(info: &ConnectionInfo, cluster: bool) -> Option<Self> {
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Address::Tcp { host: host.clone(), port: *port }
            }
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return None,
        };
        let settings = info.redis_settings();
        Some(Self {
            address,
            user: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            db: settings.db(),
            cluster,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Turns on TLS. If the address has the name in the certificate but is not reachable under it, `real_host` is where to
    /// connect.
    #[cfg(feature = "tls")]
    pub fn use_tls(&mut self, config: rustls::ClientConfig, real_host: Option<&str>) {
        let mut server_name = None;
        if let (Some(real_host), Address::Tcp { host, .. }) = (real_host, &mut self.address) {
            server_name = Some(std::mem::replace(host, real_host.to_owned()));
        }
        self.tls = Some(Tls { config: Arc::new(config), server_name });
    }

    /// Parses the address in a redirection, `host:port`. An empty host means the host that sent it.
    pub(crate) fn redirected(asked: &Address, to: &str) -> Option<Address> {
        let (host, port) = to.rsplit_once(':')?;
        let port = port.parse().ok()?;
        match (host, asked) {
            ("" | "?", Address::Tcp { host, .. }) => Some(Address::Tcp { host: host.clone(), port }),
            ("", Address::Unix(_)) => None,
            (host, _) => Some(Address::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port }),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Endpoint")
            .field("address", &self.address)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
