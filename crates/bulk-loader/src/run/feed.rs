//! Hands commands to the connections while these have room.

use std::time::Instant;

use super::Run;
use crate::link::Sent;
use crate::source::{Source, push_command};

/// How far the first open command may lie behind the newest one.
const SPREAD: u64 = 1_000_000;
/// Commands in a batch, where the server parses ahead: as many keys as Valkey fetches into its caches at once.
const BATCH: u64 = 16;

impl<S: Source> Run<'_, S> {
    /// Hands commands to the links while these have room: first what has to be sent again, then new ones.
    pub(super) fn feed(&mut self) {
        self.feed_asked();
        self.feed_again();
        self.feed_replays();
        while self.next < self.commands
            && self.again.is_empty()
            && self.ledger.spread(self.next) < SPREAD
            && !(self.strict && self.ledger.spread(self.next) > 0)
        {
            let node = self.owner_of(self.next);
            let Some(link) = self.nodes[node].roomy_link(self.window) else {
                return;
            };
            if self.next.is_multiple_of(BATCH) {
                link.end_batch();
            }
            self.source.write(self.next, self.resumed, link.queue(Sent::Command(self.next)));
            self.next += 1;
        }
    }

    fn feed_asked(&mut self) {
        for _ in 0..self.asked.len() {
            let Some((node, sent)) = self.asked.pop_front() else { return };
            let (Sent::Command(command) | Sent::Replay(command)) = sent else { continue };
            match self.nodes[node].roomy_link(self.window) {
                Some(link) => {
                    push_command(link.queue(Sent::Asking), &["ASKING"]);
                    self.source.write(command, true, link.queue(sent));
                }
                None => self.asked.push_back((node, sent)),
            }
        }
    }

    fn feed_again(&mut self) {
        if self.again.is_empty() || Instant::now() < self.not_before {
            return;
        }
        for _ in 0..self.again.len() {
            let Some(sent) = self.again.pop_front() else { return };
            let (Sent::Command(command) | Sent::Replay(command)) = sent else { continue };
            let node = self.owner_of(command);
            match self.nodes[node].roomy_link(self.window) {
                Some(link) => self.source.write(command, true, link.queue(sent)),
                None => self.again.push_back(sent),
            }
        }
    }

    /// Sends again what servers may have lost, to whoever serves the slot now.
    fn feed_replays(&mut self) {
        while !self.replay.is_empty() {
            let command = self.replay.start;
            let node = self.owner_of(command);
            let Some(link) = self.nodes[node].roomy_link(self.window) else { return };
            self.source.write(command, true, link.queue(Sent::Replay(command)));
            self.replay.start += 1;
            self.replays_open += 1;
            self.loaded.replayed += self.records_of(command);
        }
    }

    fn owner_of(&mut self, command: u64) -> usize {
        if self.topology.is_cluster() { self.topology.owner(self.source.slot(command)) } else { 0 }
    }

    pub(super) fn records_of(&self, command: u64) -> u64 {
        self.source.records_before(command + 1) - self.source.records_before(command)
    }
}
