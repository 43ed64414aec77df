//! What a way of answering needs from a server, and what stands in its way.

use lab_connection::Target;
use lab_runner::Approach;

use super::users::Users;

/// A way to answer a question about the users. All ways of one question give the same answer.
pub trait Way: Approach<Input = Users> + 'static {
    /// All ways, the naive one first.
    const ALL: &'static [Self];

    /// Why this server cannot, or must not, be asked this way; none if it can.
    fn obstacle(self, server: Able) -> Option<Obstacle>;

    /// The ways that this server allows.
    fn open_to(server: Able) -> Vec<Self> {
        Self::ALL.iter().copied().filter(|way| way.obstacle(server).is_none()).collect()
    }
}

/// What stands in the way of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The server is shared with others, and KEYS would stop them all.
    Shared,
    /// The keys lie in several slots of a cluster.
    Slots(&'static str),
    /// The server has no such command; who has it.
    Missing(&'static str, &'static str),
    /// The server has search, but would not build an index.
    NoIndex,
}

impl Obstacle {
    /// One sentence for the learner, without the name of the way.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Shared => {
                "KEYS stops every other client while it looks at every key; it is sent only to a private server".into()
            }
            Self::Slots(why) => why.into(),
            Self::Missing(command, available_in) => format!("this server has no {command}; to see it, use {available_in}"),
            Self::NoIndex => "this server has search but refused to build the index".into(),
        }
    }
}

/// What a server is and can do, as far as the ways care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Able {
    /// Started by this run, so that nobody else waits for it.
    pub private: bool,
    /// Keys are spread over slots.
    pub cluster: bool,
    /// Has SINTERCARD, since Redis 7.0.
    pub sintercard: bool,
    /// Whether the users are indexed by FT.CREATE.
    pub search: Search,
}

/// Whether FT.SEARCH can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// The server has no such command.
    #[default]
    Missing,
    /// It has, but there is no index.
    Refused,
    /// The index is complete.
    Ready,
}

impl Able {
    /// Asks the server; without a search index, which is still to be built.
    pub async fn of(target: &Target) -> Self {
        Self {
            private: target.private().is_some(),
            cluster: target.is_cluster(),
            sintercard: target.can("SINTERCARD").await,
            search: Search::Missing,
        }
    }

    pub(super) fn needs_one_node(self, why: &'static str) -> Option<Obstacle> {
        self.cluster.then_some(Obstacle::Slots(why))
    }

    pub(super) fn needs_search(self, command: &'static str) -> Option<Obstacle> {
        match self.search {
            Search::Ready => None,
            Search::Refused => Some(Obstacle::NoIndex),
            Search::Missing => Some(Obstacle::Missing(command, "--server redis-8.2-modules")),
        }
    }
}
