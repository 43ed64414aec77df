//! A server opened to be looked at: nothing is written, no marker is set, and other people's data is no reason to stop.

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ConnectionInfo, RedisError};

use crate::address::{Address, PrivateServer, is_near};
use crate::args::TargetArgs;
use crate::connection::RESPONSE_TIMEOUT;
use crate::dialer::Dialer;
use crate::failure::{Endpoint, Failure, explain, explain_connecting};
use crate::target::endpoint;

/// Where a server is, and how to connect to it. It may be down.
pub struct ReadOnlyAddress {
    args: TargetArgs,
    info: ConnectionInfo,
    dialer: Dialer,
    endpoint: Endpoint,
    private: Option<PrivateServer>,
}

/// A server that accepted a connection. The caller promises to send only commands that read. It can be anything that speaks the
/// protocol: a server, a replica, a node of a cluster, or a Sentinel.
pub struct ReadOnlyTarget {
    address: ReadOnlyAddress,
    first: MultiplexedConnection,
}

impl TargetArgs {
    /// Finds the server without connecting. The number of a database in the flags has no effect.
    pub async fn find_read_only(&self) -> Result<ReadOnlyAddress, Failure> {
        let Address { info, private, .. } = Address::find_in_background(self).await?;
        // All databases are looked at, and a Sentinel has none to select.
        let login = info.redis_settings().clone().set_db(0);
        let info = info.set_redis_settings(login);
        let endpoint = endpoint(&info, self, private.is_some());
        let dialer = Dialer::new(info.clone(), self, &endpoint)?;
        Ok(ReadOnlyAddress { args: self.clone(), info, dialer, endpoint, private })
    }

    /// Finds the server and connects. It sends the login and nothing else.
    pub async fn open_read_only(&self) -> Result<ReadOnlyTarget, Failure> {
        let address = self.find_read_only().await?;
        let first = address.connect().await?;
        Ok(ReadOnlyTarget { address, first })
    }
}

impl ReadOnlyAddress {
    /// Connects. It sends the login and nothing else.
    pub async fn connect(&self) -> Result<MultiplexedConnection, Failure> {
        match self.dialer.single(RESPONSE_TIMEOUT).await {
            Ok(connection) => Ok(connection),
            Err(error) => Err(explain_connecting(&error, &self.endpoint).await),
        }
    }

    /// What an error of one of these connections means.
    #[must_use]
    pub fn explain(&self, error: &RedisError) -> Failure {
        explain(error, &self.endpoint)
    }

    /// Host and port, or the path of a socket. Never a password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.endpoint.address
    }
}

impl ReadOnlyTarget {
    /// The connection to the server that was named. Clones share its socket.
    #[must_use]
    pub fn connection(&self) -> MultiplexedConnection {
        self.first.clone()
    }

    /// A connection to another server of the same group, with the same login and the same TLS settings.
    pub async fn node(&self, host: &str, port: u16) -> Result<MultiplexedConnection, Failure> {
        let host = host.to_owned();
        let ReadOnlyAddress { args, info, private, .. } = &self.address;
        let info = info.clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        let info = info.set_addr(addr);
        let args = TargetArgs { sni: None, ..args.clone() };
        let endpoint = endpoint(&info, &args, private.is_some());
        let dialer = Dialer::new(info, &args, &endpoint)?;
        dialer.single(RESPONSE_TIMEOUT).await.map_err(|error| explain(&error, &endpoint))
    }

    /// Host and port, or the path of a socket. Never a password.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.address()
    }

    /// Whether the login has a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.address.info.redis_settings().password().is_some()
    }

    /// Whether the connection uses TLS.
    #[must_use]
    pub fn uses_tls(&self) -> bool {
        self.address.endpoint.tls
    }

    /// Whether the address is one of this machine: a loopback address or a socket.
    #[must_use]
    pub fn is_near(&self) -> bool {
        is_near(&self.address.info)
    }

    /// Whether it is a private server that was started for this run.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.address.private.is_some()
    }
}
