//! Every event counts once: sent by many at a time, sent again after answers were lost, while slots move.

use std::collections::BTreeMap;
use std::sync::Arc;

use storefront::analytics::{DailyMetrics, Day, Event, Funnel, Recorded, Steps};
use storefront::{Cents, CustomerId, Keys, Layout, UserId};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::moving::Moving;
use crate::shop::{Wire, own_keys, server};

const CLIENTS: usize = 8;
const EVENTS: usize = 400;

fn days() -> [Day; 3] {
    ["2024-01-01", "2024-01-02", "2024-01-03"].map(|day| day.parse().unwrap())
}

fn visitor(number: usize) -> CustomerId {
    UserId::new(number as u64 + 1).unwrap().into()
}

/// Page views and orders on three days.
fn events() -> Vec<Event> {
    let event = |number: usize| {
        let (id, day) = (format!("event-{number}").parse().unwrap(), days()[number % 3]);
        if number.is_multiple_of(4) {
            let line = |of: usize| {
                (format!("PROD{}", (number + of) % 7).parse().unwrap(), Cents::new(amount(number)).unwrap())
            };
            Event::order(id, day, visitor(number % 50), vec![line(0), line(1)])
        } else {
            Event::page_view(id, day, visitor(number % 50))
        }
    };
    (0..EVENTS).map(event).collect()
}

/// Large, so that a lost digit shows.
fn amount(number: usize) -> i64 {
    1_000_000_000_000 + i64::try_from(number).unwrap()
}

/// Every client sends all events, each beginning with another one, and again until it is answered. Answers how many times
/// an event was said to be counted, and how often one was sent again.
async fn send_all(wires: Vec<Wire>, keys: &Keys) -> (usize, usize) {
    let events = Arc::new(events());
    let mut clients = JoinSet::new();
    for (client, wire) in wires.into_iter().enumerate() {
        let (metrics, events) = (DailyMetrics::new(wire, keys.clone()), Arc::clone(&events));
        clients.spawn(async move {
            let (mut counted, mut again) = (0, 0);
            for turn in 0..EVENTS {
                // Everybody sends half of them, so each event is sent by four.
                if (turn + client) % 2 == 0 {
                    continue;
                }
                let event = &events[(turn + client / 2 * 97) % EVENTS];
                loop {
                    match metrics.record(event).await {
                        Ok(Recorded::Counted) => counted += 1,
                        Ok(Recorded::Duplicate) => {}
                        Err(error) if error.redis_error().is_some() => {
                            again += 1;
                            continue;
                        }
                        other => panic!("{other:?}"),
                    }
                    break;
                }
            }
            (counted, again)
        });
    }
    clients.join_all().await.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

async fn totals_are_those_of_distinct_events(wire: &Wire, keys: &Keys) {
    let metrics = DailyMetrics::new(wire.clone(), keys.clone());
    for (index, day) in days().into_iter().enumerate() {
        let (mut views, mut orders, mut revenue) = (0_i128, 0_i128, 0_i128);
        let mut products = BTreeMap::<String, i128>::new();
        for number in (0..EVENTS).filter(|number| number % 3 == index) {
            if number.is_multiple_of(4) {
                orders += 1;
                revenue += 2 * i128::from(amount(number));
                for of in 0..2 {
                    *products.entry(format!("PROD{}", (number + of) % 7)).or_default() +=
                        i128::from(amount(number));
                }
            } else {
                views += 1;
            }
        }
        let counted = metrics.of(day).await.unwrap();
        let numbers = ["page_views", "orders", "revenue"].map(|metric| i128::from(counted.get(metric)));
        assert_eq!(numbers, [views, orders, revenue], "{day}");
        let top = metrics.top(day, 100).await.unwrap();
        let top = top.into_iter().map(|(sku, cents)| (sku.to_string(), i128::from(cents.get())));
        assert_eq!(top.collect::<BTreeMap<_, _>>(), products, "{day}");
        assert_eq!(counted.visitors, 50, "{day}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_count_once_when_answers_are_lost_and_clients_send_again() {
    let keys = own_keys(Layout::Standalone);
    let breaking = Breaking::in_front_of(server(), 17).await;
    let mut wires = Vec::new();
    for _ in 0..CLIENTS {
        wires.push(Wire::reconnecting(breaking.url()).await);
    }
    let (counted, again) = send_all(wires, &keys).await;
    assert!(again > 20 && breaking.broken() > 20, "{again} sent again, {} broken", breaking.broken());
    println!("{EVENTS} events, {again} sent again, {} connections broken", breaking.broken());
    // Where the answer was lost, the one that was sent again is called a duplicate.
    assert!(counted <= EVENTS, "{counted}");
    totals_are_those_of_distinct_events(&Wire::standalone().await, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_count_once_on_a_cluster_whose_slots_move() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let moving = Moving::slots_of(days().map(|day| keys.daily_metrics(day)));
    let (counted, again) = send_all(vec![wire.clone(); CLIENTS], &keys).await;
    let moves = moving.end();
    println!("{EVENTS} events, {moves} moves");
    assert_eq!((counted, again), (EVENTS, 0));
    totals_are_those_of_distinct_events(&wire, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funnel_counts_once_when_answers_are_lost_and_while_slots_move() {
    let steps = Steps::new(["view", "cart", "purchase"].map(|step| step.parse().unwrap())).unwrap();
    let names = ["view", "cart", "purchase"];
    let breaking = Breaking::in_front_of(server(), 13).await;
    for layout in [Layout::Standalone, Layout::Cluster] {
        let keys = own_keys(layout);
        let on = days()[0];
        let cluster = Wire::cluster().await;
        let moving = (layout == Layout::Cluster)
            .then(|| Moving::slots_of([keys.funnel_today().replace("today", "2024-01-01")]));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let wire = match layout {
                Layout::Standalone => Wire::reconnecting(breaking.url()).await,
                Layout::Cluster => cluster.clone(),
            };
            let funnel = Funnel::of_day(wire, keys.clone(), steps.clone(), on);
            clients.spawn(async move {
                let mut again = 0;
                for turn in 0..60 {
                    let who = (turn * 11 + client * 17) % 60;
                    for step in &names[..=who % 3] {
                        while funnel.reached(&visitor(who), &step.parse().unwrap()).await.is_err() {
                            again += 1;
                        }
                    }
                }
                again
            });
        }
        let again: usize = clients.join_all().await.into_iter().sum();
        match moving {
            None => assert!(again > 10, "{again}"),
            Some(moving) => assert!(moving.end() > 1 && again == 0, "{again}"),
        }
        let wire = if layout == Layout::Cluster { cluster } else { Wire::standalone().await };
        let report = Funnel::of_day(wire, keys.clone(), steps.clone(), on).report().await.unwrap();
        assert_eq!(report.iter().map(|step| step.visitors).collect::<Vec<_>>(), [60, 40, 20], "{layout:?}");
    }
}
