//! Sends what is queued, handles the replies, and writes the journal.

use std::time::{Duration, Instant};

use super::Run;
use crate::connection::{ConnectionLost, Request};
use crate::endpoint::Endpoint;
use crate::error::LoadError;
use crate::reply::ServerError;
use crate::source::{Source, push_command};

/// The pause before a command that failed for now is sent again.
const RESEND_PAUSE: Duration = Duration::from_millis(10);
/// How often to write the journal, by time and by commands, whichever comes first.
const JOURNAL_INTERVAL: Duration = Duration::from_millis(200);
const JOURNAL_COMMANDS: u64 = 16_384;

impl<S: Source + ?Sized> Run<'_, S> {
    /// Sends and receives without blocking. Returns true if there may be more to send right away.
    pub(super) fn exchange(&mut self) -> Result<bool, LoadError> {
        let mut busy = false;
        for node in 0..self.nodes.len() {
            for index in (0..self.nodes[node].connections.len()).rev() {
                match self.exchange_on(node, index)? {
                    Ok(connection_is_busy) => busy |= connection_is_busy,
                    Err(lost) => self.connection_lost(node, index, &lost)?,
                }
            }
        }
        if std::mem::take(&mut self.recount) {
            self.drop_connections();
            self.pause_resends();
        }
        Ok(busy)
    }

    fn exchange_on(&mut self, node: usize, index: usize) -> Result<Result<bool, ConnectionLost>, LoadError> {
        // Taken out of its node while its replies are handled, and put back in the same place.
        let mut connection = self.nodes[node].connections.remove(index);
        let had_unsent = connection.has_unsent();
        let sent_all = connection.send();
        // While the socket takes everything, replies can wait in the kernel, and then many are read at once. But not so
        // long that the journal and the progress fall behind.
        let skip_replies = matches!(sent_all, Ok(true))
            && had_unsent
            && connection.in_flight() < self.window / 4
            && !self.source.long_replies();
        let received = match sent_all {
            Err(lost) => Err(lost),
            Ok(_) if skip_replies => Ok(Ok(true)),
            Ok(_) => connection.receive(|request, reply| self.handle(node, request, reply)),
        };
        self.nodes[node].connections.insert(index, connection);
        if skip_replies {
            return Ok(Ok(true));
        }
        match received {
            Ok(Ok(any)) => {
                if any {
                    self.slept_in_vain = false;
                }
                // Only executed commands count: a server may answer with errors forever.
                if std::mem::take(&mut self.executed) {
                    self.last_executed = Instant::now();
                    self.redirected = 0;
                    self.nodes[node].recovered();
                }
                Ok(Ok(any))
            }
            Ok(Err(error)) => Err(error),
            Err(lost) => Ok(Err(lost)),
        }
    }

    fn handle(&mut self, node: usize, request: Request, reply: &[u8]) -> Result<(), LoadError> {
        let is_error = reply.first() == Some(&b'-');
        let command = match request {
            Request::Command(command) | Request::Replay(command) => command,
            Request::Journal if is_error => return self.journal_failed(node, reply),
            Request::Journal | Request::Asking => return Ok(()),
        };
        if is_error {
            return self.command_failed(node, request, command, reply);
        }
        if !self.source.accepts(command, reply) {
            let start: String = String::from_utf8_lossy(reply).chars().take(80).collect();
            return Err(LoadError::Unexpected {
                record: self.source.describe(command),
                reply: format!("{start:?}"),
            });
        }
        self.executed = true;
        if let Request::Replay(_) = request {
            self.replays_in_flight -= 1;
        } else if self.acknowledged.add(command) {
            self.loaded.records += self.records_of(command);
        }
        Ok(())
    }

    fn command_failed(
        &mut self,
        node: usize,
        request: Request,
        command: u64,
        reply: &[u8],
    ) -> Result<(), LoadError> {
        let text = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
        self.last_error = Some(text.clone());
        match ServerError::parse(reply) {
            // Later commands may have been executed, so only the server knows how many records it has.
            ServerError::TryAgain if self.counted_slot.is_some() => self.recount = true,
            ServerError::TryAgain => {
                self.resend.push_back(request);
                self.pause_resends();
                self.nodes[node].check_slots = true;
            }
            ServerError::Moved { slot, address } if self.topology.is_cluster() => {
                if let Some(address) = Endpoint::redirected(&self.topology.nodes()[node], &address) {
                    let node = self.topology.move_slot(slot, &address);
                    self.add_new_nodes();
                    self.nodes[node].imported_slots = true;
                    self.nodes[node].check_slots = true;
                }
                self.count_redirection();
                self.resend.push_back(request);
            }
            ServerError::Ask { address } if self.topology.is_cluster() => {
                self.count_redirection();
                match Endpoint::redirected(&self.topology.nodes()[node], &address) {
                    Some(address) => {
                        let node = self.topology.index(&address);
                        self.add_new_nodes();
                        self.asked.push_back((node, request));
                    }
                    None => self.resend.push_back(request),
                }
            }
            ServerError::Permanent(_) | ServerError::Moved { .. } | ServerError::Ask { .. } => {
                return Err(LoadError::Rejected { record: self.source.describe(command), error: text });
            }
        }
        Ok(())
    }

    /// Nodes that disagree about a slot redirect a command back and forth for a while.
    fn count_redirection(&mut self) {
        self.loaded.redirections += 1;
        self.redirected += 1;
        if self.redirected > self.window {
            self.pause_resends();
        }
    }

    fn pause_resends(&mut self) {
        self.resend_after = Instant::now() + RESEND_PAUSE;
    }

    pub(super) fn write_journals_when_due(&mut self, now: Instant) {
        let (written, journalled) = self.journal_written;
        let acknowledged = self.acknowledged.first_open();
        if now - written > JOURNAL_INTERVAL || acknowledged.saturating_sub(journalled) >= JOURNAL_COMMANDS {
            self.journal_written = (now, acknowledged);
            self.write_journals();
        }
    }

    /// Writes on every node how far the load got, unless a node does not have back yet what it lost.
    pub(super) fn write_journals(&mut self) {
        let Some(journal) = &self.loader.journal else { return };
        if self.replays_in_flight > 0 || !self.replay.is_empty() {
            return;
        }
        let acknowledged = self.acknowledged.first_open();
        for node in &mut self.nodes {
            if let Some((key, connection)) = node.update_journal(acknowledged) {
                journal.push_write(key, acknowledged, connection.queue(Request::Journal));
            }
        }
    }

    /// After a complete load, nothing is left to resume.
    pub(super) fn delete_journals(&mut self) {
        for node in &mut self.nodes {
            if let Some((key, connection)) = node.update_journal(u64::MAX - 1) {
                push_command(connection.queue(Request::Journal), &["DEL", key]);
            }
        }
    }

    fn journal_failed(&mut self, node: usize, reply: &[u8]) -> Result<(), LoadError> {
        let journal = self.loader.journal.as_ref();
        if let ServerError::Permanent(error) = ServerError::parse(reply) {
            let key = journal.map(|journal| journal.key.clone()).unwrap_or_default();
            return Err(LoadError::Rejected { record: format!("the journal {key}"), error });
        }
        // The slot of the journal's key may have moved. Another key on the same node replaces it.
        let key = journal.and_then(|journal| journal.key_on(node, &self.topology));
        self.nodes[node].set_journal_key(key);
        Ok(())
    }
}
