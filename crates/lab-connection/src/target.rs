//! An opened server, and the connections it hands out.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::PubSub;
use redis::{ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisError, RedisResult};

use crate::address::{Address, Origin, PrivateServer, host_and_port_of, is_near};
use crate::args::TargetArgs;
use crate::capabilities::Capabilities;
use crate::connection::{Connection, RESPONSE_TIMEOUT};
use crate::dialer::Dialer;
use crate::failure::{Class, Endpoint, Failure, explain, explain_connecting};
use crate::guard;
use crate::server_info::{ServerInfo, UNKNOWN_VERSION};

/// A server that answered and whose data is ours to write. Clones share it; a private server ends with the last.
#[derive(Clone)]
pub struct Target {
    inner: Arc<Inner>,
}

struct Inner {
    dialer: Dialer,
    shared: Connection,
    info: ServerInfo,
    capabilities: Capabilities,
    endpoint: Endpoint,
    prefix: String,
    origin: Origin,
    // Last, so that the connections are closed before the server ends.
    private: Option<PrivateServer>,
}

impl TargetArgs {
    /// Finds the server, connects, and makes sure that its data is ours to write.
    pub async fn open(&self) -> Result<Target, Failure> {
        Target::open(self).await
    }
}

impl Target {
    /// Finds the server the flags mean, connects, and refuses a database that holds other people's data.
    pub async fn open(args: &TargetArgs) -> Result<Self, Failure> {
        let Address { info, origin, private } = Address::find_in_background(args).await?;
        let endpoint = endpoint(&info, args, private.is_some());
        let dialer = Dialer::new(info, args, &endpoint)?;

        // The first connection does not retry, so a wrong address is reported at once.
        let mut first = match dialer.single(RESPONSE_TIMEOUT).await {
            Ok(connection) => connection,
            Err(error) => return Err(explain_connecting(&error, &endpoint).await),
        };
        let server = ServerInfo::ask(&mut first).await.map_err(|error| explain(&error, &endpoint))?;
        agree_on_cluster(&server, args, &endpoint)?;
        let mut shared = dialer.shared(first).await.map_err(|error| explain(&error, &endpoint))?;

        let prefix = args.prefix.clone().unwrap_or_default();
        let ours =
            guard::may_write(&mut shared, &prefix).await.map_err(|error| explain(&error, &endpoint))?;
        if !ours {
            return Err(guard::refusal(&endpoint.address, dialer.info().redis_settings().db(), &prefix));
        }
        let capabilities = Capabilities::default();
        let inner = Inner { dialer, shared, info: server, capabilities, endpoint, prefix, origin, private };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The shared connection: reconnects by itself, pipelines the commands of all its clones.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.inner.shared.clone()
    }

    /// Writes the marker of our data again, which a server that evicts keys may have removed.
    pub async fn mark_as_ours(&self) -> RedisResult<()> {
        guard::mark(&mut self.connection(), self.prefix()).await
    }

    /// A dedicated connection: for WATCH, transactions in steps, and clients that must not share a socket.
    pub async fn dedicated(&self) -> RedisResult<Connection> {
        self.inner.dialer.own(RESPONSE_TIMEOUT).await
    }

    /// A dedicated connection for commands that block up to `wait`, such as BLPOP. It answers no later than
    /// that and the usual time for a response.
    pub async fn blocking(&self, wait: Duration) -> RedisResult<Connection> {
        self.inner.dialer.own(wait + RESPONSE_TIMEOUT).await
    }

    /// A subscriber. In a cluster any node will do: publications reach all of them.
    pub async fn pubsub(&self) -> RedisResult<PubSub> {
        self.inner.dialer.pubsub().await
    }

    /// Whether the server knows this command. A server that refuses to tell counts as one that does not.
    pub async fn can(&self, command: &str) -> bool {
        self.missing(&[command]).await.is_ok_and(|missing| missing.is_empty())
    }

    /// Those of `commands` that the server lacks.
    pub async fn missing<'a>(&self, commands: &[&'a str]) -> RedisResult<Vec<&'a str>> {
        self.inner.capabilities.missing(commands, &mut self.connection()).await
    }

    /// The address and the login, for a client that is not redis-rs. Its `Debug` hides the password, nothing else does.
    #[must_use]
    pub fn connection_info(&self) -> &ConnectionInfo {
        self.inner.dialer.info()
    }

    /// Authorities and client certificate of a TLS connection, in rustls's terms; none when it is not one.
    #[cfg(feature = "tls")]
    pub fn tls_config(&self) -> Result<Option<rustls::ClientConfig>, Failure> {
        self.inner.dialer.tls_config()
    }

    /// The name that `--sni` expects in the server's certificate, and the host it is really at.
    #[must_use]
    pub fn real_host(&self) -> Option<&str> {
        self.inner.dialer.real_host()
    }

    /// Who is answering.
    #[must_use]
    pub fn info(&self) -> &ServerInfo {
        &self.inner.info
    }

    /// What stands in front of every key; empty unless `--prefix` was given.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// True when the keys are spread over the slots of a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.inner.dialer.is_cluster()
    }

    /// The private server, when this run started one.
    #[must_use]
    pub fn private(&self) -> Option<&PrivateServer> {
        self.inner.private.as_ref()
    }

    /// Where the server is: host and port or socket path, never a password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.endpoint.address
    }

    /// How bytes get there, for the foot of a table: "TCP, nodelay, RESP2".
    #[must_use]
    pub fn transport(&self) -> &'static str {
        let info = self.inner.dialer.info();
        let resp3 = info.redis_settings().protocol() == ProtocolVersion::RESP3;
        match (info.addr(), resp3) {
            (ConnectionAddr::Unix(_), false) => "unix socket, RESP2",
            (ConnectionAddr::Unix(_), true) => "unix socket, RESP3",
            (ConnectionAddr::TcpTls { .. }, false) => "TLS, nodelay, RESP2",
            (ConnectionAddr::TcpTls { .. }, true) => "TLS, nodelay, RESP3",
            (_, false) => "TCP, nodelay, RESP2",
            (_, true) => "TCP, nodelay, RESP3",
        }
    }

    /// Whether the server is on this machine, so that no network stands between.
    #[must_use]
    pub fn is_near(&self) -> bool {
        is_near(self.inner.dialer.info())
    }

    /// The database number.
    #[must_use]
    pub fn db(&self) -> i64 {
        self.inner.dialer.info().redis_settings().db()
    }

    /// One line: which server was taken, why, its version, and whether it is ours.
    #[must_use]
    pub fn describe(&self) -> String {
        let ServerInfo { name, version, .. } = self.info();
        let shape = if self.is_cluster() { " cluster" } else { "" };
        let from = match (self.inner.origin, self.private()) {
            (_, Some(PrivateServer::Single(server))) => {
                format!("private, {}; gone when this ends", server.program().describe())
            }
            (_, Some(PrivateServer::Cluster(_))) => "private, three primaries; gone when this ends".into(),
            (Origin::Environment, _) => "yours, from REDIS_URL".into(),
            (Origin::Listening, _) => "yours, found listening".into(),
            _ => "yours".into(),
        };
        let db = if self.db() == 0 { String::new() } else { format!(", database {}", self.db()) };
        let prefix =
            if self.prefix().is_empty() { String::new() } else { format!(", prefix {}", self.prefix()) };
        format!("{name} {version}{shape} at {}{db}{prefix} ({from})", self.address())
    }

    /// What this error means on this server, and what to do next.
    #[must_use]
    pub fn explain(&self, error: &RedisError) -> Failure {
        explain(error, &self.inner.endpoint)
    }
}

pub(crate) fn endpoint(info: &ConnectionInfo, args: &TargetArgs, private: bool) -> Endpoint {
    Endpoint {
        address: host_and_port_of(info),
        tls: matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
        user: info.redis_settings().username().map(str::to_owned),
        cluster: args.cluster,
        private,
    }
}

/// A node of a cluster without `--cluster` would answer MOVED half-way through; a lone server with it, an error
/// about slots. Better said before anything is written.
fn agree_on_cluster(server: &ServerInfo, args: &TargetArgs, endpoint: &Endpoint) -> Result<(), Failure> {
    if server.version == UNKNOWN_VERSION {
        return Ok(());
    }
    match (server.cluster, args.cluster) {
        (true, false) => Err(Failure::new(
            Class::Moved,
            format!("{} is a node of a cluster.", endpoint.address),
            "Keys live on several nodes there, and a plain connection sees only those of one.",
        )
        .try_next("add --cluster")),
        (false, true) => Err(Failure::new(
            Class::NotCluster,
            format!("{} is not a node of a cluster.", endpoint.address),
            "It answers as a single server.",
        )
        .try_next("leave --cluster out")
        .try_next("leave the address out: --cluster alone starts a private cluster of three primaries")),
        _ => Ok(()),
    }
}
