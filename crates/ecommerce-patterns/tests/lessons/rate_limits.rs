//! The lesson on limits: the damage it counts, and what it leaves.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::rate_limits::{
    CountRequests, GuardLogin, LESSON, Measure, Replayed, StartWindow, Traffic,
};
use lab_runner::course;

use lab_testing::lessons::{commands, open, skipped, stored_keys, table, take};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_counts_the_damage_of_the_naive_ways_and_none_of_the_right_ones() {
    for cluster in [false, true] {
        let reports = take(&open(cluster).await, PatternLesson::RateLimits).await;
        let cells =
            |title| -> Vec<String> { table(&reports, title).iter().map(|row| row.join(" | ")).collect() };
        assert_eq!(cells("Asked together"), ["GET, compare, INCR | 5 | 20 | 15", "one step | 5 | 5 | 0"]);
        assert_eq!(cells("Clients that die"), ["INCR, then EXPIRE | 20 | 5 | 5", "one step | 20 | 5 | 0"]);
        assert_eq!(
            cells("Guessed together"),
            ["counted when they fail | 5 | 20 | 15", "counted when they begin | 5 | 5 | 0"]
        );
        assert_eq!(cells("Pauses"), ["pause in s | 1 | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256"]);
        // The bytes depend on the server.
        let traffic: Vec<String> =
            table(&reports, "The same traffic").iter().map(|row| row[..4].join(" | ")).collect();
        assert_eq!(
            traffic,
            [
                "fixed window | 150 | 59 | 56",
                "sliding log | 121 | 30 | 30",
                "sliding counter | 139 | 50 | 30",
                "token bucket of 30 | 167 | 51 | 32",
                "token bucket of 10 | 116 | 39 | 12",
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_the_seeds_are_left_for_an_hour() {
    let target = open(false).await;
    let reports = take(&target, PatternLesson::RateLimits).await;
    let names = [
        "rate_limit:api_key:minute",
        "failed_login:203.0.113.7",
        "failed_login:{failed_login:203.0.113.7}:block",
        "blocked_ip:203.0.113.7",
    ];
    assert_eq!(course::keys_of(&[reports]), names);
    let mut redis = target.connection();
    for (name, least) in names.into_iter().zip([3_000_000, 80_000_000, 3_000_000, 3_000_000]) {
        let kind: String = redis::cmd("TYPE").arg(name).query_async(&mut redis).await.unwrap();
        assert_eq!(kind, "string", "{name}");
        let ttl: i64 = redis::cmd("PTTL").arg(name).query_async(&mut redis).await.unwrap();
        assert!(ttl > least, "{name}: {ttl}");
    }
    let stored: Vec<String> =
        stored_keys(&target).await.into_iter().filter(|key| key.contains(':')).collect();
    assert!(names.iter().all(|name| stored.iter().any(|key| key == name)), "{stored:?}");
    let others: Vec<&String> = stored
        .iter()
        .filter(|key| ["rate_limit", "failed_login", "blocked_ip"].iter().any(|ours| key.starts_with(ours)))
        .filter(|key| !names.contains(&key.as_str()))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_it_teaches_and_skips_what_the_server_lacks() {
    let target = open(false).await;
    let reports = take(&target, PatternLesson::RateLimits).await;
    let shown = commands(&reports);
    for command in LESSON.commands {
        assert!(shown.iter().any(|line| line.starts_with(&format!("{command} "))), "{command}: {shown:?}");
    }
    let mut ask = redis::cmd("COMMAND");
    ask.arg("INFO").arg("INCREX");
    let known: Vec<redis::Value> = ask.query_async(&mut target.connection()).await.unwrap();
    let expected = usize::from(known[0] == redis::Value::Nil);
    assert_eq!(skipped(&reports).len(), expected);
}

/// With other numbers than those of the page.
#[tokio::test(flavor = "multi_thread")]
async fn the_naive_ways_fail_every_time_and_the_right_ones_never() {
    let target = open(false).await;
    let counted = async |count: CountRequests| count.crowd(&target, 9, 2).await.unwrap();
    assert_eq!((counted(CountRequests::GetThenIncr).await, counted(CountRequests::OneStep).await), (9, 2));
    let endless = async |start: StartWindow| start.clients(&target).await.unwrap();
    assert_eq!((endless(StartWindow::IncrThenExpire).await, endless(StartWindow::OneStep).await), (5, 0));
    let guessed = async |guard: GuardLogin| guard.crowd(&target, 33).await.unwrap();
    assert_eq!((guessed(GuardLogin::CountAfterwards).await, guessed(GuardLogin::CountBefore).await), (33, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_traffic_is_measured_the_same_twice() {
    let target = open(false).await;
    let traffic = Traffic::at_window_edges();
    for limiter in [Replayed::FixedWindow, Replayed::SlidingCounter] {
        let measure = async || Measure::of(&traffic, limiter, &target).await.unwrap();
        let first = measure().await;
        assert_eq!(first.round_trips, traffic.requests());
        assert_eq!(measure().await, first);
    }
}
