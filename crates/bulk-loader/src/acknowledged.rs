//! Which commands the servers acknowledged.

use std::collections::VecDeque;

/// Every command below `first_open` is acknowledged, and so are some above it: several connections reply in any order.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    first_open: u64,
    /// For `first_open` and the commands after it.
    above: VecDeque<bool>,
}

impl Acknowledged {
    pub(crate) fn below(first_open: u64) -> Self {
        Self { first_open, above: VecDeque::new() }
    }

    /// The first command that is not acknowledged.
    pub(crate) fn first_open(&self) -> u64 {
        self.first_open
    }

    /// Marks a command. Returns false if it was acknowledged before.
    pub(crate) fn add(&mut self, command: u64) -> bool {
        let Some(index) = command.checked_sub(self.first_open).and_then(|index| usize::try_from(index).ok())
        else {
            return false;
        };
        if index == 0 {
            self.above.pop_front();
            self.first_open += 1;
            while self.above.front() == Some(&true) {
                self.above.pop_front();
                self.first_open += 1;
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
    fn replies_in_any_order_move_the_first_open_command() {
        let mut acknowledged = Acknowledged::below(10);
        assert!(acknowledged.add(12));
        assert!(acknowledged.add(11));
        assert!(!acknowledged.add(11), "added twice");
        assert_eq!(acknowledged.first_open(), 10);
        assert!(acknowledged.add(10));
        assert_eq!(acknowledged.first_open(), 13);
        assert!(!acknowledged.add(12), "below the first open command");
        assert!(acknowledged.add(13));
        assert_eq!(acknowledged.first_open(), 14);
    }
}
