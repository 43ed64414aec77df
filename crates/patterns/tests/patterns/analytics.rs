use std::collections::BTreeMap;
use std::time::Duration;

use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::analytics::{Analytics, RecordError, Recorded};
use patterns::key::Key;
use patterns::money::Cents;
use patterns::script::StoreError;

use crate::{connections, everywhere};

const MONDAY: &str = "2024-01-01";
const MAX_EXACT: i64 = (1 << 53) - 1;

fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

fn is_overflow(outcome: &Result<Recorded, RecordError>, of: &str) {
    assert_matches!(outcome, Err(RecordError::Overflow { metric }) if metric == of);
}

#[test]
fn an_event_counts_once_on_its_day_until_the_day_is_closed() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection, &prefix);
        let view = async |event, day, who| analytics.page_view(event, day, who).await.unwrap();
        let tuesday = "2024-01-02";
        assert_eq!(view("e1", MONDAY, "ann").await, Recorded::Counted);
        assert_eq!(view("e2", tuesday, "ann").await, Recorded::Counted);
        assert_eq!(view("e1", MONDAY, "ann").await, Recorded::Duplicate);
        // Late, but Monday is open.
        assert_eq!(view("e3", MONDAY, "2001:db8::1").await, Recorded::Counted);
        for _ in 0..2 {
            analytics.close(MONDAY).await.unwrap();
        }
        assert_eq!(view("e4", MONDAY, "eve").await, Recorded::TooLate);
        assert_eq!(view("e1", MONDAY, "ann").await, Recorded::TooLate);
        assert_eq!(view("e5", tuesday, "bob").await, Recorded::Counted);
        let days = analytics.of_days(&[MONDAY, tuesday]).await.unwrap();
        assert_eq!((days[0].get("page_views"), days[0].visitors, days[0].closed), (2, 2, true));
        assert_eq!((days[1].get("page_views"), days[1].visitors, days[1].closed), (2, 2, false));
        assert!(days[0].exact && days[1].exact);
        // A day on which nothing happened can be closed, too.
        analytics.close("2024-01-03").await.unwrap();
        assert_eq!(view("e6", "2024-01-03", "ann").await, Recorded::TooLate);
        assert!(analytics.of("2024-01-03").await.unwrap().values.is_empty());
        assert_eq!(analytics.of("2024-01-04").await.unwrap().visitors, 0);
    });
}

#[test]
fn events_of_one_moment_are_as_many_as_they_are() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection, &prefix);
        let events: Vec<String> = (0..30).map(|number| format!("event{number}")).collect();
        // All in flight at once, most of them within one millisecond. No ID is made of a time.
        let views = events.iter().map(|event| analytics.page_view(event, MONDAY, ""));
        for recorded in futures_util::future::join_all(views).await {
            assert_eq!(recorded.unwrap(), Recorded::Counted);
        }
        let day = analytics.of(MONDAY).await.unwrap();
        assert_eq!((day.get("page_views"), day.visitors), (30, 0));
    });
}

#[test]
fn a_day_closes_by_itself_and_keeps_its_counts() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix).with_open_for(Duration::from_millis(200));
        analytics.page_view("e1", MONDAY, "ann").await.unwrap();
        until("the day closes", async || analytics.of(MONDAY).await.unwrap().closed).await;
        assert_eq!(analytics.page_view("e1", MONDAY, "ann").await.unwrap(), Recorded::TooLate);
        assert_eq!(analytics.of(MONDAY).await.unwrap().get("page_views"), 1);
        let key = analytics.key(MONDAY).unwrap();
        for (name, least, most) in [
            (key.as_str(), 399 * 86_400, i64::MAX),
            (&key.companion("visitors"), 399 * 86_400, i64::MAX),
            (&key.companion("ids"), 1, 61),
        ] {
            let ttl: i64 = connection.send(&["TTL", name]).await;
            assert!((least..=most).contains(&ttl), "{name} lives {ttl} s");
        }
    });
}

#[test]
fn a_lost_key_is_noticed_and_nothing_is_too_late_because_of_it() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let view = async |event| analytics.page_view(event, MONDAY, "ann").await.unwrap();
        let key = analytics.key(MONDAY).unwrap();
        let lose = async |name: &str| assert_eq!(connection.send::<i64>(&["DEL", name]).await, 1);

        view("e1").await;
        lose(&key.companion("ids")).await;
        assert_eq!(view("e2").await, Recorded::Counted);
        assert_eq!(view("e2").await, Recorded::Duplicate);
        // It was counted before the loss.
        assert_eq!(view("e1").await, Recorded::Counted);
        let day = analytics.of(MONDAY).await.unwrap();
        assert_eq!((day.get("page_views"), day.exact), (3, false));

        lose(key.as_str()).await;
        assert_eq!(view("e3").await, Recorded::Counted);
        let day = analytics.of(MONDAY).await.unwrap();
        assert_eq!((day.get("page_views"), day.exact, day.visitors), (1, false, 1));
        assert!(connection.send::<i64>(&["PTTL", key.as_str()]).await > 0);

        lose(&key.companion("visitors")).await;
        assert_eq!(view("e4").await, Recorded::Counted);
        assert_eq!(analytics.of(MONDAY).await.unwrap().visitors, 1);

        let lines = [("A", cents(5))];
        analytics.order("o1", MONDAY, "ann", &lines).await.unwrap();
        let products = analytics.products_key(MONDAY).unwrap();
        lose(products.as_str()).await;
        analytics.order("o1", MONDAY, "ann", &lines).await.unwrap();
        analytics.order("o2", MONDAY, "ann", &lines).await.unwrap();
        assert_eq!(analytics.top(MONDAY, 9).await.unwrap(), [("A".to_owned(), cents(5))]);

        // Everything is lost: the day starts over, and is exact as far as is known.
        lose(key.as_str()).await;
        lose(&key.companion("ids")).await;
        assert_eq!(view("e1").await, Recorded::Counted);
        assert!(analytics.of(MONDAY).await.unwrap().exact);
    });
}

#[test]
fn a_day_that_began_while_the_clock_was_ahead_closes_in_time() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        analytics.page_view("e1", MONDAY, "ann").await.unwrap();
        let key = analytics.key(MONDAY).unwrap();
        let closes: u64 = connection.send(&["HGET", key.as_str(), ":closes"]).await;
        let far = closes + 86_400_000;
        let _: i64 = connection.send(&["HSET", key.as_str(), ":closes", &far.to_string()]).await;
        analytics.page_view("e2", MONDAY, "ann").await.unwrap();
        let healed: u64 = connection.send(&["HGET", key.as_str(), ":closes"]).await;
        assert!((closes..closes + 3_600_000).contains(&healed), "{closes} {healed}");
        assert!(analytics.of(MONDAY).await.unwrap().exact);
    });
}

#[test]
fn an_order_whose_second_step_was_cut_off_is_completed_by_sending_it_again() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let lines = [("A", cents(5)), ("B", cents(7)), ("A", cents(5))];
        assert_eq!(analytics.order("o1", MONDAY, "ann", &lines).await.unwrap(), Recorded::Counted);
        let products = analytics.products_key(MONDAY).unwrap();
        let _: i64 = connection.send(&["DEL", products.as_str(), &products.companion("orders")]).await;
        for _ in 0..2 {
            assert_eq!(analytics.order("o1", MONDAY, "ann", &lines).await.unwrap(), Recorded::Duplicate);
            let top = analytics.top(MONDAY, 9).await.unwrap();
            assert_eq!(top, [("A".to_owned(), cents(10)), ("B".to_owned(), cents(7))]);
        }
        let day = analytics.of(MONDAY).await.unwrap();
        assert_eq!((day.get("orders"), day.get("revenue")), (1, 17));

        assert_eq!(connection.round_trips_of(analytics.page_view("e1", MONDAY, "ann")).await, 1);
        assert_eq!(connection.round_trips_of(analytics.order("o2", MONDAY, "ann", &lines)).await, 2);
        assert_eq!(connection.round_trips_of(analytics.top(MONDAY, 10)).await, 1);
        assert_eq!(connection.round_trips_of(analytics.of(MONDAY)).await, 1);
    });
}

#[test]
fn numbers_at_their_limits_are_refused_and_nothing_changes() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let add = async |event, amount| analytics.add(event, MONDAY, ":returns", amount).await;
        let order = async |event, lines: &[(&str, Cents)]| analytics.order(event, MONDAY, "ann", lines).await;
        order("o1", &[("A", cents(MAX_EXACT - 5))]).await.unwrap();
        order("o2", &[("A", cents(2)), ("B", cents(3))]).await.unwrap();
        let top = analytics.top(MONDAY, 10).await.unwrap();
        assert_eq!(top, [("A".to_owned(), cents(MAX_EXACT - 3)), ("B".to_owned(), cents(3))]);
        is_overflow(&order("o3", &[("B", cents(1))]).await, "revenue");
        is_overflow(&order("o4", &[("A", cents(i64::MAX)), ("B", cents(1))]).await, "revenue");
        is_overflow(&add("m0", i64::MIN).await, "::returns");
        assert_eq!(add("m1", MAX_EXACT).await.unwrap(), Recorded::Counted);
        is_overflow(&add("m2", 1).await, "::returns");
        assert_eq!(add("m3", -MAX_EXACT).await.unwrap(), Recorded::Counted);
        // What was refused is not remembered, either. And a metric may have the name of a field of the pattern.
        assert_eq!(add("m2", -7).await.unwrap(), Recorded::Counted);
        assert_eq!(analytics.add("m4", MONDAY, ":closes", 3).await.unwrap(), Recorded::Counted);
        let day = analytics.of(MONDAY).await.unwrap();
        assert_eq!((day.get(":returns"), day.get(":closes"), day.closed), (-7, 3, false));
        assert_eq!((day.get("revenue"), day.get("orders")), (MAX_EXACT, 2));

        let lines: Vec<String> = (0..101).map(|number| format!("S{number}")).collect();
        let lines: Vec<(&str, Cents)> = lines.iter().map(|sku| (sku.as_str(), cents(0))).collect();
        assert_matches!(order("o5", &lines).await, Err(RecordError::TooManyLines { lines: 101 }));
        assert_eq!(order("o5", &lines[..100]).await.unwrap(), Recorded::Counted);
        let few = analytics.clone().with_max_events(4);
        let refused = few.page_view("e9", MONDAY, "ann").await;
        assert_matches!(refused, Err(RecordError::TooManyEvents { limit: 4 }));
        assert_eq!(few.add("m1", MONDAY, ":returns", 1).await.unwrap(), Recorded::Duplicate);
    });
}

#[test]
fn a_foreign_key_stops_an_event_before_anything_changes() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let key: Key = analytics.key(MONDAY).unwrap();
        let own = [key.as_str().to_owned(), key.companion("ids"), key.companion("visitors")];
        for foreign in &own {
            let _: i64 = connection.send(&["LPUSH", foreign, "x"]).await;
            let error = analytics.page_view("e1", MONDAY, "ann").await.unwrap_err();
            assert_matches!(error, RecordError::Store(StoreError::WrongType(_)), "{foreign}");
            for name in &own {
                let there = connection.send::<i64>(&["EXISTS", name]).await == 1;
                assert_eq!(there, name == foreign, "{foreign} is foreign");
            }
            let _: i64 = connection.send(&["DEL", foreign]).await;
        }
        let _: () = connection.send(&["SET", &own[2], "no HyperLogLog"]).await;
        assert!(analytics.page_view("e1", MONDAY, "ann").await.is_err());
        assert_eq!(connection.send::<i64>(&["EXISTS", &own[0], &own[1]]).await, 0);
        let _: i64 = connection.send(&["DEL", &own[2]]).await;
        let _: i64 = connection.send(&["HSET", &own[0], "page_views", "many"]).await;
        let refused = analytics.page_view("e1", MONDAY, "ann").await;
        assert_matches!(refused, Err(RecordError::Store(StoreError::Malformed(_))));
    });
}

const CLIENTS: usize = 8;
const EVENTS: usize = 240;
const DAYS: [&str; 3] = ["2024-01-01", "2024-01-02", "2024-01-03"];

/// Every client sends half of all events, each from another start, again and again until it is answered. Returns how many were
/// said to be counted, and how often one was sent again.
async fn send_all(connections: Vec<TestConnection>, prefix: &str) -> (usize, usize) {
    let mut clients = tokio::task::JoinSet::new();
    for (client, connection) in connections.into_iter().enumerate() {
        let analytics = Analytics::new(connection, prefix);
        clients.spawn(async move {
            let (mut counted, mut again) = (0, 0);
            for turn in (0..EVENTS).filter(|turn| (turn + client) % 2 == 1) {
                let number = (turn + client / 2 * 97) % EVENTS;
                let (event, visitor) = (format!("event-{number}"), format!("user{}", number % 50));
                loop {
                    let recorded = if number.is_multiple_of(4) {
                        let [one, other] = [0, 1].map(|of| format!("PROD{}", (number + of) % 7));
                        let lines = [(one.as_str(), amount(number)), (other.as_str(), amount(number))];
                        analytics.order(&event, DAYS[number % 3], &visitor, &lines).await
                    } else {
                        analytics.page_view(&event, DAYS[number % 3], &visitor).await
                    };
                    match recorded {
                        Ok(Recorded::Counted) => counted += 1,
                        Ok(Recorded::Duplicate) => {}
                        Ok(Recorded::TooLate) => panic!("the day is open"),
                        Err(RecordError::Store(StoreError::Redis(_))) => {
                            again += 1;
                            continue;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    break;
                }
            }
            (counted, again)
        });
    }
    clients.join_all().await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Large, so that a lost digit shows.
fn amount(number: usize) -> Cents {
    cents(1_000_000_000_000 + i64::try_from(number).unwrap())
}

async fn totals_are_those_of_distinct_events(connection: &TestConnection, prefix: &str) {
    let analytics = Analytics::new(connection.clone(), prefix);
    for (index, day) in DAYS.into_iter().enumerate() {
        let (mut views, mut orders, mut revenue, mut products) = (0, 0, 0, BTreeMap::new());
        for number in (0..EVENTS).filter(|number| number % 3 == index) {
            if number.is_multiple_of(4) {
                orders += 1;
                revenue += 2 * amount(number).get();
                for of in 0..2 {
                    *products.entry(format!("PROD{}", (number + of) % 7)).or_default() +=
                        amount(number).get();
                }
            } else {
                views += 1;
            }
        }
        let counted = analytics.of(day).await.unwrap();
        let numbers = ["page_views", "orders", "revenue"].map(|metric| counted.get(metric));
        assert_eq!(numbers, [views, orders, revenue], "{day}");
        let top = analytics.top(day, 100).await.unwrap();
        let top = top.into_iter().map(|(sku, cents)| (sku, cents.get())).collect::<BTreeMap<_, _>>();
        assert_eq!((top, counted.visitors), (products, 50), "{day}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_count_once_when_replies_are_lost_and_clients_send_again() {
    let prefix = prefix();
    let proxy = lossy_proxy(lab_testing::server(), 17);
    let connections = connections(CLIENTS, async || TestConnection::reconnecting(&proxy.url()).await).await;
    let (counted, again) = send_all(connections, &prefix).await;
    assert!(again > 20 && proxy.cuts() > 20, "{again} sent again, {} cuts", proxy.cuts());
    // If the reply was lost, the one that was sent again is called a duplicate.
    assert!(counted <= EVENTS, "{counted}");
    totals_are_those_of_distinct_events(&TestConnection::server().await, &prefix).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_count_once_on_a_cluster_whose_slots_move() {
    let prefix = prefix();
    let connection = TestConnection::cluster().await;
    let analytics = Analytics::new(connection.clone(), &prefix);
    let moving = MovingSlots::of(DAYS.map(|day| analytics.key(day).unwrap().as_str().to_owned()));
    let (counted, again) = send_all(vec![connection.clone(); CLIENTS], &prefix).await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
    assert_eq!((counted, again), (EVENTS, 0));
    totals_are_those_of_distinct_events(&connection, &prefix).await;
}
