//! A Redis Cluster of private servers, formed without `redis-cli`.

mod bootstrap;
mod formation;
mod resharding;

use std::thread;

use crate::{Builder, Choice, Error, Program, Server};
use bootstrap::Bootstrap;

/// The defaults of a cluster that is formed. While it forms, it has other values.
const NODE_TIMEOUT: (&str, &str) = ("cluster-node-timeout", "5000");
const FULL_COVERAGE: (&str, &str) = ("cluster-require-full-coverage", "yes");
/// While a cluster forms, its node timeout is so short that a replica would take over from a primary that pauses for a second.
const REPLICA_NO_FAILOVER: (&str, &str) = ("cluster-replica-no-failover", "no");

/// A cluster whose nodes all agree that every slot is served. Dropping it ends every node.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    primaries: usize,
}

impl Cluster {
    /// A cluster of `primaries` primaries (1 to 1000) without replicas, with the program that the environment chooses.
    pub fn start(primaries: usize) -> Result<Self, Error> {
        Self::builder().primaries(primaries).start()
    }

    /// A cluster with your own settings. By default, three primaries without replicas.
    #[must_use]
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::of(Server::builder())
    }

    /// The URL of every node, primaries first. Each holds the password.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// Every node: first the primaries in the order of their slots, then the replicas.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Every node, to kill and restart it.
    pub fn nodes_mut(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// The nodes that were started as primaries.
    #[must_use]
    pub fn primaries(&self) -> &[Server] {
        &self.nodes[..self.primaries]
    }

    /// The nodes that were started as replicas: the first of each primary, then the second of each.
    #[must_use]
    pub fn replicas(&self) -> &[Server] {
        &self.nodes[self.primaries..]
    }

    /// The password of every node; empty if there is none.
    #[must_use]
    pub fn password(&self) -> &str {
        self.nodes.first().map_or("", Server::password)
    }
}

/// Settings of a cluster; made by [`Cluster::builder`], or of those of a server.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    node: Builder,
    primaries: usize,
    replicas_each: usize,
}

impl ClusterBuilder {
    /// Three primaries without replicas. Every node has the settings of `node`. The bus, replication, and slots that move use its
    /// certificates, too.
    #[must_use]
    pub fn of(node: Builder) -> Self {
        Self { node, primaries: 3, replicas_each: 0 }
    }

    /// How many primaries share the slots: 1 to 1000, three by default.
    #[must_use]
    pub fn primaries(mut self, primaries: usize) -> Self {
        self.primaries = primaries.clamp(1, 1000);
        self
    }

    /// How many replicas each primary has; none by default. Each is its own process.
    #[must_use]
    pub fn replicas_each(mut self, replicas: usize) -> Self {
        self.replicas_each = replicas;
        self
    }

    /// Which program every node runs. Without it [`Choice::from_env`] decides.
    #[must_use]
    pub fn choice(mut self, choice: Choice) -> Self {
        self.node = self.node.choice(choice);
        self
    }

    /// Adds one line to the configuration of every node, see [`Builder::config`].
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.node = self.node.config(key, value);
        self
    }

    /// Starts the nodes, joins them, and returns when every node sees every slot served and every replica in sync.
    pub fn start(self) -> Result<Cluster, Error> {
        let nodes = self.start_nodes(&self.node.prepare()?)?;
        let cluster = Cluster { nodes, primaries: self.primaries };
        formation::join(&cluster)?;
        self.restore(&cluster, NODE_TIMEOUT)?;
        self.restore(&cluster, FULL_COVERAGE)?;
        formation::wait_until_ok(&cluster)?;
        self.restore(&cluster, REPLICA_NO_FAILOVER)?;
        Ok(cluster)
    }

    /// Sets a temporarily changed setting to the requested value, or to the default.
    fn restore(&self, cluster: &Cluster, (key, default): (&str, &str)) -> Result<(), Error> {
        let value = self.node.setting(key).unwrap_or(default);
        cluster.nodes.iter().try_for_each(|node| node.set_config(key, value))
    }

    /// Starts all nodes at once. They do not know each other yet.
    fn start_nodes(&self, program: &Program) -> Result<Vec<Server>, Error> {
        // The settings at the end are those that forming the cluster depends on. The requested values are set when it is formed.
        let node = self
            .node
            .clone()
            .with_one_password()
            .config(NODE_TIMEOUT.0, formation::NODE_TIMEOUT)
            .config(FULL_COVERAGE.0, "no")
            .config(REPLICA_NO_FAILOVER.0, "yes");
        let count = self.primaries * (1 + self.replicas_each);
        thread::scope(|scope| {
            let starting: Vec<_> = (0..count)
                .map(|index| {
                    let bootstrap =
                        (index < self.primaries).then(|| Bootstrap::of_primary(index, self.primaries));
                    let nodes_conf = bootstrap.map(|bootstrap| bootstrap.nodes_conf(program.version()));
                    let builder = node.clone().cluster_node(nodes_conf.unwrap_or_default());
                    scope.spawn(|| builder.start_program(program.clone()))
                })
                .collect();
            starting
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }
}
