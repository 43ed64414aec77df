//! Sends, and takes in what comes back.

use std::time::{Duration, Instant};

use super::Run;
use crate::endpoint::Endpoint;
use crate::error::LoadError;
use crate::link::{Link, Lost, Sent};
use crate::reply::Refusal;
use crate::source::Source;

/// Before a command is sent again that was answered with 'not now'.
const PAUSE: Duration = Duration::from_millis(10);

impl<S: Source> Run<'_, S> {
    /// Sends and receives what can be; true if there may be more to send at once.
    pub(super) fn exchange(&mut self) -> Result<bool, LoadError> {
        let mut busy = false;
        for node in 0..self.nodes.len() {
            for index in (0..self.nodes[node].links.len()).rev() {
                match self.exchange_on(node, index)? {
                    Ok(link_is_busy) => busy |= link_is_busy,
                    Err(lost) => self.give_up(node, index, &lost)?,
                }
            }
        }
        if std::mem::take(&mut self.recount) {
            self.forget_connections();
            self.not_before = Instant::now() + PAUSE;
        }
        Ok(busy)
    }

    fn exchange_on(&mut self, node: usize, index: usize) -> Result<Result<bool, Lost>, LoadError> {
        let mut link = self.nodes[node].links.swap_remove(index);
        let was_fed = link.has_unsent();
        let sent_all = match link.send() {
            Ok(sent_all) => sent_all,
            Err(lost) => {
                self.put_back(node, index, link);
                return Ok(Err(lost));
            }
        };
        // While the socket takes commands there is no hurry to read: replies wait in the kernel, and come in long rows.
        // Not longer than this, though: the journal and the bar want to know.
        if was_fed && sent_all && link.in_flight() < self.window / 4 && !self.source.long_replies() {
            self.put_back(node, index, link);
            return Ok(Ok(true));
        }
        let received = link.receive(|sent, reply| self.take(node, sent, reply));
        self.put_back(node, index, link);
        match received {
            Ok(Ok(any)) => {
                if any {
                    self.slept_in_vain = false;
                }
                // Only what was executed counts as an answer: a server may refuse for ever.
                if std::mem::take(&mut self.accepted) {
                    self.heard = Instant::now();
                    self.redirected = 0;
                    self.nodes[node].is_back();
                }
                Ok(Ok(any))
            }
            Ok(Err(error)) => Err(error),
            Err(lost) => Ok(Err(lost)),
        }
    }

    /// Links keep their place, because the one at `index` was taken by swapping in the last.
    fn put_back(&mut self, node: usize, index: usize, link: Link) {
        let links = &mut self.nodes[node].links;
        links.push(link);
        let last = links.len() - 1;
        links.swap(index, last);
    }

    /// One reply.
    fn take(&mut self, node: usize, sent: Sent, reply: &[u8]) -> Result<(), LoadError> {
        let (Sent::Command(command) | Sent::Replay(command)) = sent else {
            return match reply.first() {
                Some(b'-') if sent == Sent::Journal => self.journal_refused(node, reply),
                _ => Ok(()),
            };
        };
        if reply.first() == Some(&b'-') {
            return self.refused(node, sent, command, reply);
        }
        if !self.source.accepts(command, reply) {
            let shown: String = String::from_utf8_lossy(reply).chars().take(80).collect();
            return Err(LoadError::Unexpected {
                record: self.source.describe(command),
                reply: format!("{shown:?}"),
            });
        }
        self.accepted = true;
        if let Sent::Replay(_) = sent {
            self.replays_open -= 1;
        } else if self.ledger.acknowledge(command) {
            self.loaded.records += self.records_of(command);
        }
        Ok(())
    }

    fn refused(&mut self, node: usize, sent: Sent, command: u64, reply: &[u8]) -> Result<(), LoadError> {
        self.refusal = Some(String::from_utf8_lossy(&reply[1..]).trim_end().to_owned());
        if self.counted_slot.is_some() && Refusal::read(reply) == Refusal::NotNow {
            // Later ones may have been executed: the server has to be asked.
            self.recount = true;
            return Ok(());
        }
        match Refusal::read(reply) {
            Refusal::Moved { slot, address } if self.topology.is_cluster() => {
                if let Some(address) = Endpoint::redirected(&self.topology.nodes()[node], &address) {
                    let node = self.topology.assign(slot, &address);
                    self.adopt_new_nodes();
                    self.nodes[node].gained = true;
                    self.nodes[node].doubtful = true;
                }
                self.count_redirection();
                self.again.push_back(sent);
            }
            Refusal::Ask { address } if self.topology.is_cluster() => {
                self.count_redirection();
                match Endpoint::redirected(&self.topology.nodes()[node], &address) {
                    Some(address) => {
                        let node = self.topology.index(&address);
                        self.adopt_new_nodes();
                        self.asked.push_back((node, sent));
                    }
                    None => self.again.push_back(sent),
                }
            }
            Refusal::NotNow => {
                self.again.push_back(sent);
                self.not_before = Instant::now() + PAUSE;
                self.nodes[node].doubtful = true;
            }
            Refusal::Never(error) => {
                return Err(LoadError::Rejected { record: self.source.describe(command), error });
            }
            Refusal::Moved { .. } | Refusal::Ask { .. } => {
                let error = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
                return Err(LoadError::Rejected { record: self.source.describe(command), error });
            }
        }
        Ok(())
    }

    /// Nodes that do not agree send a command to and fro for a while.
    fn count_redirection(&mut self) {
        self.loaded.redirections += 1;
        self.redirected += 1;
        if self.redirected > self.window {
            self.not_before = Instant::now() + PAUSE;
        }
    }
}
