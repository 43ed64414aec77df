//! An order counts once for each of its products: sent by many, sent again after answers were lost, while slots move. Who is
//! like whom is answered meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use storefront::recommendations::{Basis, BoughtTogether, Interests, Purchases, SimilarCustomers};
use storefront::{CustomerId, Keys, Label, Layout, Sku, UserId};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::moving::Moving;
use crate::shop::{Wire, own_keys, server, sku};

const CLIENTS: usize = 8;
const ORDERS: usize = 120;

/// One to four of nine products.
fn products(order: usize) -> Vec<Sku> {
    let first = order * 5 % 9;
    (0..=order % 4).map(|of| sku(&format!("P{}", (first + of * 2) % 9))).collect()
}

/// Every client sends every order until it is answered; answers how often one had to be sent again.
async fn send_all(wires: Vec<Wire>, keys: &Keys) -> usize {
    let mut clients = JoinSet::new();
    let keys = Arc::new(keys.clone());
    for (client, wire) in wires.into_iter().enumerate() {
        let together = BoughtTogether::new(wire, (*keys).clone());
        clients.spawn(async move {
            let mut again = 0;
            for turn in 0..ORDERS {
                let order = (turn + client * 31) % ORDERS;
                let id = format!("ORD-{order}").parse().unwrap();
                while together.count(&id, &products(order)).await.is_err() {
                    again += 1;
                }
            }
            again
        });
    }
    clients.join_all().await.into_iter().sum()
}

async fn pairs_are_those_of_distinct_orders(wire: &Wire, keys: &Keys) {
    let (mut pairs, mut support) = (BTreeMap::<(Sku, String), f64>::new(), BTreeMap::<Sku, u64>::new());
    for order in 0..ORDERS {
        for one in products(order) {
            *support.entry(one.clone()).or_default() += 1;
            for other in products(order).into_iter().filter(|other| *other != one) {
                *pairs.entry((one.clone(), other.to_string())).or_default() += 1.0;
            }
        }
    }
    let mut counted = BTreeMap::new();
    for (one, orders) in support {
        let stored = wire.send(&["GET", &keys.also_bought_support(&one)]).await;
        assert_eq!(redis::from_redis_value::<u64>(stored).unwrap(), orders, "{one}");
        let stored = wire.send(&["ZRANGE", &keys.also_bought(&one), "0", "-1", "WITHSCORES"]).await;
        let stored: Vec<(String, f64)> = redis::from_redis_value(stored).unwrap();
        counted.extend(stored.into_iter().map(|(other, shared)| ((one.clone(), other), shared)));
    }
    assert_eq!(counted, pairs);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_count_once_when_answers_are_lost_and_clients_send_again() {
    let keys = own_keys(Layout::Standalone);
    let breaking = Breaking::in_front_of(server(), 17).await;
    let mut wires = Vec::new();
    for _ in 0..CLIENTS {
        wires.push(Wire::reconnecting(breaking.url()).await);
    }
    let again = send_all(wires, &keys).await;
    assert!(again > 10 && breaking.broken() > 10, "{again} sent again, {} broken", breaking.broken());
    println!("{ORDERS} orders, {again} sent again, {} connections broken", breaking.broken());
    pairs_are_those_of_distinct_orders(&Wire::standalone().await, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_count_once_on_a_cluster_whose_slots_move() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let moving = Moving::slots_of(["P0", "P3", "P7"].map(|product| keys.also_bought(&sku(product))));
    let again = send_all(vec![wire.clone(); CLIENTS], &keys).await;
    let moves = moving.end();
    println!("{ORDERS} orders, {moves} moves");
    assert_eq!(again, 0, "{moves} moves");
    pairs_are_those_of_distinct_orders(&wire, &keys).await;
}

fn customer(number: u64) -> CustomerId {
    UserId::new(number).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn similar_customers_are_the_same_while_slots_move() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let interests = Interests::new(wire.clone(), keys.clone());
    let purchases = Purchases::new(wire.clone(), keys.clone());
    let of = |who: u64| {
        let labels: Vec<Label> = (0..=who % 4).map(|of| format!("label{of}").parse().unwrap()).collect();
        (labels, products(usize::try_from(who).unwrap()))
    };
    for who in 1..=20 {
        let (labels, bought) = of(who);
        interests.add(&customer(who), &labels).await.unwrap();
        purchases.add(&customer(who), &bought).await.unwrap();
    }
    let alike =
        [Basis::Interests, Basis::Purchases].map(|by| SimilarCustomers::new(wire.clone(), keys.clone(), by));
    let mut answers = Vec::new();
    for similar in &alike {
        let to = similar.to(&customer(3), 10).await.unwrap();
        assert!(to.len() > 5, "{to:?}");
        answers.push((to, similar.recommend(&customer(3), 5).await.unwrap()));
    }
    let moving = Moving::slots_of([
        keys.interests(&customer(3)),
        keys.interested(&"label1".parse().unwrap()),
        keys.purchases(&customer(7)),
    ]);
    let mut callers = JoinSet::new();
    for caller in 0..CLIENTS {
        let (alike, answers) = (alike.clone(), answers.clone());
        let (interests, purchases) = (interests.clone(), purchases.clone());
        callers.spawn(async move {
            for turn in 0..10 {
                // What is known already changes nothing, and is written meanwhile.
                let who = (turn * 8 + caller as u64) % 20 + 1;
                let (labels, bought) = of(who);
                interests.add(&customer(who), &labels).await.unwrap();
                purchases.add(&customer(who), &bought).await.unwrap();
                for (similar, (to, recommended)) in alike.iter().zip(&answers) {
                    assert_eq!(similar.to(&customer(3), 10).await.unwrap(), *to);
                    assert_eq!(similar.recommend(&customer(3), 5).await.unwrap(), *recommended);
                }
            }
        });
    }
    callers.join_all().await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_cut_off_between_products_is_completed_by_sending_it_again() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let together = BoughtTogether::new(wire.clone(), keys.clone());
    let (order, all) = ("ORD-1".parse().unwrap(), [sku("A"), sku("B"), sku("C")]);
    // What is left behind by somebody who dies after one, or two, of the three steps.
    for done in 1..3 {
        together.count(&order, &all).await.unwrap();
        for product in &all[done..] {
            let keys = [
                keys.also_bought(product),
                keys.also_bought_orders(product),
                keys.also_bought_support(product),
            ];
            wire.send(&["DEL", &keys[0], &keys[1], &keys[2]]).await;
        }
        assert_eq!(together.count(&order, &all).await.unwrap(), 3 - done);
        for product in &all {
            let stored = wire.send(&["GET", &keys.also_bought_support(product)]).await;
            assert_eq!(redis::from_redis_value::<u64>(stored).unwrap(), 1);
        }
    }
}
