//! One server, and its connections.

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
    /// Whether it was given slots meanwhile, with keys that its journal knows nothing of.
    pub gained: bool,
    /// The server's number of the connection, so that it can be ended for certain.
    client_id: Option<u64>,
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
    pub client_id: Option<u64>,
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
        self.client_id = opened.client_id;
        self.known = true;
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

    /// A connection was lost: the first time it is made again at once. How long the server has been away in all.
    pub(crate) fn lost(&mut self) -> Duration {
        let now = Instant::now();
        let away = match self.away.take() {
            None => Away { since: now, next_try: now },
            Some(away) => Away { next_try: now + RETRY, ..away },
        };
        let since = away.since;
        self.away = Some(away);
        // Whatever the journal said may be lost too.
        self.mark = u64::MAX;
        now - since
    }

    /// It executes commands.
    pub(crate) fn is_back(&mut self) {
        self.away = None;
    }

    /// Whether it cannot be reached now.
    pub(crate) fn is_away(&self) -> bool {
        self.away.is_some() && self.links.is_empty()
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    pub(crate) fn client_id(&self) -> Option<u64> {
        self.client_id
    }

    /// The journal's key, when the slot of the old one has moved.
    pub(crate) fn keep_journal_at(&mut self, key: Option<String>) {
        self.journal_key = key;
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
