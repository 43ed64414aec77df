use lab_testing::TestConnection;
use patterns::script::StoreError;
use patterns::timeline::{Cursor, Entry, MAX_TIME, Page, PostError, Shown, Timeline};

use crate::everywhere;
use crate::timeline_oracle::walk;

type Timelines = Timeline<TestConnection>;

async fn push_all(timeline: &Timelines, author: &str) {
    while timeline.push(author).await.unwrap().more {}
}

async fn post(timeline: &Timelines, author: &str, id: &str, at: u64) {
    assert_eq!(timeline.post_at(author, id, at).await.unwrap(), at);
    push_all(timeline, author).await;
}

fn ids(entries: &[Shown]) -> Vec<&str> {
    entries.iter().map(|shown| shown.entry.id.as_str()).collect()
}

async fn all_ids(timeline: &Timelines, user: &str) -> Vec<String> {
    walk(timeline, user, 3).await.into_iter().map(|shown| shown.entry.id).collect()
}

fn numbered(numbers: impl Iterator<Item = u64>) -> Vec<String> {
    numbers.map(|number| format!("p{number:02}")).collect()
}

#[test]
fn a_timeline_has_the_posts_of_those_whom_the_user_follows() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        for (number, author) in ["{7}", "a b%20\n:", "ü@example.com"].iter().enumerate() {
            post(&timeline, author, "before {x}\n%", number as u64).await;
            assert!(timeline.follow("ann", author).await.unwrap());
            assert_eq!(timeline.read("ann", None, 10).await.unwrap().entries.len(), 2 * number + 1);
            post(&timeline, author, "after *?[ ]\\:", 10 + number as u64).await;
        }
        let page = timeline.read("ann", None, 10).await.unwrap();
        let first = Entry { id: "after *?[ ]\\:".into(), author: "ü@example.com".into(), reposted_by: None };
        assert_eq!(page.entries[0], Shown { entry: first, at: 12 });
        assert_eq!((page.entries.len(), page.next), (6, None));
        assert!(timeline.unfollow("ann", "{7}").await.unwrap());
        assert!(timeline.delete("ü@example.com", "before {x}\n%").await.unwrap());
        assert!(!timeline.delete("ü@example.com", "before {x}\n%").await.unwrap(), "again");
        assert_eq!(walk(&timeline, "ann", 1).await.len(), 3);
        assert_eq!(timeline.read("nobody", None, 10).await.unwrap(), Page::default());
    });
}

#[test]
fn the_same_id_again_changes_nothing_and_returns_the_first_time() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        timeline.follow("ann", "bob").await.unwrap();
        let at = timeline.post("bob", "a").await.unwrap();
        assert!(at > 1_600_000_000_000, "{at}");
        push_all(&timeline, "bob").await;
        assert_eq!(timeline.post_at("bob", "a", 5).await.unwrap(), at);
        push_all(&timeline, "bob").await;
        let page = timeline.read("ann", None, 10).await.unwrap();
        assert_eq!(page.entries.iter().map(|shown| shown.at).collect::<Vec<_>>(), [at]);
    });
}

/// Case T2 (a): a copy that was dropped, and then got a new post, is not taken for the whole.
#[test]
fn a_timeline_that_was_dropped_has_its_older_posts_when_the_owner_returns() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        timeline.follow("ann", "bob").await.unwrap();
        for number in 0..6 {
            post(&timeline, "bob", &format!("p{number:02}"), number).await;
        }
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..6).rev()));
        timeline.drop_timeline("ann").await.unwrap();
        post(&timeline, "bob", "p06", 6).await;
        let key = timeline.timeline_key("ann").unwrap();
        assert_eq!(connection.send::<u64>(&["EXISTS", key.as_str()]).await, 0, "nobody reads it");
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..7).rev()));
    });
}

/// Case T2 (b).
#[test]
fn posts_from_while_pushing_was_off_are_there_in_order() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        let off = timeline.clone().with_celebrities_at(0);
        timeline.follow("ann", "bob").await.unwrap();
        timeline.read("ann", None, 10).await.unwrap();
        for number in 0..5 {
            post(&off, "bob", &format!("p{number:02}"), number).await;
        }
        for number in 5..10 {
            post(&timeline, "bob", &format!("p{number:02}"), number).await;
        }
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..10).rev()));
        assert_eq!(all_ids(&off, "ann").await, numbered((0..10).rev()));
    });
}

/// Case T2 (c): a builder that died leaves a mark, which ends by itself. Meanwhile, the answer is complete.
#[test]
fn a_timeline_whose_builder_died_is_complete_and_the_mark_of_the_builder_expires() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        timeline.follow("ann", "bob").await.unwrap();
        post(&timeline, "bob", "p00", 0).await;
        let key = timeline.timeline_key("ann").unwrap();
        let begin = patterns::timeline::BEGIN.call(&[key.as_str()]).arg(60_000);
        let reply: patterns::script::Reply = begin.run(&connection).await.unwrap();
        assert_eq!(reply.outcome, "BEGUN");
        post(&timeline, "bob", "p01", 1).await;
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..2).rev()));
        let ttl: i64 = connection.send(&["PTTL", key.as_str()]).await;
        assert!((1..=60_000).contains(&ttl), "{ttl}");
        let _: i64 = connection.send(&["DEL", key.as_str()]).await;
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..2).rev()));
        let mark: Option<f64> = connection.send(&["ZSCORE", key.as_str(), ":complete"]).await;
        assert_eq!(mark, Some(0.0), "it was built");
    });
}

#[test]
fn a_builder_that_comes_back_too_late_changes_nothing() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        timeline.follow("ann", "bob").await.unwrap();
        post(&timeline, "bob", "p00", 0).await;
        let key = timeline.timeline_key("ann").unwrap();
        let install = patterns::timeline::INSTALL.call(&[key.as_str()]).arg(7).arg(0).arg(1_000).arg(800);
        let reply: patterns::script::Reply = install.run(&connection).await.unwrap();
        assert_eq!(reply.outcome, "STALE");
        assert_eq!(all_ids(&timeline, "ann").await, ["p00"]);
        let reply: patterns::script::Reply = install.run(&connection).await.unwrap();
        assert_eq!(reply.outcome, "STALE");
    });
}

/// Case T2 (d).
#[test]
fn newer_than_an_old_entry_are_its_neighbors() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix).with_max_entries(5);
        timeline.follow("ann", "bob").await.unwrap();
        for number in 0..20 {
            post(&timeline, "bob", &format!("p{number:02}"), number).await;
        }
        let all = walk(&timeline, "ann", 3).await;
        assert_eq!(all.len(), 20);
        let old = &all[17];
        assert_eq!(ids(&timeline.newer("ann", old, 3).await.unwrap()), ["p03", "p04", "p05"]);
        assert_eq!(ids(&timeline.newer("ann", &all[2], 3).await.unwrap()), ["p18", "p19"]);
        assert_eq!(ids(&timeline.newer("ann", &all[0], 3).await.unwrap()), [""; 0]);
    });
}

#[test]
fn a_copy_is_bounded_and_what_no_longer_fits_is_read_from_the_authors() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix).with_max_entries(10);
        for author in ["bob", "cid"] {
            timeline.follow("ann", author).await.unwrap();
        }
        timeline.read("ann", None, 10).await.unwrap();
        for number in 0..60 {
            let author = if number % 2 == 0 { "bob" } else { "cid" };
            post(&timeline, author, &format!("p{number:02}"), number / 4).await;
        }
        let key = timeline.timeline_key("ann").unwrap();
        let size: usize = connection.send(&["ZCARD", key.as_str()]).await;
        assert!(size <= 11, "{size}");
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..60).rev()));
        // More of one author than the copy holds.
        timeline.unfollow("ann", "bob").await.unwrap();
        timeline.follow("ann", "bob").await.unwrap();
        assert_eq!(all_ids(&timeline, "ann").await, numbered((0..60).rev()));
    });
}

/// Case T3, with posts that are deleted, and with posts that are muted.
#[test]
fn a_page_of_hidden_posts_neither_ends_nor_stops_the_walk() {
    everywhere(async |connection, prefix| {
        for celebrities_at in [0, usize::MAX] {
            let prefix = format!("{prefix}{celebrities_at}:");
            let timeline = Timeline::new(connection.clone(), &prefix).with_celebrities_at(celebrities_at);
            for author in ["bob", "muted"] {
                timeline.follow("ann", author).await.unwrap();
            }
            timeline.read("ann", None, 10).await.unwrap();
            for number in 0..20 {
                post(&timeline, "bob", &format!("p{number:02}"), number).await;
            }
            for number in 20..200 {
                post(&timeline, "muted", &format!("m{number}"), number).await;
            }
            let shows = |entry: &Entry| entry.author != "muted";
            let (mut found, mut after, mut pages) = (Vec::new(), None::<Cursor>, 0);
            loop {
                let page = timeline.read_where("ann", after.as_ref(), 10, shows).await.unwrap();
                found.extend(page.entries);
                pages += 1;
                assert!(after.is_none() || page.next != after, "no cursor comes twice");
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(ids(&found), numbered((0..20).rev()));
            assert!(pages < 10, "{pages}");

            for number in 20..30 {
                post(&timeline, "bob", &format!("p{number}"), 1_000 + number).await;
            }
            for number in 20..30 {
                timeline.delete("bob", &format!("p{number}")).await.unwrap();
            }
            timeline.unfollow("ann", "muted").await.unwrap();
            assert_eq!(all_ids(&timeline, "ann").await, numbered((0..20).rev()));
        }
    });
}

/// Case T4.
#[test]
fn undoing_a_repost_leaves_what_others_added() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix).with_max_entries(4);
        for author in ["bob", "f1", "f2"] {
            timeline.follow("ann", author).await.unwrap();
        }
        timeline.read("ann", None, 10).await.unwrap();
        for (id, at) in [("p00", 0), ("p01", 1), ("p02", 2)] {
            post(&timeline, "bob", id, at).await;
        }
        for (by, at) in [("f1", 10), ("f2", 11)] {
            timeline.repost_at(by, "bob", "p00", at).await.unwrap();
            push_all(&timeline, by).await;
        }
        let by = |shown: &Shown| shown.entry.reposted_by.clone();
        let all = walk(&timeline, "ann", 1).await;
        assert_eq!((ids(&all), by(&all[0])), (vec!["p00", "p02", "p01"], Some("f2".to_owned())));
        assert!(timeline.undo_repost("f1", "bob", "p00").await.unwrap());
        let all = walk(&timeline, "ann", 1).await;
        assert_eq!((ids(&all), by(&all[0])), (vec!["p00", "p02", "p01"], Some("f2".to_owned())));
        assert!(timeline.undo_repost("f2", "bob", "p00").await.unwrap());
        assert_eq!(all_ids(&timeline, "ann").await, ["p02", "p01", "p00"], "back at its own place");

        // The author is not followed: only reposts show the post.
        timeline.repost_at("f1", "bob", "p01", 12).await.unwrap();
        push_all(&timeline, "f1").await;
        timeline.unfollow("ann", "bob").await.unwrap();
        assert_eq!(all_ids(&timeline, "ann").await, ["p01"]);
        timeline.undo_repost("f1", "bob", "p01").await.unwrap();
        assert_eq!(all_ids(&timeline, "ann").await, [""; 0]);

        // A post that is deleted takes its reposts along.
        timeline.repost_at("f1", "bob", "p02", 13).await.unwrap();
        push_all(&timeline, "f1").await;
        assert_eq!(all_ids(&timeline, "ann").await, ["p02"]);
        timeline.delete("bob", "p02").await.unwrap();
        assert_eq!(all_ids(&timeline, "ann").await, [""; 0]);

        // After the trim, nothing names the post or its reposts.
        for number in 20..30 {
            post(&timeline, "f1", &format!("p{number}"), number).await;
        }
        timeline.undo_repost("f1", "bob", "p02").await.unwrap();
        let key = timeline.timeline_key("ann").unwrap();
        let kept: Vec<String> = connection.send(&["ZRANGE", key.as_str(), "0", "-1"]).await;
        assert!(kept.iter().all(|entry| !entry.contains("p0")), "{kept:?}");
        for key in connection.keys(&format!("{prefix}*")).await {
            let known = ["following:", "followers:", "posts:", "timeline:ann"];
            assert!(known.iter().any(|known| key[prefix.len()..].starts_with(known)), "{key}");
        }
    });
}

/// Case T7: time orders posts, and does not name them.
#[test]
fn posts_of_the_same_time_and_late_ones_are_all_there_in_the_order_that_is_stated() {
    everywhere(async |connection, prefix| {
        for celebrities_at in [0, usize::MAX] {
            let prefix = format!("{prefix}{celebrities_at}:");
            let timeline = Timeline::new(connection.clone(), &prefix).with_celebrities_at(celebrities_at);
            for author in ["bob", "cid"] {
                timeline.follow("ann", author).await.unwrap();
            }
            timeline.read("ann", None, 10).await.unwrap();
            // (a) Three events in a millisecond.
            for (author, id) in [("bob", "b"), ("cid", "a"), ("bob", "c")] {
                post(&timeline, author, id, 3).await;
            }
            assert_eq!(all_ids(&timeline, "ann").await, ["c", "b", "a"]);
            // (b) One arrives late.
            for at in [5, 9, 7] {
                post(&timeline, "cid", &format!("at{at}"), at).await;
            }
            assert_eq!(all_ids(&timeline, "ann").await, ["at9", "at7", "at5", "c", "b", "a"]);
            // (c) Numbers above 2^53 are IDs, and IDs are text.
            for (author, id) in
                [("cid", "9007199254740993"), ("bob", "9007199254740992"), ("bob", "9007199254740994")]
            {
                post(&timeline, author, id, 100).await;
            }
            let page = timeline.read("ann", None, 3).await.unwrap();
            assert_eq!(ids(&page.entries), ["9007199254740994", "9007199254740993", "9007199254740992"]);
            // A time that a score would round is refused.
            assert_matches!(timeline.post_at("bob", "x", MAX_TIME + 1).await, Err(PostError::Time));
            post(&timeline, "bob", "last", MAX_TIME).await;
            post(&timeline, "cid", "next to last", MAX_TIME - 1).await;
            let page = timeline.read("ann", None, 2).await.unwrap();
            assert_eq!(ids(&page.entries), ["last", "next to last"]);
        }
    });
}

#[test]
fn a_push_that_was_cut_off_goes_on_where_it_was() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        let graph = timeline.graph();
        let key = graph.followers_key("bob").unwrap();
        let mut words = vec!["ZADD".to_owned(), key.as_str().to_owned()];
        for number in 1..=1_200 {
            words.extend([number.to_string(), format!("user{number}")]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _: i64 = connection.send(&words).await;
        for reader in ["user1", "user1200"] {
            let key = graph.following_key(reader).unwrap();
            let _: i64 = connection.send(&["ZADD", key.as_str(), "1", "bob"]).await;
            timeline.read(reader, None, 10).await.unwrap();
        }
        timeline.post("bob", "a").await.unwrap();
        assert_eq!(timeline.push("bob").await.unwrap().followers, 500);
        assert_eq!(all_ids(&timeline, "user1").await, ["a"]);
        assert_eq!(all_ids(&timeline, "user1200").await, [""; 0]);
        // The process dies, and another one goes on. A follower who comes meanwhile is not missed.
        let other = Timeline::new(connection.clone(), &prefix);
        other.read("late", None, 10).await.unwrap();
        other.follow("late", "bob").await.unwrap();
        let mut reached = Vec::new();
        while let pushed = other.push("bob").await.unwrap()
            && pushed.more
        {
            reached.push(pushed.followers);
        }
        assert_eq!(reached, [500, 201]);
        for reader in ["user1", "user1200", "late"] {
            assert_eq!(all_ids(&timeline, reader).await, ["a"]);
        }
        assert_eq!(timeline.push("bob").await.unwrap().followers, 0);
        // A post that is deleted meanwhile is not pushed on.
        timeline.post("bob", "b").await.unwrap();
        timeline.push("bob").await.unwrap();
        timeline.delete("bob", "b").await.unwrap();
        assert!(!timeline.push("bob").await.unwrap().more);
    });
}

#[test]
fn a_follow_that_was_cut_off_shows_all_posts_at_once() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        timeline.follow("ann", "cid").await.unwrap();
        timeline.read("ann", None, 10).await.unwrap();
        post(&timeline, "bob", "p00", 0).await;
        timeline.graph().decide("ann", "bob", true).await.unwrap();
        post(&timeline, "bob", "p01", 1).await;
        assert_eq!(all_ids(&timeline, "ann").await, ["p01", "p00"]);
        assert_eq!(timeline.repair("ann").await.unwrap(), 1);
        post(&timeline, "bob", "p02", 2).await;
        assert_eq!(all_ids(&timeline, "ann").await, ["p02", "p01", "p00"]);
    });
}

#[test]
fn an_author_who_becomes_a_celebrity_loses_no_posts() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix).with_celebrities_at(3);
        timeline.follow("user0", "bob").await.unwrap();
        timeline.read("user0", None, 10).await.unwrap();
        for number in 0..6 {
            timeline.follow(&format!("user{number}"), "bob").await.unwrap();
            post(&timeline, "bob", &format!("p{number:02}"), number).await;
        }
        timeline.post("bob", "unpushed").await.unwrap();
        assert_eq!(timeline.push("bob").await.unwrap().followers, 0, "nobody is pushed");
        let mut expected = vec!["unpushed".to_owned()];
        expected.extend(numbered((0..6).rev()));
        for number in 0..6 {
            assert_eq!(all_ids(&timeline, &format!("user{number}")).await, expected);
        }
    });
}

#[test]
fn a_timeline_ends_after_a_pause_and_a_cursor_outlives_it() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        timeline.follow("ann", "bob").await.unwrap();
        for number in 0..9 {
            post(&timeline, "bob", &format!("p{number:02}"), number).await;
        }
        let first = timeline.read("ann", None, 4).await.unwrap();
        let ttl: i64 = connection.send(&["PTTL", timeline.timeline_key("ann").unwrap().as_str()]).await;
        assert!(ttl > 6 * 24 * 3_600_000, "{ttl}");
        timeline.drop_timeline("ann").await.unwrap();
        post(&timeline, "bob", "p09", 9).await;
        let second = timeline.read("ann", first.next.as_ref(), 10).await.unwrap();
        assert_eq!(ids(&second.entries), numbered((0..5).rev()));
    });
}

#[test]
fn a_text_that_is_no_cursor_is_refused() {
    for text in ["", "x", "1", "-1 a", "99999999999999999999 a", "nan a"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn a_key_of_another_type_is_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        let key = timeline.posts_key("bob").unwrap();
        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        let error = timeline.post("bob", "a").await.unwrap_err();
        assert_matches!(&error, PostError::Store(StoreError::WrongType(keys)) if keys.contains(key.as_str()));
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
        let key = timeline.timeline_key("ann").unwrap();
        let _: i64 =
            connection.send(&["ZADD", key.as_str(), "5", ":complete", "5", "no entry at all here"]).await;
        timeline.follow("ann", "cid").await.unwrap();
        assert_matches!(timeline.read("ann", None, 10).await, Err(StoreError::Malformed(_)));
    });
}

#[test]
fn a_call_takes_as_many_round_trips_as_it_says() {
    everywhere(async |connection, prefix| {
        let timeline = Timeline::new(connection.clone(), &prefix);
        assert_eq!(connection.round_trips_of(timeline.follow("ann", "bob")).await, 5);
        timeline.read("ann", None, 10).await.unwrap();
        assert_eq!(connection.round_trips_of(timeline.post("bob", "a")).await, 2);
        push_all(&timeline, "bob").await;
        assert_eq!(connection.round_trips_of(timeline.read("ann", None, 10)).await, 4);
        assert_eq!(connection.round_trips_of(timeline.delete("bob", "a")).await, 1);
        assert_eq!(connection.round_trips_of(timeline.unfollow("ann", "bob")).await, 3);
    });
}
