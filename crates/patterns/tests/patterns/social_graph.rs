use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use lab_testing::TestConnection;
use patterns::script::StoreError;
use patterns::social_graph::{FollowError, MAX_FOLLOWING, SocialGraph};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

/// IDs that would break a name or a line.
const ODD: [&str; 4] = ["{7}", "a\nb", "ann@example.com", "ü:*%20 \\"];

#[test]
fn both_sides_know_who_follows_whom() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        for user in ODD {
            assert!(graph.follow(user, "bob").await.unwrap());
            assert!(!graph.follow(user, "bob").await.unwrap(), "again");
            assert!(graph.is_following(user, "bob").await.unwrap());
            assert_eq!(graph.following(user, None, 10).await.unwrap().users, ["bob"]);
        }
        assert!(!graph.is_following("bob", ODD[0]).await.unwrap());
        let latest: Vec<&str> = ODD.into_iter().rev().collect();
        assert_eq!(graph.followers("bob", None, 10).await.unwrap().users, latest);
        assert_eq!(graph.counts("bob").await.unwrap(), (0, 4));
        assert!(graph.unfollow(ODD[1], "bob").await.unwrap());
        assert!(!graph.unfollow(ODD[1], "bob").await.unwrap(), "again");
        assert_eq!(graph.counts("bob").await.unwrap(), (0, 3));
        assert_eq!(graph.counts(ODD[1]).await.unwrap(), (0, 0));
        assert_matches!(graph.follow("bob", "bob").await, Err(FollowError::Oneself));
        assert!(graph.follow("bob", "").await.is_err());
        assert_eq!(graph.pending(ODD[0]).await.unwrap(), [""; 0]);
    });
}

#[test]
fn whatever_runs_at_once_both_sides_end_with_the_same_answer() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        for round in 0..10 {
            join_all((0..12).map(async |call| {
                if (call + round) % 2 == 0 {
                    graph.follow("ann", "bob").await.unwrap();
                } else {
                    graph.unfollow("ann", "bob").await.unwrap();
                }
            }))
            .await;
            let follows = graph.is_following("ann", "bob").await.unwrap();
            let listed = graph.followers("bob", None, 10).await.unwrap().users;
            assert_eq!(listed, if follows { vec!["ann"] } else { vec![] }, "round {round}");
            assert_eq!(graph.pending("ann").await.unwrap(), [""; 0]);
        }
    });
}

#[test]
fn a_change_that_was_cut_off_is_finished_by_repair_or_by_the_same_call() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        // The process dies after the decision.
        graph.decide("ann", "bob", true).await.unwrap();
        assert_eq!(graph.counts("bob").await.unwrap(), (0, 0), "the index is not written");
        assert_eq!(graph.pending("ann").await.unwrap(), ["bob"]);
        assert_eq!(graph.repair("ann").await.unwrap(), 1);
        assert_eq!(graph.followers("bob", None, 10).await.unwrap().users, ["ann"]);
        assert_eq!(graph.repair("ann").await.unwrap(), 0);

        graph.decide("ann", "bob", false).await.unwrap();
        assert_eq!(graph.repair("ann").await.unwrap(), 1);
        assert_eq!(graph.counts("bob").await.unwrap(), (0, 0));

        // After the index.
        graph.decide("ann", "cid", true).await.unwrap();
        graph.index("ann", "cid", true).await.unwrap();
        assert!(!graph.follow("ann", "cid").await.unwrap());
        assert_eq!(graph.counts("cid").await.unwrap(), (0, 1));
        assert_eq!(graph.pending("ann").await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_page_neither_repeats_nor_skips_anyone_while_others_come_and_go() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        for number in 0..25 {
            graph.follow(&format!("user{number:02}"), "bob").await.unwrap();
        }
        let (mut seen, mut after, mut number) = (Vec::new(), None, 25);
        loop {
            let page = graph.followers("bob", after, 7).await.unwrap();
            seen.extend(page.users.clone());
            // The one where the page ended leaves, the newest too, and two more come: offsets would shift by one each time.
            if let Some(last) = page.users.last() {
                graph.unfollow(last, "bob").await.unwrap();
            }
            for _ in 0..2 {
                graph.follow(&format!("user{number}"), "bob").await.unwrap();
                number += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (0..25).rev().map(|number| format!("user{number:02}")).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn friends_equal_a_recomputation() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        let mut random = StdRng::seed_from_u64(7);
        let users: Vec<String> = (0..24).map(|user| format!("user{user}")).collect();
        let mut edges = BTreeSet::new();
        for _ in 0..220 {
            let (one, other) = (random.random_range(0..24), random.random_range(0..24));
            if one != other {
                edges.insert((one, other));
            }
        }
        join_all(
            edges.iter().map(async |(one, other)| graph.follow(&users[*one], &users[*other]).await.unwrap()),
        )
        .await;
        let friends = |user: usize| -> BTreeSet<usize> {
            (0..24)
                .filter(|other| edges.contains(&(user, *other)) && edges.contains(&(*other, user)))
                .collect()
        };
        for user in 0..24 {
            let mut expected: Vec<String> =
                friends(user).iter().map(|friend| users[*friend].clone()).collect();
            expected.sort();
            assert_eq!(graph.friends(&users[user]).await.unwrap(), expected);
            let other = (user + 1) % 24;
            let mut mutual: Vec<String> =
                friends(user).intersection(&friends(other)).map(|friend| users[*friend].clone()).collect();
            mutual.sort();
            assert_eq!(graph.mutual_friends(&users[user], &users[other]).await.unwrap(), mutual);

            let mut common = BTreeMap::<String, usize>::new();
            for other in friends(user).into_iter().flat_map(friends) {
                if other != user && !edges.contains(&(user, other)) {
                    *common.entry(users[other].clone()).or_default() += 1;
                }
            }
            let mut ranked: Vec<(String, usize)> = common.into_iter().collect();
            ranked.sort_by(|(one, more), (other, less)| less.cmp(more).then(one.cmp(other)));
            ranked.truncate(5);
            assert_eq!(graph.friends_of_friends(&users[user], 5).await.unwrap(), ranked);
        }
    });
}

#[test]
fn a_lost_index_is_written_again_and_a_wrong_one_is_corrected() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        for other in ["bob", "cid", "dan"] {
            graph.follow("ann", other).await.unwrap();
        }
        let _: i64 = connection.send(&["DEL", graph.followers_key("bob").unwrap().as_str()]).await;
        let _: i64 =
            connection.send(&["ZADD", graph.followers_key("cid").unwrap().as_str(), "9", "zoe"]).await;
        assert_eq!(graph.reindex("ann", None).await.unwrap(), None);
        assert_eq!(graph.followers("bob", None, 10).await.unwrap().users, ["ann"]);
        assert_eq!(graph.recheck_followers("cid", None).await.unwrap(), None);
        assert_eq!(graph.followers("cid", None, 10).await.unwrap().users, ["ann"]);
    });
}

#[test]
fn nobody_follows_more_than_the_limit() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        let key = graph.following_key("ann").unwrap();
        let mut words = vec!["ZADD".to_owned(), key.as_str().to_owned()];
        for number in 1..MAX_FOLLOWING {
            words.extend([number.to_string(), format!("user{number}")]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _: i64 = connection.send(&words).await;
        assert!(graph.follow("ann", "bob").await.unwrap());
        assert_matches!(graph.follow("ann", "cid").await, Err(FollowError::TooMany));
        assert!(!graph.follow("ann", "bob").await.unwrap(), "is followed already");
        assert_eq!(graph.counts("cid").await.unwrap(), (0, 0));
        assert_eq!(graph.friends("ann").await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_key_of_another_type_is_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        let key = graph.following_key("ann").unwrap();
        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        let error = graph.follow("ann", "bob").await.unwrap_err();
        assert_matches!(&error, FollowError::Store(StoreError::WrongType(keys)) if keys.contains(key.as_str()));
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
    });
}

#[test]
fn a_call_takes_as_many_round_trips_as_it_says() {
    everywhere(async |connection: TestConnection, prefix| {
        let graph = SocialGraph::new(connection.clone(), &prefix);
        assert_eq!(connection.round_trips_of(graph.follow("ann", "bob")).await, 3);
        assert_eq!(connection.round_trips_of(graph.is_following("ann", "bob")).await, 1);
        assert_eq!(connection.round_trips_of(graph.followers("bob", None, 10)).await, 1);
        assert_eq!(connection.round_trips_of(graph.unfollow("ann", "bob")).await, 3);
    });
}
