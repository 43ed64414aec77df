//! One server, and its connections.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::link::Link;

/// Between two attempts to reach a node that is away.
const RETRY: Duration = Duration::from_millis(50);

/// A server that the load writes to.
#[derive(Default)]
pub(crate) struct Node {
    /// Its connections.
    pub links: Vec<Link>,
    /// The connection that is being fed.
    feeding: usize,
    /// Whether it may no longer serve its slots.
    pub doubtful: bool,
    /// Changes when the server starts anew.
    run_id: Option<String>,
    /// Whether it was ever connected.
    known: bool,
    journal_key: Option<String>,
    /// What its journal says.
    mark: u64,
    /// What it may have lost, and has not been sent again.
    replay: Range<u64>,
    away: Option<Away>,
}

struct Away {
    since: Instant,
    next_try: Instant,
}

/// A connection that was set up, and what the server said.
pub(crate) struct Opened {
    pub link: Link,
    /// How long a question and its answer took.
    pub round_trip: Duration,
    pub run_id: Option<String>,
    /// What the journal says.
    pub mark: Option<u64>,
    /// How many records there are, where the source asks.
    pub counted: Option<u64>,
    pub journal_key: Option<String>,
}

impl Node {
    pub(crate) fn take(&mut self, opened: Opened) {
        self.run_id = opened.run_id;
        self.journal_key = opened.journal_key;
        self.known = true;
        self.away = None;
        self.links.push(opened.link);
    }

    /// A server that does not tell whether it started anew is taken for one that did.
    pub(crate) fn may_have_lost(&self, opened: &Opened) -> bool {
        !self.known || opened.run_id.is_none() || opened.run_id != self.run_id
    }

    /// A link that has room for one more command: the last one that had, else the next one.
    pub(crate) fn roomy_link(&mut self, window: usize) -> Option<&mut Link> {
        let links = self.links.len();
        let roomy = |link: &Link| link.in_flight() < window && !link.is_ahead();
        let index = (self.feeding..self.feeding + links)
            .map(|index| index % links)
            .find(|&index| roomy(&self.links[index]))?;
        self.feeding = index;
        self.links.get_mut(index)
    }

    pub(crate) fn replay(&mut self, commands: Range<u64>) {
        self.replay = commands;
    }

    pub(crate) fn next_replay(&self) -> Option<u64> {
        (!self.replay.is_empty()).then_some(self.replay.start)
    }

    /// The next one was sent, or is not this node's.
    pub(crate) fn replayed(&mut self) {
        self.replay.start += 1;
    }

    pub(crate) fn is_replaying(&self) -> bool {
        !self.replay.is_empty()
    }

    /// Whether replies are awaited.
    pub(crate) fn is_waiting(&self) -> bool {
        self.links.iter().any(|link| link.in_flight() > 0)
    }

    /// The journal's key and a link for it, unless the journal already says `mark`.
    pub(crate) fn journal_link(&mut self, mark: u64) -> Option<(&str, &mut Link)> {
        if self.mark == mark {
            return None;
        }
        let key = self.journal_key.as_deref()?;
        let link = self.links.first_mut()?;
        self.mark = mark;
        Some((key, link))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.links.iter().map(|link| link.bytes).sum()
    }

    pub(crate) fn lost(&mut self) {
        let now = Instant::now();
        self.away.get_or_insert(Away { since: now, next_try: now });
        // Whatever the journal said may be lost too.
        self.mark = u64::MAX;
    }

    pub(crate) fn wants_link(&self, connections: usize, now: Instant) -> bool {
        self.links.len() < connections && self.away.as_ref().is_none_or(|away| away.next_try <= now)
    }

    /// How long it has been away.
    pub(crate) fn try_later(&mut self) -> Duration {
        let now = Instant::now();
        let away = self.away.get_or_insert(Away { since: now, next_try: now });
        away.next_try = now + RETRY;
        now - away.since
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open: usize = self.links.iter().map(Link::in_flight).sum();
        formatter
            .debug_struct("Node")
            .field("links", &self.links.len())
            .field("open", &open)
            .finish_non_exhaustive()
    }
}
