//! The private servers of one trial.

use lab_server::{Choice, Cluster, Disk, Error, Proxy, Replicated, Sentinels, Server};

use super::{DOWN_AFTER, Fault, Setting};
use crate::private::with_settings;

/// In kilobytes.
const DISK_SIZE: u32 = 16 * 1_024;

/// The servers of one trial. Dropping it ends them all.
pub enum Group {
    /// One server.
    Single(Box<Single>),
    /// A primary and its replica, without Sentinels.
    ByHand(Box<Chain<Replicated>>),
    /// The same with three Sentinels.
    Watched(Box<Chain<Sentinels>>),
    /// Three primaries with a replica each.
    Cluster(Box<Cluster>),
}

/// One server, and its disk if that can be full. The server ends first.
pub struct Single {
    /// The server.
    pub server: Server,
    /// Its small disk.
    pub disk: Option<Disk>,
}

/// A primary whose replica follows through a proxy and has a replica of its own. So the primary has one replica, which WAIT counts, and
/// the promoted replica has one, too.
pub struct Chain<G> {
    /// The primary and its replica.
    pub group: G,
    /// The replica of the replica.
    pub last: Server,
    /// Between the primary and its replica.
    pub link: Proxy,
}

impl Group {
    /// Starts what this fault needs. Blocks.
    pub fn start(fault: Fault, setting: Setting, choice: Choice) -> Result<Self, Error> {
        let builder = Server::builder().choice(choice.clone()).config("repl-diskless-load", "swapdb");
        let builder = with_settings(builder, setting.config());
        let single = |server| Ok(Self::Single(Box::new(Single { server, disk: None })));
        let last = |replicas: &[Server]| builder.clone().replica_of(&replicas[0]).start();
        match fault {
            Fault::MemoryFull if !setting.has_a_smaller_replica() => single(builder.start()?),
            Fault::Restart => single(builder.start()?),
            Fault::MachineCrash => single(builder.losable_page_cache().start()?),
            Fault::DiskFull | Fault::DiskFullThenKill => {
                let disk = Disk::start(DISK_SIZE)?;
                let server = builder.config("dir", disk.path().to_string_lossy()).start()?;
                Ok(Self::Single(Box::new(Single { server, disk: Some(disk) })))
            }
            Fault::EarlyPromotion | Fault::PlannedSwitch | Fault::MemoryFull => {
                let group = Replicated::start_with(builder.clone(), 1)?;
                let (last, link) = (last(&group.replicas)?, Proxy::in_front_of(&group.primary)?);
                Ok(Self::ByHand(Box::new(Chain { group, last, link })))
            }
            Fault::Kill | Fault::CutThenKill | Fault::Hang => {
                let group = Sentinels::start_with(builder.clone(), 1, 3, 2, DOWN_AFTER)?;
                let (last, link) = (last(&group.data.replicas)?, Proxy::in_front_of(&group.data.primary)?);
                Ok(Self::Watched(Box::new(Chain { group, last, link })))
            }
            Fault::ClusterFailover => {
                let timeout = NODE_TIMEOUT.as_millis().to_string();
                let builder = Cluster::builder()
                    .choice(choice)
                    .replicas_each(1)
                    .config("repl-diskless-load", "swapdb")
                    .config("cluster-node-timeout", timeout);
                let config = setting.config().iter();
                let builder = config.fold(builder, |builder, (key, value)| builder.config(*key, *value));
                builder.start().map(|cluster| Self::Cluster(Box::new(cluster)))
            }
        }
    }

    /// The server that takes the writes at first; of a cluster, the first of the primaries.
    pub fn primary(&mut self) -> &mut Server {
        match self {
            Self::Single(single) => &mut single.server,
            Self::ByHand(chain) => &mut chain.group.primary,
            Self::Watched(chain) => &mut chain.group.data.primary,
            Self::Cluster(cluster) => &mut cluster.nodes_mut()[0],
        }
    }

    /// The replica, and the replica of that, in this order; none of a single server. Of a cluster, the replica of the first primary is
    /// the first.
    pub fn replicas(&self) -> Vec<&Server> {
        match self {
            Self::Single(_) => Vec::new(),
            Self::ByHand(chain) => chain.group.replicas.iter().chain([&chain.last]).collect(),
            Self::Watched(chain) => chain.group.data.replicas.iter().chain([&chain.last]).collect(),
            Self::Cluster(cluster) => cluster.replicas().iter().collect(),
        }
    }

    /// The proxy between the primary and its replica.
    pub fn link(&self) -> Option<&Proxy> {
        match self {
            Self::Single(_) | Self::Cluster(_) => None,
            Self::ByHand(chain) => Some(&chain.link),
            Self::Watched(chain) => Some(&chain.link),
        }
    }

    /// The disk that can be full.
    pub fn disk(&self) -> Option<&Disk> {
        match self {
            Self::Single(single) => single.disk.as_ref(),
            _ => None,
        }
    }
}

/// How long a node of a cluster waits for a reply before it takes another for dead.
const NODE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);
