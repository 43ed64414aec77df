//! Which commands are acknowledged: all below a mark, and some above it.

use std::collections::VecDeque;

/// Numbers from a mark on, and whether each is acknowledged. Replies of several connections come in any order, so the
/// mark is the first number that is still open.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    mark: u64,
    above: VecDeque<bool>,
}

impl Ledger {
    /// Everything below `mark` is acknowledged.
    pub(crate) fn from(mark: u64) -> Self {
        Self { mark, above: VecDeque::new() }
    }

    /// The first number that is not acknowledged.
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    /// How many numbers lie between the mark and `next`, the first one never sent.
    pub(crate) fn spread(&self, next: u64) -> u64 {
        next - self.mark
    }

    /// Acknowledges a number; false if it was before.
    pub(crate) fn acknowledge(&mut self, number: u64) -> bool {
        let Some(index) = number.checked_sub(self.mark).and_then(|index| usize::try_from(index).ok()) else {
            return false;
        };
        if index == 0 {
            self.above.pop_front();
            self.mark += 1;
            while self.above.front() == Some(&true) {
                self.above.pop_front();
                self.mark += 1;
            }
            return true;
        }
        if self.above.len() <= index {
            self.above.resize(index + 1, false);
        }
        !std::mem::replace(&mut self.above[index], true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_the_first_open_number() {
        let mut ledger = Ledger::from(10);
        assert!(ledger.acknowledge(12));
        assert!(ledger.acknowledge(11));
        assert!(!ledger.acknowledge(11), "told twice");
        assert_eq!((ledger.mark(), ledger.spread(13)), (10, 3));
        assert!(ledger.acknowledge(10));
        assert_eq!(ledger.mark(), 13);
        assert!(!ledger.acknowledge(12), "long done");
        assert!(ledger.acknowledge(13));
        assert_eq!(ledger.mark(), 14);
    }
}
