//! Writes down how far the load has come, on every server.

use std::time::{Duration, Instant};

use super::Run;
use crate::error::LoadError;
use crate::link::Sent;
use crate::reply::Refusal;
use crate::source::{Source, push_command};

/// How often the journal is written, by time or by commands, whichever comes first: what is lost with a server is sent
/// again from there.
const JOURNAL_EVERY: Duration = Duration::from_millis(200);
const COMMANDS_EVERY: u64 = 16_384;

impl<S: Source> Run<'_, S> {
    pub(super) fn keep_journal(&mut self, now: Instant) {
        let (last, mark) = self.journalled;
        if now - last > JOURNAL_EVERY || self.ledger.mark().saturating_sub(mark) >= COMMANDS_EVERY {
            self.journalled = (now, self.ledger.mark());
            self.write_journals();
        }
    }

    /// Tells every node how far the load has come, unless some node has not yet got back what it lost.
    pub(super) fn write_journals(&mut self) {
        let Some(journal) = &self.loader.journal else { return };
        if self.replays_open > 0 || !self.replay.is_empty() {
            return;
        }
        for node in &mut self.nodes {
            let mark = self.ledger.mark();
            if let Some((key, link)) = node.journal_link(mark) {
                journal.push_write(key, mark, link.queue(Sent::Journal));
            }
        }
    }

    /// Nobody has to go on from anywhere.
    pub(super) fn remove_journals(&mut self) {
        for node in &mut self.nodes {
            if let Some((key, link)) = node.journal_link(u64::MAX - 1) {
                push_command(link.queue(Sent::Journal), &["DEL", key]);
            }
        }
    }

    /// A journal that cannot be written may be on the way to another node; anything else is told.
    pub(super) fn journal_refused(&mut self, node: usize, reply: &[u8]) -> Result<(), LoadError> {
        if let Refusal::Never(error) = Refusal::read(reply) {
            let key = self.loader.journal.as_ref().map(|journal| journal.key.clone()).unwrap_or_default();
            return Err(LoadError::Rejected { record: format!("the journal {key}"), error });
        }
        // Its slot has moved; another key takes its place.
        let journal = self.loader.journal.as_ref();
        let key = journal.and_then(|journal| journal.key_on(node, &self.topology));
        self.nodes[node].keep_journal_at(key);
        Ok(())
    }
}
