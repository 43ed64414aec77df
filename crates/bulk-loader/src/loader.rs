//! How to load, and how a load went.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::journal::Journal;

/// How to load.
#[derive(Clone, Debug)]
pub struct Loader {
    /// Where to.
    pub endpoint: Endpoint,
    /// Connections to a single server, 1 or more; a cluster gets one for each node.
    pub connections: usize,
    /// Where to keep how far the load has come. Without it, a server that loses data stays without them.
    pub journal: Option<Journal>,
    /// Go on where the journal ends instead of at the beginning.
    pub resume: bool,
    /// How long a server may be away, or silent.
    pub retry: Duration,
    /// Set to stop early.
    pub stop: Arc<AtomicBool>,
}

/// How far a load has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records acknowledged, those of an earlier run included.
    pub records: u64,
    /// Records in all.
    pub of: u64,
}

/// How a load went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Records acknowledged in this run.
    pub records: u64,
    /// Records that an earlier run had acknowledged.
    pub resumed_after: u64,
    /// Bytes of all commands sent.
    pub bytes_sent: u64,
    /// Times that there was nothing to do but wait for the server.
    pub waits: u64,
    /// From the first byte sent to the last reply.
    pub time: Duration,
    /// Connections that were lost and made again.
    pub reconnections: u64,
    /// Commands that a node of a cluster sent elsewhere (MOVED, ASK).
    pub redirections: u64,
    /// Records sent again because a server had lost what it acknowledged.
    pub replayed: u64,
}

impl Loader {
    /// A loader for this server: one connection, no journal, a minute of retry.
    #[must_use]
    pub fn to(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            connections: 1,
            journal: None,
            resume: false,
            retry: Duration::from_mins(1),
            stop: Arc::default(),
        }
    }
}
