//! A server and its connections.

use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::handshake::Fence;

/// The pause between two attempts to reach a node that is down.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A server that the load writes to.
#[derive(Default)]
pub(crate) struct Node {
    pub connections: Vec<Connection>,
    /// The index of the connection that gets the next command.
    current: usize,
    /// Whether to ask the cluster which slots this node still serves.
    pub check_slots: bool,
    /// Whether slots moved to this node during the load. Its journal does not cover their keys.
    pub imported_slots: bool,
    run_id: Option<String>,
    was_connected: bool,
    journal_key: Option<String>,
    /// What the journal on the server says.
    journalled: u64,
    /// The server's ID of the connection, to kill it before another one replaces it.
    client_id: Option<u64>,
    outage: Option<Outage>,
}

struct Outage {
    since: Instant,
    next_try: Instant,
}

/// A new connection, and what the server said in the handshake.
pub(crate) struct Connected {
    pub connection: Connection,
    pub round_trip: Duration,
    pub run_id: Option<String>,
    pub client_id: Option<u64>,
    /// The acknowledged commands in the journal.
    pub journalled: Option<u64>,
    /// How many records the server has, if the source counts them.
    pub counted: Option<u64>,
    pub journal_key: Option<String>,
}

impl Node {
    pub(crate) fn add(&mut self, connected: Connected) {
        self.run_id = connected.run_id;
        self.journal_key = connected.journal_key;
        self.client_id = connected.client_id;
        self.was_connected = true;
        self.connections.push(connected.connection);
    }

    /// A server that restarted may have lost data. So may one that does not tell its run ID.
    pub(crate) fn may_have_lost_data(&self, connected: &Connected) -> bool {
        !self.was_connected || connected.run_id.is_none() || connected.run_id != self.run_id
    }

    pub(crate) fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// Between this node's last connection and the next one.
    pub(crate) fn fence(&self) -> Fence<'_> {
        Fence { previous: self.client_id, run_id: self.run_id.as_deref() }
    }

    /// A connection with room for one more command: the current one, or the next one that has room.
    pub(crate) fn connection_with_room(&mut self, window: usize) -> Option<&mut Connection> {
        let count = self.connections.len();
        let index = (self.current..self.current + count)
            .map(|index| index % count)
            .find(|&index| self.connections[index].has_room(window))?;
        self.current = index;
        self.connections.get_mut(index)
    }

    pub(crate) fn has_requests_in_flight(&self) -> bool {
        self.connections.iter().any(|connection| connection.in_flight() > 0)
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.connections.iter().map(|connection| connection.bytes_sent).sum()
    }

    /// The journal's key and a connection to write it, unless the journal already says `acknowledged`.
    pub(crate) fn update_journal(&mut self, acknowledged: u64) -> Option<(&str, &mut Connection)> {
        if self.journalled == acknowledged {
            return None;
        }
        let key = self.journal_key.as_deref()?;
        let connection = self.connections.first_mut()?;
        self.journalled = acknowledged;
        Some((key, connection))
    }

    /// Uses another key, because the slot of the old one moved away.
    pub(crate) fn set_journal_key(&mut self, key: Option<String>) {
        self.journal_key = key;
        self.journalled = u64::MAX;
    }

    /// Records a broken connection. The first reconnection happens at once. Returns how long the server has been down.
    pub(crate) fn connection_lost(&mut self) -> Duration {
        let now = Instant::now();
        let outage = match self.outage.take() {
            None => Outage { since: now, next_try: now },
            Some(outage) => Outage { next_try: now + RETRY_PAUSE, ..outage },
        };
        let since = outage.since;
        self.outage = Some(outage);
        // The last write of the journal may be lost, too.
        self.journalled = u64::MAX;
        now - since
    }

    /// Records a failed attempt to connect. Returns how long the server has been down.
    pub(crate) fn connect_failed(&mut self) -> Duration {
        let now = Instant::now();
        let outage = self.outage.get_or_insert(Outage { since: now, next_try: now });
        outage.next_try = now + RETRY_PAUSE;
        now - outage.since
    }

    /// Records that the server executes commands.
    pub(crate) fn recovered(&mut self) {
        self.outage = None;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.outage.is_some() && self.connections.is_empty()
    }

    /// Whether a connection is missing and it is time to try.
    pub(crate) fn should_connect(&self, connections: usize, now: Instant) -> bool {
        self.connections.len() < connections
            && self.outage.as_ref().is_none_or(|outage| outage.next_try <= now)
    }
}
