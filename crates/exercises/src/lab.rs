//! The private servers of a check.

use std::collections::BTreeMap;
use std::time::Duration;

use lab_server::{Choice, Cluster, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use rustix::process::Resource;
use tokio::task::spawn_blocking;

use crate::verdict::{Fault, check_failed};

/// How long a command may take. A check answers within three seconds.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// What a server or a learner's program may take, in bytes, so that one that allocates without end harms nobody else. A fresh server maps far
/// less, and a program needs a few dozen MB.
const MOST_MEMORY: u64 = 1 << 30;

/// Starts servers for a check.
#[derive(Clone, Debug)]
pub struct Lab {
    choice: Choice,
}

/// One private server. Dropping it ends it.
pub struct LabServer {
    server: Server,
}

impl Lab {
    /// Servers of this choice.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self { choice }
    }

    /// An empty server.
    pub async fn server(&self) -> Result<LabServer, Fault> {
        self.server_with(&[]).await
    }

    /// An empty server with these settings.
    pub async fn server_with(&self, settings: &[(&str, &str)]) -> Result<LabServer, Fault> {
        let builder = Server::builder().choice(self.choice.clone());
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value));
        let server =
            spawn_blocking(move || builder.start()).await.map_err(check_failed)?.map_err(check_failed)?;
        limit_memory(Some(server.pid()), Resource::As);
        Ok(LabServer { server })
    }

    /// An empty cluster with one node, which has all slots: the rules of a cluster, and nothing to route.
    pub async fn one_node_cluster(&self) -> Result<Cluster, Fault> {
        let builder = Cluster::builder().primaries(1).choice(self.choice.clone());
        let cluster =
            spawn_blocking(move || builder.start()).await.map_err(check_failed)?.map_err(check_failed)?;
        cluster.nodes().iter().for_each(|node| limit_memory(Some(node.pid()), Resource::As));
        Ok(cluster)
    }
}

impl LabServer {
    /// Its address, for code that opens connections itself.
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        connect(&self.client()).await
    }

    /// How often each command was called since the server started or [`forget_calls`](Self::forget_calls), in small letters.
    /// Calls of scripts count, and so do those of the check.
    pub async fn calls(&self) -> Result<BTreeMap<String, u64>, Fault> {
        let text = self.section("commandstats").await?;
        let calls = |line: &str| {
            let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let calls = fields.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
            Some((name.to_owned(), calls))
        };
        Ok(text.lines().filter_map(calls).collect())
    }

    /// A field of INFO; empty if the server has none of this name.
    pub async fn info(&self, section: &str, field: &str) -> Result<String, Fault> {
        let text = self.section(section).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.unwrap_or_default().trim().to_owned())
    }

    async fn section(&self, of_info: &str) -> Result<String, Fault> {
        Ok(redis::cmd("INFO").arg(of_info).query_async(&mut self.connect().await?).await?)
    }

    /// Begins to count calls anew.
    pub async fn forget_calls(&self) -> Result<(), Fault> {
        Ok(redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut self.connect().await?).await?)
    }
}

/// A connection that does not wait for longer than [`REPLY_TIMEOUT`].
pub async fn connect(client: &Client) -> Result<MultiplexedConnection, Fault> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(REPLY_TIMEOUT));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Waits for a learner's function, at most for [`REPLY_TIMEOUT`].
pub async fn in_time<T>(attempt: impl Future<Output = T>) -> Result<T, Fault> {
    let late = |_| {
        Fault::new(format!(
            "Your function was not done after {} seconds: it waits for something that does not come, or a loop does not end.",
            REPLY_TIMEOUT.as_secs()
        ))
    };
    tokio::time::timeout(REPLY_TIMEOUT, attempt).await.map_err(late)
}

/// Without the limit, a check is as good; only what allocates without end would hurt more.
pub(crate) fn limit_memory(process: Option<u32>, resource: Resource) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Rlimit, prlimit};
        let limit = Rlimit { current: Some(MOST_MEMORY), maximum: Some(MOST_MEMORY) };
        let process = process.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let _ = prlimit(process, resource, limit);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (process, resource, MOST_MEMORY);
}
