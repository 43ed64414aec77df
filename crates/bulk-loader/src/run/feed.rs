//! Hands commands to the connections while they have room.

use std::time::Instant;

use super::Run;
use crate::connection::Request;
use crate::source::{Source, push_command};

/// The most commands from the oldest unacknowledged one to the newest.
const MOST_AFTER_FIRST_OPEN: u64 = 1_000_000;
/// Commands in a batch if the server parses ahead. Valkey prefetches keys for 16 commands, too.
const BATCH: u64 = 16;

impl<S: Source + ?Sized> Run<'_, S> {
    /// Queues commands that have to be sent again, then new ones.
    pub(super) fn feed(&mut self) {
        self.feed_asked();
        self.feed_resends();
        self.feed_replays();
        while self.next < self.commands
            && self.resend.is_empty()
            && self.next - self.acknowledged.first_open() < MOST_AFTER_FIRST_OPEN
            && !(self.one_at_a_time && self.next > self.acknowledged.first_open())
        {
            let node = self.owner_of(self.next);
            let Some(connection) = self.nodes[node].connection_with_room(self.window) else {
                return;
            };
            if self.next.is_multiple_of(BATCH) {
                connection.end_batch();
            }
            // After a resume, an earlier run may have sent any of these commands.
            let again = self.loader.resume;
            self.source.write(self.next, again, connection.queue(Request::Command(self.next)));
            self.next += 1;
        }
    }

    fn feed_asked(&mut self) {
        for _ in 0..self.asked.len() {
            let Some((node, request)) = self.asked.pop_front() else { return };
            let (Request::Command(command) | Request::Replay(command)) = request else { continue };
            match self.nodes[node].connection_with_room(self.window) {
                Some(connection) => {
                    push_command(connection.queue(Request::Asking), &["ASKING"]);
                    self.source.write(command, true, connection.queue(request));
                }
                None => self.asked.push_back((node, request)),
            }
        }
    }

    fn feed_resends(&mut self) {
        if self.resend.is_empty() || Instant::now() < self.resend_after {
            return;
        }
        for _ in 0..self.resend.len() {
            let Some(request) = self.resend.pop_front() else { return };
            let (Request::Command(command) | Request::Replay(command)) = request else { continue };
            let node = self.owner_of(command);
            match self.nodes[node].connection_with_room(self.window) {
                Some(connection) => self.source.write(command, true, connection.queue(request)),
                None => self.resend.push_back(request),
            }
        }
    }

    /// Sends what servers may have lost to the nodes that own the slots now.
    fn feed_replays(&mut self) {
        while !self.replay.is_empty() {
            let command = self.replay.start;
            let node = self.owner_of(command);
            let Some(connection) = self.nodes[node].connection_with_room(self.window) else { return };
            self.source.write(command, true, connection.queue(Request::Replay(command)));
            self.replay.start += 1;
            self.replays_in_flight += 1;
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
