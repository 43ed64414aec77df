//! The settings of a load, and its result.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::journal::Journal;

/// The settings of a load.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The server, or one node of the cluster.
    pub endpoint: Endpoint,
    /// Connections to a single server, at least 1. A cluster gets one connection per node.
    pub connections: usize,
    /// Where to store how far the load got. Without a journal, records that a server loses are not sent again.
    pub journal: Option<Journal>,
    /// Start where the journal ends instead of at the first command.
    pub resume: bool,
    /// How long a server may be down or silent before the load gives up.
    pub max_downtime: Duration,
    /// A server with a shorter round trip than this is made to read more at a time. For one further away, the network is the limit, and
    /// the 256 kB that it takes to ask would only delay the first command.
    pub larger_reads_below: Duration,
    /// Set this to stop early.
    pub stop: Arc<AtomicBool>,
}

/// How far a load got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records acknowledged, including those of an earlier run.
    pub records: u64,
    /// All records of the load.
    pub total: u64,
}

/// The result of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Records acknowledged in this run.
    pub records: u64,
    /// Records that an earlier run had acknowledged.
    pub resumed_after: u64,
    /// Bytes of all commands sent.
    pub bytes_sent: u64,
    /// How often the load had nothing to do but wait for the server.
    pub waits: u64,
    /// From the first byte sent to the last reply.
    pub time: Duration,
    /// Connections that broke and were opened again.
    pub reconnections: u64,
    /// Commands that a cluster node redirected (MOVED, ASK).
    pub redirections: u64,
    /// Records sent again because a server had lost them after it acknowledged them.
    pub replayed: u64,
}

impl Loader {
    /// One connection, no journal, and up to a minute of downtime.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            connections: 1,
            journal: None,
            resume: false,
            max_downtime: Duration::from_mins(1),
            larger_reads_below: Duration::from_millis(5),
            stop: Arc::default(),
        }
    }
}
