//! The private servers of one trial.

use lab_server::{Choice, Error, Proxy, Replicated, Sentinels, Server};

use super::{DOWN_AFTER, Fault, Setting};

/// The servers of one trial. Dropping it ends them all.
pub enum Group {
    /// One server.
    Single(Box<Server>),
    /// A primary and its replica, without Sentinels.
    ByHand(Box<Chain<Replicated>>),
    /// The same with three Sentinels.
    Watched(Box<Chain<Sentinels>>),
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
        let builder = Server::builder().choice(choice).config("repl-diskless-load", "swapdb");
        let builder = setting.apply(builder);
        let last = |replicas: &[Server]| builder.clone().replica_of(&replicas[0]).start();
        match fault {
            Fault::Restart => Ok(Self::Single(Box::new(builder.start()?))),
            Fault::MachineCrash => Ok(Self::Single(Box::new(builder.losable_page_cache().start()?))),
            Fault::EarlyPromotion => {
                let group = Replicated::start_with(builder.clone(), 1)?;
                let (last, link) = (last(&group.replicas)?, Proxy::in_front_of(&group.primary)?);
                Ok(Self::ByHand(Box::new(Chain { group, last, link })))
            }
            Fault::Kill | Fault::CutThenKill | Fault::Hang => {
                let group = Sentinels::start_with(builder.clone(), 1, 3, 2, DOWN_AFTER)?;
                let (last, link) = (last(&group.data.replicas)?, Proxy::in_front_of(&group.data.primary)?);
                Ok(Self::Watched(Box::new(Chain { group, last, link })))
            }
        }
    }

    /// The server that takes the writes at first.
    pub fn primary(&mut self) -> &mut Server {
        match self {
            Self::Single(server) => server,
            Self::ByHand(chain) => &mut chain.group.primary,
            Self::Watched(chain) => &mut chain.group.data.primary,
        }
    }

    /// The replica, and the replica of that, in this order; none of a single server.
    pub fn replicas(&self) -> Vec<&Server> {
        match self {
            Self::Single(_) => Vec::new(),
            Self::ByHand(chain) => chain.group.replicas.iter().chain([&chain.last]).collect(),
            Self::Watched(chain) => chain.group.data.replicas.iter().chain([&chain.last]).collect(),
        }
    }

    /// The proxy between the primary and its replica.
    pub fn link(&self) -> Option<&Proxy> {
        match self {
            Self::Single(_) => None,
            Self::ByHand(chain) => Some(&chain.link),
            Self::Watched(chain) => Some(&chain.link),
        }
    }
}
