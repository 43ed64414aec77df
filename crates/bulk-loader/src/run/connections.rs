//! Connects, reconnects, and finds out what a restarted server has lost.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Run, TICK, WIDEST_WINDOW};
use crate::acknowledged::Acknowledged;
use crate::connection::{Connection, ConnectionLost, Request};
use crate::endpoint::Address;
use crate::error::LoadError;
use crate::handshake::{self, HandshakeError, Software};
use crate::journal::Journal;
use crate::node::{Connected, Node};
use crate::source::{Repetition, Source};
use crate::topology::Topology;

/// How long a fast server takes for a command.
const MICROS_PER_COMMAND: u128 = 2;

impl<S: Source + ?Sized> Run<'_, S> {
    /// Finds the nodes, connects to each, and finds out where to start.
    pub(super) fn connect_all(&mut self) -> Result<(), LoadError> {
        let started = Instant::now();
        if self.loader.endpoint.cluster {
            let address = &self.loader.endpoint.address;
            let ask = || Topology::of_cluster(address, &self.loader.endpoint);
            self.topology = self.retry(started, address, ask)?;
        }
        let one_key = self.source.repetition() != Repetition::Idempotent;
        self.counted_slot = one_key.then(|| self.source.slot(0));
        // If the key's slot moved with several commands in flight, the key would get them out of order.
        self.one_at_a_time = one_key && self.topology.is_cluster();
        self.connections_per_node =
            if one_key || self.topology.is_cluster() { 1 } else { self.loader.connections.max(1) };
        let mut starts = Vec::new();
        for node in 0..self.topology.nodes().len() {
            self.add_new_nodes();
            if !self.topology.serves(node) {
                continue;
            }
            for _ in 0..self.connections_per_node {
                let connected =
                    self.retry(started, &self.topology.nodes()[node], || self.connect_to(node))?;
                let counted = connected.counted.map(|records| self.commands_for(records)).transpose()?;
                starts.extend(counted.or(connected.journalled));
                self.widen_window(connected.round_trip);
                self.nodes[node].add(connected);
            }
        }
        if self.loader.resume {
            self.next = starts.into_iter().min().unwrap_or(0).min(self.commands);
            self.acknowledged = Acknowledged::below(self.next);
            self.loaded.resumed_after = self.source.records_before(self.next);
        }
        Ok(())
    }

    /// Tries until it succeeds, fails for good, or takes longer than the longest downtime.
    fn retry<T>(
        &self,
        started: Instant,
        address: &Address,
        mut attempt: impl FnMut() -> Result<T, HandshakeError>,
    ) -> Result<T, LoadError> {
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(HandshakeError::Temporary(_))
                    if started.elapsed() < self.loader.max_downtime
                        && !self.loader.stop.load(Ordering::Relaxed) =>
                {
                    std::thread::sleep(TICK);
                }
                Err(error) => return Err(handshake_failed(address, error, started)),
            }
        }
    }

    /// On a long way, more commands are in flight.
    fn widen_window(&mut self, round_trip: Duration) {
        if !self.source.long_replies() {
            let commands =
                usize::try_from(round_trip.as_micros() / MICROS_PER_COMMAND).unwrap_or(WIDEST_WINDOW);
            self.window = self.window.max(commands.min(WIDEST_WINDOW));
        }
    }

    /// Opens one connection, and reads the journal or counts the records over it.
    fn connect_to(&self, node: usize) -> Result<Connected, HandshakeError> {
        let address = &self.topology.nodes()[node];
        let journal = self.loader.journal.as_ref();
        let journal_key = journal.and_then(|journal| journal.key_on(node, &self.topology));
        let mut questions = Vec::new();
        questions.extend(journal_key.as_deref().map(Journal::read_command));
        if let Repetition::Counted { count, newest } = self.source.repetition()
            && self.counted_slot.is_some_and(|slot| self.topology.owner(slot) == node)
        {
            questions.extend([count, newest]);
        }
        let last = self.nodes.get(node).map(Node::fence).unwrap_or_default();
        let fence = self.counted_slot.map(|_| last);
        let (mut socket, greeting) = handshake::open(address, &self.loader.endpoint, fence, &questions)?;
        if greeting.software != Software::Unknown && greeting.round_trip < self.loader.larger_reads_below {
            socket = handshake::enlarge_reads(socket)?;
        }
        let mut replies = greeting.replies.iter();
        let journalled = journal
            .filter(|_| journal_key.is_some())
            .and_then(|journal| replies.next().map(|reply| journal.parse(reply)));
        let counted = replies.next().map(|reply| integer(reply));
        if let (Some(records), Some(newest)) = (counted, replies.next().map(|reply| number_in_text(reply)))
            && records != newest
        {
            let key = self.source.describe(0);
            return Err(HandshakeError::Conflict(format!(
                "{key} has {records} records, and the newest is number {newest}: some are missing or duplicated"
            )));
        }
        Ok(Connected {
            connection: Connection::new(socket, greeting.software == Software::Valkey)?,
            round_trip: greeting.round_trip,
            run_id: greeting.run_id,
            client_id: greeting.client_id,
            journalled,
            counted,
            journal_key,
        })
    }

    /// How many commands write this many records.
    fn commands_for(&self, records: u64) -> Result<u64, LoadError> {
        let (mut low, mut high) = (0, self.commands);
        while low < high {
            let middle = low.midpoint(high);
            if self.source.records_before(middle) < records { low = middle + 1 } else { high = middle }
        }
        if self.source.records_before(low) == records {
            return Ok(low);
        }
        Err(LoadError::Conflict(format!(
            "{} has {records} records, but no number of this load's commands writes that many: another client writes to it",
            self.source.describe(0)
        )))
    }

    /// Handles a broken connection. Its requests in flight are sent again.
    pub(super) fn connection_lost(
        &mut self,
        node: usize,
        index: usize,
        lost: &ConnectionLost,
    ) -> Result<(), LoadError> {
        let address = || self.topology.nodes()[node].to_string();
        if let ConnectionLost::NotRedis = lost {
            return Err(LoadError::NotRedis { address: address() });
        }
        let connection = self.nodes[node].connections.remove(index);
        self.loaded.bytes_sent += connection.bytes_sent;
        self.loaded.reconnections += 1;
        let unanswered = connection.into_unanswered().into_iter();
        self.resend
            .extend(unanswered.filter(|request| matches!(request, Request::Command(_) | Request::Replay(_))));
        let waited = self.nodes[node].connection_lost();
        if waited > self.loader.max_downtime {
            let why = "it closes every connection".into();
            return Err(LoadError::Unreachable { address: address(), why, waited });
        }
        if self.counted_slot.is_some() {
            self.drop_connections();
        }
        Ok(())
    }

    /// Drops all connections, so that the records of the one key are counted before anything else is sent.
    pub(super) fn drop_connections(&mut self) {
        for node in &mut self.nodes {
            self.loaded.bytes_sent += node.bytes_sent();
            node.connections.clear();
        }
        self.resend.clear();
        self.asked.clear();
    }

    /// Opens missing connections where it is time to try.
    pub(super) fn reconnect(&mut self, now: Instant) -> Result<(), LoadError> {
        let waiting = !self.resend.is_empty()
            || !self.asked.is_empty()
            || self.nodes.iter().any(Node::has_requests_in_flight);
        if waiting && now - self.last_executed > self.loader.max_downtime {
            return Err(self.silent(now));
        }
        for node in 0..self.nodes.len() {
            let is_needed = self.topology.serves(node) || self.asked.iter().any(|(asked, _)| *asked == node);
            if !is_needed || !self.nodes[node].should_connect(self.connections_per_node, now) {
                continue;
            }
            match self.connect_to(node) {
                Ok(connected) => self.reconnected(node, connected)?,
                Err(HandshakeError::Temporary(why)) => {
                    let waited = self.nodes[node].connect_failed();
                    if waited > self.loader.max_downtime {
                        let address = self.topology.nodes()[node].to_string();
                        return Err(LoadError::Unreachable { address, why, waited });
                    }
                    self.nodes[node].check_slots = true;
                }
                Err(error) => return Err(handshake_failed(&self.topology.nodes()[node], error, now)),
            }
        }
        self.check_slots();
        Ok(())
    }

    fn silent(&self, now: Instant) -> LoadError {
        let node = self.nodes.iter().position(Node::has_requests_in_flight).unwrap_or(0);
        LoadError::Unreachable {
            address: self.topology.nodes()[node].to_string(),
            why: self.last_error.clone().unwrap_or_else(|| "it does not answer".into()),
            waited: now - self.last_executed,
        }
    }

    /// Takes a new connection to an old or new node. A restarted server may have lost what it acknowledged.
    fn reconnected(&mut self, node: usize, connected: Connected) -> Result<(), LoadError> {
        if let Some(records) = connected.counted {
            self.next = self.commands_for(records)?;
            self.acknowledged = Acknowledged::below(self.next);
            // This includes commands whose replies were lost with the connection.
            self.loaded.resumed_after = self.loaded.resumed_after.min(records);
            self.loaded.records = records.saturating_sub(self.loaded.resumed_after);
            self.resend.clear();
            self.asked.clear();
        } else if self.counted_slot.is_none()
            && self.loader.journal.is_some()
            && self.nodes[node].may_have_lost_data(&connected)
        {
            // The node's journal does not cover the keys of slots that moved to it.
            let imported = self.nodes[node].was_connected() && self.nodes[node].imported_slots;
            let journalled = if imported { 0 } else { connected.journalled.unwrap_or(0) };
            let from = if self.replay.is_empty() { journalled } else { journalled.min(self.replay.start) };
            self.replay = from..self.next;
        }
        self.nodes[node].add(connected);
        Ok(())
    }

    /// Asks the cluster who owns which slot if a node does not answer or no longer serves its slots.
    fn check_slots(&mut self) {
        if !self.topology.is_cluster() || !self.nodes.iter().any(|node| node.check_slots) {
            return;
        }
        for node in &mut self.nodes {
            node.check_slots = false;
        }
        let up = (0..self.nodes.len()).filter(|&node| !self.nodes[node].connections.is_empty());
        let addresses: Vec<Address> = up.map(|node| self.topology.nodes()[node].clone()).collect();
        // One answer is enough. If there is none, the next failure asks again.
        let _ = addresses.iter().any(|address| self.topology.refresh(address, &self.loader.endpoint).is_ok());
        self.add_new_nodes();
    }

    pub(super) fn add_new_nodes(&mut self) {
        self.nodes.resize_with(self.topology.nodes().len(), Node::default);
        for node in self.topology.take_importers() {
            self.nodes[node].imported_slots = true;
        }
    }
}

fn handshake_failed(address: &Address, error: HandshakeError, started: Instant) -> LoadError {
    let address = address.to_string();
    match error {
        HandshakeError::Refused(error) => LoadError::Refused { address, error },
        HandshakeError::Conflict(why) => LoadError::Conflict(why),
        HandshakeError::Temporary(why) => LoadError::Unreachable { address, why, waited: started.elapsed() },
    }
}

/// The number in an integer reply, or 0.
fn integer(reply: &[u8]) -> u64 {
    let digits = reply.strip_prefix(b":").unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|text| text.trim_end().parse().ok()).unwrap_or(0)
}

/// The number in a bulk string reply, or 0.
fn number_in_text(reply: &[u8]) -> u64 {
    String::from_utf8_lossy(reply).lines().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}
