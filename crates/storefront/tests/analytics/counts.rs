//! Metrics, visitors, funnels, weeks and retention, against counting in memory.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::Value;
use storefront::analytics::{
    ActiveUsers, Counting, DailyMetrics, Day, Event, Funnel, FunnelError, MOST_BIT, Reached, RecordError,
    Recorded, RetentionError, RollUpError, Steps, UniqueVisitors, VisitorError, WeeklyMetrics,
};
use storefront::{Cents, CustomerId, Label, StoreError, UserId};
use tokio::task::JoinSet;

use crate::shop::{self, in_each_layout};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

fn visitor(number: u64) -> CustomerId {
    UserId::new(number + 1).unwrap().into()
}

fn view(id: &str, on: Day, who: u64) -> Event {
    Event::page_view(id.parse().unwrap(), on, visitor(who))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_counts_once_on_its_day_until_the_day_is_closed() {
    in_each_layout(async |wire, keys| {
        let metrics = DailyMetrics::new(wire.clone(), keys.clone());
        let (monday, tuesday) = (day("2024-01-01"), day("2024-01-02"));
        assert_eq!(metrics.record(&view("e1", monday, 1)).await.unwrap(), Recorded::Counted);
        assert_eq!(metrics.record(&view("e2", tuesday, 1)).await.unwrap(), Recorded::Counted);
        assert_eq!(metrics.record(&view("e1", monday, 1)).await.unwrap(), Recorded::Duplicate);
        // Late, but Monday is open.
        assert_eq!(metrics.record(&view("e3", monday, 2)).await.unwrap(), Recorded::Counted);
        metrics.close(monday).await.unwrap();
        metrics.close(monday).await.unwrap();
        assert_eq!(metrics.record(&view("e4", monday, 3)).await.unwrap(), Recorded::TooLate);
        assert_eq!(metrics.record(&view("e1", monday, 1)).await.unwrap(), Recorded::TooLate);
        assert_eq!(metrics.record(&view("e5", tuesday, 2)).await.unwrap(), Recorded::Counted);
        let [first, second] = &metrics.of_days(&[monday, tuesday]).await.unwrap()[..] else { panic!() };
        assert_eq!((first.get("page_views"), first.visitors), (2, 2));
        assert_eq!((second.get("page_views"), second.visitors), (2, 2));
        // A day on which nothing happened can be closed too.
        let wednesday = day("2024-01-03");
        metrics.close(wednesday).await.unwrap();
        assert_eq!(metrics.record(&view("e6", wednesday, 1)).await.unwrap(), Recorded::TooLate);
        assert_eq!(metrics.of(wednesday).await.unwrap().get("page_views"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_closes_by_itself_and_keeps_its_counts() {
    in_each_layout(async |wire, keys| {
        let open = Duration::from_secs(1);
        let metrics = DailyMetrics::new(wire.clone(), keys.clone()).with_open_for(open);
        let monday = day("2024-01-01");
        metrics.record(&view("e1", monday, 1)).await.unwrap();
        let events = keys.daily_events(monday);
        shop::until("the ids are forgotten", async || wire.send(&["EXISTS", &events]).await == Value::Int(0))
            .await;
        assert_eq!(metrics.record(&view("e1", monday, 1)).await.unwrap(), Recorded::TooLate);
        assert_eq!(metrics.of(monday).await.unwrap().get("page_views"), 1);
        for key in [keys.daily_metrics(monday), keys.daily_visitors(monday)] {
            let Value::Int(ttl) = wire.send(&["TTL", &key]).await else { panic!() };
            assert!(ttl > 399 * 86_400, "{key} lives {ttl} s");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_at_their_limits_are_refused_and_nothing_changes() {
    in_each_layout(async |wire, keys| {
        let metrics = DailyMetrics::new(wire.clone(), keys.clone());
        let monday = day("2024-01-01");
        let order = |id: &str, lines: &[(&str, i64)]| {
            let lines = lines.iter().map(|(sku, price)| (sku.parse().unwrap(), cents(*price))).collect();
            Event::order(id.parse().unwrap(), monday, visitor(1), lines)
        };
        let most_exact = (1 << 53) - 1;
        metrics.record(&order("o1", &[("A", most_exact - 5)])).await.unwrap();
        metrics.record(&order("o2", &[("A", 5), ("B", 7)])).await.unwrap();
        let exact = vec![("A".parse().unwrap(), cents(most_exact)), ("B".parse().unwrap(), cents(7))];
        assert_eq!(metrics.top(monday, 10).await.unwrap(), exact);

        let is_overflow = |outcome: Result<Recorded, RecordError>, of: &str| match outcome {
            Err(RecordError::Overflow { metric }) => assert_eq!(metric, of),
            other => panic!("{other:?}"),
        };
        let before = dump(&wire, &keys, monday).await;
        is_overflow(metrics.record(&order("o3", &[("B", 1), ("A", 1)])).await, "A");
        is_overflow(metrics.record(&order("o4", &[("A", i64::MAX), ("B", 1)])).await, "revenue");
        let most =
            |id: &str, amount| Event::other(id.parse().unwrap(), monday, "returns".parse().unwrap(), amount);
        is_overflow(metrics.record(&most("m0", i64::MIN)).await, "returns");
        assert_eq!(dump(&wire, &keys, monday).await, before);
        metrics.record(&most("m1", i64::MAX)).await.unwrap();
        let before = dump(&wire, &keys, monday).await;
        is_overflow(metrics.record(&most("m2", 1)).await, "returns");
        assert_eq!(dump(&wire, &keys, monday).await, before);
        metrics.record(&most("m3", -i64::MAX)).await.unwrap();
        assert_eq!(metrics.of(monday).await.unwrap().get("returns"), 0);
        // What was refused was not remembered either.
        metrics.record(&most("m2", 1)).await.unwrap();

        // The second metric of an order at its limit: the first is taken back.
        wire.send(&["HSET", &keys.daily_metrics(monday), "orders", &i64::MAX.to_string()]).await;
        let before = dump(&wire, &keys, monday).await;
        is_overflow(metrics.record(&order("o5", &[("B", 1)])).await, "orders");
        assert_eq!(dump(&wire, &keys, monday).await, before);

        let lines = (0..101).map(|n| (format!("S{n}").parse().unwrap(), cents(1))).collect();
        let long = Event::order("o6".parse().unwrap(), monday, visitor(1), lines);
        assert!(matches!(metrics.record(&long).await, Err(RecordError::TooManyLines { lines: 101 })));
        let few = metrics.clone().with_most_events(4);
        let refused = few.record(&view("e9", monday, 1)).await;
        assert!(matches!(refused, Err(RecordError::TooManyEvents { limit: 4 })), "{refused:?}");
        assert_eq!(few.record(&order("o1", &[("A", 1)])).await.unwrap(), Recorded::Duplicate);
    })
    .await;
}

/// DUMP of what belongs to a day; the HyperLogLog has a cached count, and Sets no order, so those by content.
async fn dump(wire: &shop::Wire, keys: &storefront::Keys, day: Day) -> Vec<Value> {
    let metrics = wire.send(&["DUMP", &keys.daily_metrics(day)]).await;
    let events = wire.send(&["SCARD", &keys.daily_events(day)]).await;
    let visitors = wire.send(&["PFCOUNT", &keys.daily_visitors(day)]).await;
    vec![metrics, events, visitors, wire.send(&["DUMP", &keys.top_products(day)]).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_somebody_else_stops_an_event_before_anything_changes() {
    in_each_layout(async |wire, keys| {
        let metrics = DailyMetrics::new(wire.clone(), keys.clone());
        let monday = day("2024-01-01");
        let order =
            Event::order("o1".parse().unwrap(), monday, visitor(1), vec![("A".parse().unwrap(), cents(5))]);
        let all = [
            keys.daily_metrics(monday),
            keys.daily_events(monday),
            keys.daily_visitors(monday),
            keys.top_products(monday),
        ];
        for foreign in &all {
            wire.send(&["LPUSH", foreign, "x"]).await;
            let error = metrics.record(&order).await.unwrap_err();
            assert!(error.to_string().contains("WRONGTYPE"), "{foreign}: {error}");
            for key in &all {
                let there = wire.send(&["EXISTS", key]).await == Value::Int(1);
                assert!(key == foreign || !there, "{foreign} is foreign, {key} was written");
            }
            wire.send(&["DEL", foreign]).await;
        }
        assert_eq!(metrics.record(&order).await.unwrap(), Recorded::Counted);
        metrics.close(monday).await.unwrap();
        wire.send(&["HSET", &all[0], "page_views", "many"]).await;
        wire.send(&["SADD", &all[1], "other"]).await;
        let refused = metrics.record(&view("e1", monday, 1)).await;
        assert!(matches!(refused, Err(RecordError::Store(StoreError::Malformed { .. }))), "{refused:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_takes_one_round_trip() {
    in_each_layout(async |wire, keys| {
        let metrics = DailyMetrics::new(wire.clone(), keys.clone());
        let monday = day("2024-01-01");
        metrics.record(&view("e1", monday, 1)).await.unwrap();
        let lines = vec![("A".parse().unwrap(), cents(5)), ("B".parse().unwrap(), cents(5))];
        let order = Event::order("o1".parse().unwrap(), monday, visitor(1), lines);
        assert_eq!(wire.round_trips_of(metrics.record(&view("e2", monday, 1))).await, 1);
        assert_eq!(wire.round_trips_of(metrics.record(&order)).await, 1);
        assert_eq!(wire.round_trips_of(metrics.top(monday, 10)).await, 1);
        let funnel = Funnel::of_day(wire.clone(), keys.clone(), steps(), monday);
        funnel.reached(&visitor(1), &label("view")).await.unwrap();
        assert_eq!(wire.round_trips_of(funnel.reached(&visitor(1), &label("cart"))).await, 1);
        assert_eq!(wire.round_trips_of(funnel.report()).await, 1);
        let active = ActiveUsers::new(wire.clone(), keys.clone());
        active.retention(monday, 7).await.unwrap();
        assert_eq!(wire.round_trips_of(active.retention(monday, 7)).await, 1);
    })
    .await;
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn steps() -> Steps {
    Steps::new(["view", "cart", "checkout", "purchase"].map(label)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funnel_counts_each_visitor_once_for_each_step_whatever_order_events_come_in() {
    in_each_layout(async |wire, keys| {
        let names = ["view", "cart", "checkout", "purchase"];
        let funnel = Funnel::of_day(wire.clone(), keys.clone(), steps(), day("2024-01-01"));
        // Visitor n reaches step n % 4; twelve clients report everybody's steps at once, each in another order.
        let visitors = 80;
        let mut clients = JoinSet::new();
        for client in 0..12_u64 {
            let funnel = funnel.clone();
            clients.spawn(async move {
                let mut numbers = StdRng::seed_from_u64(client);
                for turn in 0..visitors {
                    let who = (turn * 7 + client * 13) % visitors;
                    let deepest = who % 4;
                    let step = if client < 4 { deepest } else { numbers.random_range(0..deepest + 1) };
                    let step = names[usize::try_from(step).unwrap()];
                    funnel.reached(&visitor(who), &label(step)).await.unwrap();
                }
            });
        }
        clients.join_all().await;
        let report = funnel.report().await.unwrap();
        let counted: Vec<u64> = report.iter().map(|step| step.visitors).collect();
        assert_eq!(counted, [80, 60, 40, 20]);
        let shares: Vec<f64> = report.iter().map(|step| step.of_previous).collect();
        assert_eq!(shares, [1.0, 0.75, 40.0 / 60.0, 0.5]);
        assert!((report[3].of_first - 0.25).abs() < 1e-12);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_counts_for_those_before_it_and_unknown_ones_for_none() {
    in_each_layout(async |wire, keys| {
        let funnel = Funnel::today(wire.clone(), keys.clone(), steps());
        let reached = async |who, step| funnel.reached(&visitor(who), &label(step)).await.unwrap();
        assert_eq!(reached(1, "checkout").await, Reached::Counted { steps: 3 });
        assert_eq!(reached(1, "view").await, Reached::Known);
        assert_eq!(reached(1, "purchase").await, Reached::Counted { steps: 1 });
        assert_eq!(reached(1, "purchase").await, Reached::Known);
        let unknown = funnel.reached(&visitor(1), &label("gift")).await;
        assert!(matches!(unknown, Err(FunnelError::UnknownStep { .. })));
        let Value::Int(ttl) = wire.send(&["TTL", &keys.funnel_today()]).await else { panic!() };
        assert!((0..=86_400).contains(&ttl), "{ttl}");
        wire.send(&["HSET", &keys.funnel_today(), "cart", "many"]).await;
        let refused = funnel.reached(&visitor(2), &label("cart")).await;
        assert!(matches!(refused, Err(FunnelError::Store(StoreError::Malformed { .. }))), "{refused:?}");
        assert!(Steps::new([]).is_err() && Steps::new([label("a"), label("a")]).is_err());
        assert!(Steps::new((0..17).map(|n| label(&n.to_string()))).is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_and_bitmaps_count_visitors_exactly_and_hyperloglogs_within_three_standard_errors() {
    in_each_layout(async |wire, keys| {
        let monday = day("2024-01-01");
        for size in [10_u64, 1_000, 30_000] {
            let on = monday.plus(i32::try_from(size).unwrap()).unwrap();
            let mut numbers = StdRng::seed_from_u64(size);
            let visits: Vec<UserId> =
                (0..size).map(|_| UserId::new(1 + numbers.random_range(0..2 * size)).unwrap()).collect();
            let distinct = visits.iter().collect::<HashSet<_>>().len() as u64;
            for counting in Counting::ALL {
                let visitors = UniqueVisitors::new(wire.clone(), keys.clone(), counting);
                visitors.add(on, &visits).await.unwrap();
                visitors.add(on, &visits[..visits.len() / 2]).await.unwrap();
                let counted = visitors.count(on).await.unwrap();
                let error = counted.abs_diff(distinct) as f64 / distinct as f64;
                let bound = if counting == Counting::HyperLogLog { 3.0 * 0.0081 } else { 0.0 };
                assert!(error <= bound, "{counting:?}: {counted} of {distinct}");
            }
        }
        let far = UserId::new(MOST_BIT + 1).unwrap();
        let bits = UniqueVisitors::new(wire.clone(), keys.clone(), Counting::Bitmap);
        let refused = bits.add(monday, &[UserId::new(1).unwrap(), far]).await;
        assert!(matches!(refused, Err(VisitorError::NumberTooHigh { .. })));
        assert_eq!(bits.count(monday).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_are_the_sums_and_unions_of_their_days() {
    in_each_layout(async |wire, keys| {
        let daily = DailyMetrics::new(wire.clone(), keys.clone());
        let weekly = WeeklyMetrics::new(wire.clone(), keys.clone());
        let week = day("2024-12-30").week();
        assert_eq!(weekly.roll_up(week).await.unwrap().visitors, 0);
        let (mut values, mut products) = (BTreeMap::<&str, i128>::new(), BTreeMap::<String, i128>::new());
        let (mut visitors, mut numbers) = (HashSet::new(), StdRng::seed_from_u64(3));
        for event in 0..300 {
            let on = week.days().nth(usize::try_from(numbers.random_range(0..7)).unwrap()).unwrap();
            let who = numbers.random_range(0..120);
            visitors.insert(who);
            let id = format!("e{event}");
            let event = if numbers.random_range(0..3) == 0 {
                let amount = numbers.random_range(0..1_i64 << 40);
                let sku = format!("PROD{}", numbers.random_range(0..12));
                *values.entry("orders").or_default() += 1;
                *values.entry("revenue").or_default() += i128::from(amount);
                *products.entry(sku.clone()).or_default() += i128::from(amount);
                let lines = vec![(sku.parse().unwrap(), cents(amount))];
                Event::order(id.parse().unwrap(), on, visitor(who), lines)
            } else {
                *values.entry("page_views").or_default() += 1;
                view(&id, on, who)
            };
            daily.record(&event).await.unwrap();
        }
        weekly.roll_up(week).await.unwrap();
        // Again, as after an unknown outcome.
        let summed = weekly.roll_up(week).await.unwrap();
        assert_eq!(weekly.of(week).await.unwrap(), summed);
        for (metric, expected) in values {
            assert_eq!(i128::from(summed.get(metric)), expected, "{metric}");
        }
        let distinct = visitors.len() as f64;
        assert!((summed.visitors as f64 - distinct).abs() <= 0.03 * distinct, "{}", summed.visitors);
        let top = weekly.top(week, 100).await.unwrap();
        let top: BTreeMap<String, i128> =
            top.into_iter().map(|(sku, cents)| (sku.to_string(), i128::from(cents.get()))).collect();
        assert_eq!(top, products);
        let best = weekly.top(week, 3).await.unwrap();
        let mut expected: Vec<i128> = products.values().copied().collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        assert!(best.iter().map(|(_, cents)| i128::from(cents.get())).eq(expected[..3].iter().copied()));

        // A week of days that are gone has nothing of them left.
        for on in week.days() {
            for key in [keys.daily_metrics(on), keys.daily_visitors(on), keys.top_products(on)] {
                wire.send(&["DEL", &key]).await;
            }
        }
        let nothing = weekly.roll_up(week).await.unwrap();
        assert!(nothing.values.is_empty() && nothing.visitors == 0, "{nothing:?}");
        assert_eq!(weekly.of(week).await.unwrap(), nothing);
        assert_eq!(weekly.top(week, 1).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_that_cannot_be_added_up_stays_as_it_was() {
    in_each_layout(async |wire, keys| {
        let daily = DailyMetrics::new(wire.clone(), keys.clone());
        let weekly = WeeklyMetrics::new(wire.clone(), keys.clone());
        let (monday, tuesday) = (day("2024-01-01"), day("2024-01-02"));
        let other =
            |id: &str, on, amount| Event::other(id.parse().unwrap(), on, "returns".parse().unwrap(), amount);
        daily.record(&other("r1", monday, i64::MAX)).await.unwrap();
        weekly.roll_up(monday.week()).await.unwrap();
        daily.record(&other("r2", tuesday, 1)).await.unwrap();
        let refused = weekly.roll_up(monday.week()).await;
        assert!(matches!(refused, Err(RollUpError::Overflow { .. })), "{refused:?}");
        assert_eq!(weekly.of(monday.week()).await.unwrap().get("returns"), i64::MAX);
        wire.send(&["DEL", &keys.daily_metrics(tuesday)]).await;
        wire.send(&["SET", &keys.top_products(tuesday), "x"]).await;
        let refused = weekly.roll_up(monday.week()).await.unwrap_err();
        assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
        assert_eq!(weekly.of(monday.week()).await.unwrap().get("returns"), i64::MAX);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_the_share_of_a_day_that_comes_back() {
    in_each_layout(async |wire, keys| {
        let active = ActiveUsers::new(wire.clone(), keys.clone());
        let first = day("2024-02-27");
        let mut numbers = StdRng::seed_from_u64(9);
        let days: Vec<BTreeSet<u64>> = (0..10_u64)
            .map(|ahead| (1..400).filter(|_| numbers.random_range(0..10) < 10 - ahead.min(8)).collect())
            .collect();
        for (ahead, users) in days.iter().enumerate() {
            let users: Vec<UserId> = users.iter().map(|user| UserId::new(*user).unwrap()).collect();
            let on = first.plus(i32::try_from(ahead).unwrap()).unwrap();
            active.add(on, &users).await.unwrap();
            active.add(on, &users[..users.len() / 3]).await.unwrap();
        }
        let retention = active.retention(first, 9).await.unwrap();
        assert_eq!(retention.cohort, days[0].len() as u64);
        let expected: Vec<u64> =
            days[1..].iter().map(|later| later.intersection(&days[0]).count() as u64).collect();
        assert_eq!(retention.returned, expected);
        let share = expected[6] as f64 / days[0].len() as f64;
        assert_eq!(retention.share(7), Some(share));
        assert_eq!((retention.share(0), retention.share(10)), (None, None));
        let nobody = active.retention(day("2030-01-01"), 2).await.unwrap();
        assert_eq!((nobody.cohort, nobody.share(1)), (0, Some(0.0)));
        assert!(matches!(active.retention(first, 32).await, Err(RetentionError::TooManyDays { .. })));
        assert!(matches!(active.retention(Day::MAX, 1).await, Err(RetentionError::NoSuchDay)));
    })
    .await;
}
