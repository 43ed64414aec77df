//! The order of the questions: topics mixed, because you remember more when you change the topic than when you finish it.

use std::collections::HashMap;

/// The same items, with no two of one topic in a row where that can be avoided, and none of topic `before` at the beginning.
/// Apart from that, the order stays.
pub(super) fn mixed<'a>(items: &[usize], topics: &[&'a str], before: Option<&'a str>) -> Vec<usize> {
    let mut waiting = items.to_vec();
    let mut last = before;
    let mut order = Vec::with_capacity(items.len());
    while !waiting.is_empty() {
        let item = waiting.remove(place_of_next(&waiting, topics, last));
        last = Some(topics[item]);
        order.push(item);
    }
    order
}

/// The first that is of another topic than the last one and leaves a rest that can be mixed. If there is none, one of the most
/// frequent other topic.
fn place_of_next(waiting: &[usize], topics: &[&str], last: Option<&str>) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for &item in waiting {
        *counts.entry(topics[item]).or_default() += 1;
    }
    let rest = waiting.len() - 1;
    let can_be_mixed_after = |next: &str| {
        let fits = |(topic, count): (&&str, &usize)| {
            if *topic == next { count - 1 <= rest / 2 } else { *count <= rest.div_ceil(2) }
        };
        counts.iter().all(fits)
    };
    let others = || waiting.iter().enumerate().filter(|(_, item)| Some(topics[**item]) != last);
    let good = others().find(|(_, item)| can_be_mixed_after(topics[**item]));
    // Of equals, `max_by_key` takes the last, so the first is the last of the reversed.
    let fallback =
        || others().collect::<Vec<_>>().into_iter().rev().max_by_key(|(_, item)| counts[topics[**item]]);
    good.or_else(fallback).map_or(0, |(place, _)| place)
}

/// The items spread evenly: the first of every topic, then the second, and so on; a topic with many has them all along the way.
pub(super) fn spread(items: &[usize], topics: &[&str]) -> Vec<usize> {
    let mut of_topic: HashMap<&str, Vec<usize>> = HashMap::new();
    for &item in items {
        of_topic.entry(topics[item]).or_default().push(item);
    }
    let share = |item: &usize| {
        let all = &of_topic[topics[*item]];
        let place = all.iter().position(|other| other == item).unwrap_or(0);
        // Whole numbers, so that equal shares are equal.
        place * 1_000_000 / all.len()
    };
    let mut order = items.to_vec();
    order.sort_by_cached_key(|item| (share(item), *item));
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repeats(order: &[usize], topics: &[&str]) -> usize {
        order.windows(2).filter(|pair| topics[pair[0]] == topics[pair[1]]).count()
    }

    #[test]
    fn topics_take_turns_and_the_order_stays_where_it_can() {
        let topics = ["a", "a", "b", "c"];
        assert_eq!(mixed(&[0, 1, 2, 3], &topics, None), [0, 2, 1, 3]);
        assert_eq!(mixed(&[0, 1, 2, 3], &topics, Some("a")), [2, 0, 3, 1]);
        // Three of four are of one topic: it comes first, and one repetition is left.
        assert_eq!(mixed(&[3, 0, 1, 2], &["a", "a", "a", "b"], None), [0, 3, 1, 2]);
        assert_eq!(mixed(&[1, 0], &["a", "a"], Some("a")), [1, 0]);
    }

    #[test]
    fn a_topic_with_many_questions_is_spread_over_all() {
        let topics = ["a", "a", "a", "a", "b", "b", "c"];
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6], &topics), [0, 4, 6, 1, 2, 5, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_topic_follows_itself_where_that_can_be_avoided(
            kinds in proptest::collection::vec(0_usize..5, 1..40),
        ) {
            let topics: Vec<&str> = kinds.iter().map(|&kind| ["a", "b", "c", "d", "e"][kind]).collect();
            let items: Vec<usize> = (0..topics.len()).rev().collect();
            let order = mixed(&items, &topics, None);
            let most = ["a", "b", "c", "d", "e"].map(|topic| topics.iter().filter(|t| **t == topic).count());
            let most = most.into_iter().max().unwrap_or(0);
            // Between two of the most frequent topic stands one of the others, as long as there are any.
            let unavoidable = most.saturating_sub(topics.len() - most + 1);
            prop_assert_eq!(repeats(&order, &topics), unavoidable);
            for order in [order, spread(&items, &topics)] {
                let mut sorted = order;
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..topics.len()).collect::<Vec<_>>());
            }
        }
    }
}
