//! Which question is next.

use std::collections::VecDeque;
use std::time::Duration;

use super::order::{mixed, spread};
use crate::ChosenQuestion;
use crate::progress::DueTimes;

/// A question that was missed comes back behind so many others.
const AGAIN_BEHIND: usize = 3;

/// What is due, the longest due first; then what was never graded, spread over the topics; then, if asked for, what is not due
/// yet, the soonest first. Within each of these, topics are mixed.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    waiting: VecDeque<usize>,
    topics: Vec<&'a str>,
    /// How many were due.
    pub(super) due: usize,
    /// How many were never graded.
    pub(super) new: usize,
    /// How many are not due yet.
    pub(super) later: usize,
    /// After what time the first of those is due.
    pub(super) next_due: Option<Duration>,
}

impl<'a> Queue<'a> {
    /// The questions by their place among `chosen`.
    pub(super) fn of(chosen: &[ChosenQuestion], due_times: &DueTimes, all: bool) -> Self {
        let names = chosen.iter().map(|(topic, question)| (topic.anchor.as_str(), question.slug.as_str()));
        Self::of_names(names, due_times, all)
    }

    /// Each name is a topic and the slug of a question.
    fn of_names(
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
        due_times: &DueTimes,
        all: bool,
    ) -> Self {
        let (topics, slugs): (Vec<&str>, Vec<&str>) = names.into_iter().unzip();
        let when = |index: &usize| due_times.due.get(slugs[*index]).copied();
        let (mut due, new): (Vec<usize>, Vec<usize>) =
            (0..slugs.len()).partition(|index| when(index).is_some());
        due.sort_by_key(when);
        let later = due.split_off(due.partition_point(|index| when(index) <= Some(due_times.now)));
        let wait = |due: i64| Duration::from_millis(u64::try_from(due - due_times.now).unwrap_or(0));
        let spread_new = spread(&new, &topics);
        let also_later: &[usize] = if all { &later } else { &[] };
        let mut waiting = Vec::new();
        for group in [&due, &spread_new, also_later] {
            let before = waiting.last().map(|last: &usize| topics[*last]);
            waiting.extend(mixed(group, &topics, before));
        }
        Self {
            waiting: waiting.into(),
            due: due.len(),
            new: new.len(),
            later: later.len(),
            next_due: later.first().and_then(when).map(wait),
            topics,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<usize> {
        self.waiting.pop_front()
    }

    /// Puts a question that was missed behind a few others: at the first place with no neighbor of its topic.
    pub(super) fn again(&mut self, index: usize) {
        let earliest = self.waiting.len().min(AGAIN_BEHIND);
        let is_other =
            |place: usize| self.waiting.get(place).is_none_or(|&at| self.topics[at] != self.topics[index]);
        let fits = |place: &usize| is_other(*place) && place.checked_sub(1).is_none_or(is_other);
        let place = (earliest..=self.waiting.len()).find(fits).unwrap_or(earliest);
        self.waiting.insert(place, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_times(due: &[(&str, i64)]) -> DueTimes {
        DueTimes { now: 1000, due: due.iter().map(|(slug, due)| ((*slug).to_owned(), *due)).collect() }
    }

    fn order(queue: &mut Queue<'_>) -> Vec<usize> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    #[test]
    fn what_is_due_comes_before_what_is_new() {
        let names = ["new", "later", "due", "overdue", "sooner", "unasked"].map(|slug| (slug, slug));
        let due_times =
            due_times(&[("later", 9000), ("due", 1000), ("overdue", 5), ("sooner", 2000), ("gone", 1)]);
        let mut queue = Queue::of_names(names, &due_times, false);
        assert_eq!((queue.due, queue.new, queue.later), (2, 2, 2));
        assert_eq!(queue.next_due, Some(Duration::from_secs(1)));
        assert_eq!(order(&mut queue), [3, 2, 0, 5]);
        assert_eq!(order(&mut Queue::of_names(names, &due_times, true)), [3, 2, 0, 5, 4, 1]);
    }

    #[test]
    fn topics_are_mixed_but_what_is_due_stays_first() {
        let names = [("x", "a"), ("x", "b"), ("y", "c"), ("x", "d"), ("y", "e"), ("z", "f")];
        let due_times = due_times(&[("a", 1), ("b", 2), ("c", 3)]);
        let mut queue = Queue::of_names(names, &due_times, false);
        assert_eq!(order(&mut queue), [0, 2, 1, 4, 3, 5]);
    }

    #[test]
    fn what_was_missed_comes_back_behind_three_others_or_at_the_end() {
        let names = ["a", "b", "c", "d", "e", "f"].map(|slug| (slug, slug));
        let mut queue = Queue::of_names(names, &DueTimes::default(), false);
        let missed = queue.next().unwrap();
        queue.again(missed);
        assert_eq!(order(&mut queue), [1, 2, 3, 0, 4, 5]);
        queue.again(2);
        assert_eq!(order(&mut queue), [2]);
    }

    #[test]
    fn what_was_missed_does_not_come_back_beside_its_topic() {
        let names = [("x", "a"), ("y", "b"), ("z", "c"), ("y", "d"), ("x", "e"), ("z", "f"), ("y", "g")];
        let mut queue = Queue::of_names(names, &DueTimes::default(), false);
        queue.waiting = VecDeque::from([1, 2, 3, 4, 5, 6]);
        queue.again(0);
        assert_eq!(order(&mut queue), [1, 2, 3, 4, 5, 0, 6]);
    }
}
