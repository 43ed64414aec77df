//! Makes connections of each kind, with the settings that [`connection`](crate::connection) describes.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisFuture,
    RedisResult,
};

use crate::args::TargetArgs;
use crate::connection::{CONNECT_TIMEOUT, Connection, LimitedClusterConnection, RESPONSE_TIMEOUT};
use crate::failure::{Endpoint, Failure, explain};

/// One address, and how to connect to it.
pub(crate) struct Dialer {
    client: Client,
    cluster: bool,
    /// A cluster client wants them again for the nodes that it finds.
    #[cfg(feature = "tls")]
    certificates: Option<redis::TlsCertificates>,
    /// Where the name that `--sni` asks for really is.
    real_host: Option<String>,
}

impl Dialer {
    pub(crate) fn new(info: ConnectionInfo, args: &TargetArgs, endpoint: &Endpoint) -> Result<Self, Failure> {
        let (info, real_host) = asking_for(args.sni.as_deref(), info);
        Ok(Self {
            client: Client::open(info).map_err(|error| explain(&error, endpoint))?,
            cluster: args.cluster,
            #[cfg(feature = "tls")]
            certificates: crate::tls::certificates(args)?,
            real_host,
        })
    }

    /// The address and the login; its `Debug` hides the password.
    pub(crate) fn info(&self) -> &ConnectionInfo {
        self.client.get_connection_info()
    }

    /// Where the name that `--sni` asks for really is.
    pub(crate) fn real_host(&self) -> Option<&str> {
        self.real_host.as_deref()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls_config(&self) -> Result<Option<rustls::ClientConfig>, Failure> {
        match self.info().addr() {
            ConnectionAddr::TcpTls { insecure, .. } => {
                crate::tls::client_config(self.certificates.as_ref(), *insecure).map(Some)
            }
            _ => Ok(None),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// To one node, not shared and not repaired.
    pub(crate) async fn single(&self, response: Duration) -> RedisResult<MultiplexedConnection> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response));
        if let Some(host) = &self.real_host {
            config = config.set_dns_resolver(FixedHost(host.clone()));
        }
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// A dedicated connection, which does not reconnect.
    pub(crate) async fn own(&self, response: Duration) -> RedisResult<Connection> {
        if self.cluster {
            return self.to_cluster(response).await;
        }
        Ok(Connection::Single(self.single(response).await?))
    }

    /// The connection that everybody shares.
    pub(crate) async fn shared(&self, first: MultiplexedConnection) -> RedisResult<Connection> {
        if self.cluster {
            return self.to_cluster(RESPONSE_TIMEOUT).await;
        }
        if self.real_host.is_some() {
            // The manager cannot be given a resolver, so a connection with --sni does not repair itself.
            return Ok(Connection::Single(first));
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_max_delay(Duration::from_secs(1));
        Ok(Connection::Managed(ConnectionManager::new_with_config(self.client.clone(), config).await?))
    }

    /// A subscriber, to one node: publications reach all of them.
    pub(crate) async fn pubsub(&self) -> RedisResult<PubSub> {
        if self.real_host.is_some() {
            return Err(RedisError::from((
                ErrorKind::InvalidClientConfig,
                "no subscriber",
                "A subscriber cannot expect another name than its host's, so it cannot be used with --sni"
                    .into(),
            )));
        }
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub());
        connecting
            .await
            .unwrap_or_else(|_| Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))))
    }

    /// A client of its own for each, because redis-rs bounds a command and its repetitions by the timeout that the
    /// client was built with.
    async fn to_cluster(&self, response: Duration) -> RedisResult<Connection> {
        let builder = ClusterClient::builder([self.info().clone()])
            .tcp_settings(self.info().tcp_settings().clone())
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(response)
            // A slot on its way is settled within milliseconds; the library's first pause is longer than a second. The
            // response timeout ends the repetitions. (A base above 1 overflows with this many.)
            .retries(10_000)
            .min_retry_wait(5)
            .retry_wait_formula(200, 1);
        #[cfg(feature = "tls")]
        let builder = match &self.certificates {
            Some(certificates) => builder.certs(certificates.clone()),
            None => builder,
        };
        Ok(Connection::Cluster(LimitedClusterConnection::new(builder.build()?.get_async_connection().await?)))
    }
}

/// redis-rs takes the name to expect in the certificate from the host it connects to. So `--sni` becomes the host,
/// and the real host is kept for the resolver.
fn asking_for(sni: Option<&str>, info: ConnectionInfo) -> (ConnectionInfo, Option<String>) {
    match (sni, info.addr().clone()) {
        (Some(name), ConnectionAddr::TcpTls { host, port, insecure, tls_params }) => {
            let addr = ConnectionAddr::TcpTls { host: name.to_owned(), port, insecure, tls_params };
            (info.set_addr(addr), Some(host))
        }
        _ => (info, None),
    }
}

/// Resolves every name to one host.
struct FixedHost(String);

impl AsyncDNSResolver for FixedHost {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _name: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((self.0.as_str(), port)).await?.collect();
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}
