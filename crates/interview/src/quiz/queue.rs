//! The order of the questions.

use std::collections::VecDeque;
use std::time::Duration;

use crate::progress::DueTimes;

/// A question that was missed comes back behind so many others.
const AGAIN_BEHIND: usize = 3;

/// Which question is next: what is due, the longest due first; then what was never graded, in the order of the guide; then,
/// if asked for, what is not due yet, the soonest first.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<usize>,
    /// How many were due.
    pub(super) due: usize,
    /// How many were never graded.
    pub(super) new: usize,
    /// How many are not due yet.
    pub(super) later: usize,
    /// After what time the first of those is due.
    pub(super) next_due: Option<Duration>,
}

impl Queue {
    /// The questions by their place among `slugs`.
    pub(super) fn of(slugs: &[&str], due_times: &DueTimes, all: bool) -> Self {
        let when = |index: &usize| due_times.due.get(slugs[*index]).copied();
        let mut graded: Vec<usize> = (0..slugs.len()).filter(|index| when(index).is_some()).collect();
        graded.sort_by_key(when);
        let new: Vec<usize> = (0..slugs.len()).filter(|index| when(index).is_none()).collect();
        let due = graded.partition_point(|index| when(index) <= Some(due_times.now));
        let later = graded.split_off(due);
        let wait = |due: i64| Duration::from_millis(u64::try_from(due - due_times.now).unwrap_or(0));
        let next_due = later.first().and_then(when).map(wait);
        let (new_count, later_count) = (new.len(), later.len());
        let mut waiting = VecDeque::from(graded);
        waiting.extend(new);
        if all {
            waiting.extend(later);
        }
        Self { waiting, due, new: new_count, later: later_count, next_due }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<usize> {
        self.waiting.pop_front()
    }

    /// Puts a question that was missed behind a few others.
    pub(super) fn again(&mut self, index: usize) {
        self.waiting.insert(self.waiting.len().min(AGAIN_BEHIND), index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_times(due: &[(&str, i64)]) -> DueTimes {
        DueTimes { now: 1000, due: due.iter().map(|(slug, due)| ((*slug).to_owned(), *due)).collect() }
    }

    fn order(queue: &mut Queue) -> Vec<usize> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn what_is_due_comes_before_what_is_new() {
        let slugs = ["new", "later", "due", "overdue", "sooner", "unasked"];
        let due_times =
            due_times(&[("later", 9000), ("due", 1000), ("overdue", 5), ("sooner", 2000), ("gone", 1)]);
        let mut queue = Queue::of(&slugs, &due_times, false);
        assert_eq!((queue.due, queue.new, queue.later), (2, 2, 2));
        assert_eq!(queue.next_due, Some(Duration::from_secs(1)));
        assert_eq!(order(&mut queue), [3, 2, 0, 5]);
        assert_eq!(order(&mut Queue::of(&slugs, &due_times, true)), [3, 2, 0, 5, 4, 1]);
    }

    #[test]
    fn what_was_missed_comes_back_behind_three_others_or_at_the_end() {
        let mut queue = Queue::of(&["a", "b", "c", "d", "e", "f"], &DueTimes::default(), false);
        let missed = queue.next().unwrap();
        queue.again(missed);
        assert_eq!(order(&mut queue), [1, 2, 3, 0, 4, 5]);
        queue.again(2);
        assert_eq!(order(&mut queue), [2]);
    }
}
