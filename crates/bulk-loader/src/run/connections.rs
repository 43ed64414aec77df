//! Makes connections, and makes them again; finds out what a server that started anew has lost.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{COMMAND_MICROS, Run, TICK, WIDEST_WINDOW};
use crate::endpoint::Address;
use crate::error::LoadError;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::link::{Link, Lost, Sent};
use crate::node::{Node, Opened};
use crate::setup::{self, Fence, SetupError, Software};
use crate::source::{Repetition, Source};
use crate::topology::Topology;

/// A server further away than this has time enough between two commands.
const NEAR: Duration = Duration::from_millis(5);

impl<S: Source> Run<'_, S> {
    /// Finds the nodes, connects to each, and finds out where to go on.
    pub(super) fn begin(&mut self) -> Result<(), LoadError> {
        let begun = Instant::now();
        if self.loader.endpoint.cluster {
            let address = &self.loader.endpoint.address;
            self.topology =
                self.patiently(begun, address, || Topology::ask(address, &self.loader.endpoint))?;
        }
        let one_key = self.source.repetition() != Repetition::Harmless;
        // A key whose slot moves while commands are on their way would get them in another order.
        self.strict = one_key && self.topology.is_cluster();
        self.counted_slot = one_key.then(|| self.source.slot(0));
        self.connections =
            if one_key || self.topology.is_cluster() { 1 } else { self.loader.connections.max(1) };
        let mut marks = Vec::new();
        for node in 0..self.topology.nodes().len() {
            self.adopt_new_nodes();
            if !self.topology.serves(node) {
                continue;
            }
            for _ in 0..self.connections {
                let address = &self.topology.nodes()[node];
                let opened = self.patiently(begun, address, || self.open(node))?;
                let counted = opened.counted.map(|records| self.commands_in(records)).transpose()?;
                self.widen(opened.round_trip);
                marks.extend(counted.or(opened.mark));
                self.nodes[node].take(opened);
            }
        }
        if self.loader.resume {
            self.go_on_from(marks.into_iter().min().unwrap_or(0));
        }
        Ok(())
    }

    /// A server that still loads its data, or is about to come back, is worth waiting for.
    fn patiently<T>(
        &self,
        begun: Instant,
        address: &Address,
        mut set_up: impl FnMut() -> Result<T, SetupError>,
    ) -> Result<T, LoadError> {
        loop {
            match set_up() {
                Ok(done) => return Ok(done),
                Err(SetupError::Later(_))
                    if begun.elapsed() < self.loader.patience
                        && !self.loader.stop.load(Ordering::Relaxed) =>
                {
                    std::thread::sleep(TICK);
                }
                Err(error) => return Err(Self::not_set_up(address, error, begun)),
            }
        }
    }

    /// Far away, what is under way has to fill the way there and back.
    fn widen(&mut self, round_trip: Duration) {
        if !self.source.long_replies() {
            let under_way = usize::try_from(round_trip.as_micros() / COMMAND_MICROS).unwrap_or(WIDEST_WINDOW);
            self.window = self.window.max(under_way.min(WIDEST_WINDOW));
        }
    }

    fn go_on_from(&mut self, mark: u64) {
        self.next = mark.min(self.commands);
        self.ledger = Ledger::from(self.next);
        self.loaded.resumed_after = self.source.records_before(self.next);
    }

    /// Makes the connections that are missing, where it is time to try.
    pub(super) fn reconnect(&mut self, now: Instant) -> Result<(), LoadError> {
        let waiting =
            !self.again.is_empty() || !self.asked.is_empty() || self.nodes.iter().any(Node::is_waiting);
        if waiting && now - self.heard > self.loader.patience {
            return Err(self.silent(now));
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].wants_link(self.connections, now) || !self.is_needed(node) {
                continue;
            }
            match self.open(node) {
                Ok(opened) => self.welcome(node, opened)?,
                Err(SetupError::Later(why)) => self.try_later(node, why)?,
                Err(error) => return Err(Self::not_set_up(&self.topology.nodes()[node], error, now)),
            }
        }
        self.refresh_doubtful();
        Ok(())
    }

    fn is_needed(&self, node: usize) -> bool {
        self.topology.serves(node) || self.asked.iter().any(|(asked, _)| *asked == node)
    }

    /// A connection was made again, or a new node joined. Whoever started anew may have lost what it acknowledged.
    fn welcome(&mut self, node: usize, opened: Opened) -> Result<(), LoadError> {
        if let Some(records) = opened.counted {
            let applied = self.commands_in(records)?;
            self.loaded.resumed_after = self.loaded.resumed_after.min(records);
            self.next = applied;
            self.ledger = Ledger::from(applied);
            // Commands whose replies were lost with the connection count as well.
            self.loaded.records = records.saturating_sub(self.loaded.resumed_after);
            self.again.clear();
            self.asked.clear();
        } else if self.counted_slot.is_none()
            && self.loader.journal.is_some()
            && self.nodes[node].may_have_lost(&opened)
        {
            // The journal of a node that was given slots meanwhile says nothing of the keys that came with them.
            let imported = self.nodes[node].is_known() && self.nodes[node].gained;
            let mark = if imported { 0 } else { opened.mark.unwrap_or(0) };
            let from = if self.replay.is_empty() { mark } else { mark.min(self.replay.start) };
            self.replay = from..self.next;
        }
        self.nodes[node].take(opened);
        Ok(())
    }

    fn try_later(&mut self, node: usize, why: String) -> Result<(), LoadError> {
        let away = self.nodes[node].try_later();
        if away > self.loader.patience {
            let address = self.topology.nodes()[node].to_string();
            return Err(LoadError::Unreachable { address, why, waited: away });
        }
        self.nodes[node].doubtful = true;
        Ok(())
    }

    /// Asks the nodes that answer who serves the slots of those that do not, or no longer want to.
    fn refresh_doubtful(&mut self) {
        if !self.topology.is_cluster() || !self.nodes.iter().any(|node| node.doubtful) {
            return;
        }
        for node in &mut self.nodes {
            node.doubtful = false;
        }
        let present = (0..self.nodes.len()).filter(|&node| !self.nodes[node].links.is_empty());
        let answering: Vec<Address> = present.map(|node| self.topology.nodes()[node].clone()).collect();
        // The next doubt asks again, so one answer is enough and none is no error.
        let _ = answering.iter().any(|address| self.topology.refresh(address, &self.loader.endpoint).is_ok());
        self.adopt_new_nodes();
    }

    pub(super) fn adopt_new_nodes(&mut self) {
        self.nodes.resize_with(self.topology.nodes().len(), Node::default);
        for node in self.topology.gainers() {
            self.nodes[node].gained = true;
        }
    }

    /// Sets a connection up, with the questions that this load has.
    fn open(&self, node: usize) -> Result<Opened, SetupError> {
        let address = &self.topology.nodes()[node];
        let mut questions = Vec::new();
        let key = self.loader.journal.as_ref().and_then(|journal| journal.key_on(node, &self.topology));
        if let Some(key) = &key {
            questions.push(Journal::read_command(key));
        }
        if let Repetition::Counted { ask, newest } = self.source.repetition()
            && self.counted_slot.is_some_and(|slot| self.topology.owner(slot) == node)
        {
            questions.extend([ask, newest]);
        }
        let previous = self.nodes.get(node).and_then(Node::client_id);
        let fence = self.counted_slot.map(|_| Fence { previous });
        let (mut stream, greeting) = setup::open(address, &self.loader.endpoint, fence, &questions)?;
        if greeting.software != Software::Unknown && greeting.round_trip < NEAR {
            setup::enlarge_reads(&mut stream)?;
        }
        let mut answers = greeting.answers.iter();
        let asked = self.loader.journal.as_ref().filter(|_| key.is_some());
        let mark = asked.and_then(|journal| answers.next().map(|reply| journal.mark(reply)));
        let counted = answers.next().map(|reply| integer(reply));
        if let (Some(records), Some(newest)) = (counted, answers.next())
            && records != text_number(newest)
        {
            let key = self.source.describe(0);
            let newest = text_number(newest);
            return Err(SetupError::Disturbed(format!(
                "{key} has {records} records, and the newest is number {newest}: some are missing, or there twice"
            )));
        }
        let round_trip = greeting.round_trip;
        Ok(Opened {
            link: Link::over(stream, greeting.software == Software::Valkey)?,
            round_trip,
            run_id: greeting.run_id,
            client_id: greeting.client_id,
            mark,
            counted,
            journal_key: key,
        })
    }

    /// A link is lost: what it waited for is sent again.
    pub(super) fn give_up(&mut self, node: usize, index: usize, lost: &Lost) -> Result<(), LoadError> {
        if let Lost::Garbage = lost {
            return Err(LoadError::Garbage { address: self.topology.nodes()[node].to_string() });
        }
        let link = self.nodes[node].links.remove(index);
        self.loaded.bytes_sent += link.bytes;
        self.loaded.reconnections += 1;
        self.again.extend(
            link.unanswered().into_iter().filter(|sent| matches!(sent, Sent::Command(_) | Sent::Replay(_))),
        );
        let away = self.nodes[node].lost();
        if away > self.loader.patience {
            let address = self.topology.nodes()[node].to_string();
            let why = "it closes every connection".into();
            return Err(LoadError::Unreachable { address, why, waited: away });
        }
        if self.counted_slot.is_some() {
            self.forget_connections();
        }
        Ok(())
    }

    /// Ends all connections, so that the one key is counted before anything else is sent.
    pub(super) fn forget_connections(&mut self) {
        for node in &mut self.nodes {
            self.loaded.bytes_sent += node.bytes();
            node.links.clear();
        }
        self.again.clear();
        self.asked.clear();
    }

    fn silent(&self, now: Instant) -> LoadError {
        let node = self.nodes.iter().position(Node::is_waiting).unwrap_or(0);
        LoadError::Unreachable {
            address: self.topology.nodes()[node].to_string(),
            why: self.refusal.clone().unwrap_or_else(|| "it does not answer".into()),
            waited: now - self.heard,
        }
    }

    fn not_set_up(address: &Address, error: SetupError, begun: Instant) -> LoadError {
        let address = address.to_string();
        match error {
            SetupError::Never(error) => LoadError::Refused { address, error },
            SetupError::Disturbed(why) => LoadError::Disturbed(why),
            SetupError::Later(why) => LoadError::Unreachable { address, why, waited: begun.elapsed() },
        }
    }

    /// How many commands make this many records.
    fn commands_in(&self, records: u64) -> Result<u64, LoadError> {
        let (mut low, mut high) = (0, self.commands);
        while low < high {
            let middle = low.midpoint(high);
            if self.source.records_before(middle) < records { low = middle + 1 } else { high = middle }
        }
        if self.source.records_before(low) == records {
            return Ok(low);
        }
        Err(LoadError::Disturbed(format!(
            "{} has {records} records, which no part of this load makes: somebody else writes it",
            self.source.describe(0)
        )))
    }
}

/// The number in a reply that is a text; 0 if there is none.
fn text_number(reply: &[u8]) -> u64 {
    String::from_utf8_lossy(reply).lines().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn integer(reply: &[u8]) -> u64 {
    let digits = reply.strip_prefix(b":").unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|text| text.trim_end().parse().ok()).unwrap_or(0)
}
