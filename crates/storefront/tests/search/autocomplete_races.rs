//! Products that many put, rename and remove at once: afterwards the index is that of the last change of each, and nothing
//! else is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::FromRedisValue;
use storefront::autocomplete::{Autocomplete, Index, MOST_SUGGESTIONS, terms};
use storefront::{Keys, Layout, Sku};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::moving::Moving;
use crate::shop::{Wire, in_each_layout, own_keys, server, sku};

const CLIENTS: u64 = 10;
const CHANGES: u64 = 60;
const PRODUCTS: u64 = 4;

/// A change that was acknowledged: what it left, and the moments before it was asked for and after the answer.
struct Change {
    sku: Sku,
    name: Option<String>,
    asked: u64,
    answered: u64,
}

/// Everybody changes the same few products; some of it takes them away.
async fn race(autocomplete: &Autocomplete<Wire>) -> Vec<Change> {
    let clock = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (autocomplete, clock) = (autocomplete.clone(), Arc::clone(&clock));
        clients.spawn(async move {
            let mut changes = Vec::new();
            for number in 0..CHANGES {
                let sku = sku(&format!("p{}", (client + number) % PRODUCTS));
                let asked = clock.fetch_add(1, Ordering::SeqCst);
                let name = if number % 5 == 2 {
                    autocomplete.remove(&sku).await.unwrap();
                    None
                } else {
                    let name = format!("Mug {client} Übergroß {number}");
                    autocomplete.put(&sku, &name.parse().unwrap(), number % 7).await.unwrap();
                    Some(name)
                };
                changes.push(Change { sku, name, asked, answered: clock.fetch_add(1, Ordering::SeqCst) });
            }
            changes
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

async fn members(wire: &Wire, key: &str) -> Vec<String> {
    FromRedisValue::from_redis_value(wire.send(&["ZRANGE", key, "0", "-1"]).await).unwrap()
}

/// Every entry of the index belongs to a state that can be the last of its product. Gives how many were compared.
async fn assert_the_last_change_holds(
    wire: &Wire,
    keys: &Keys,
    index: &Autocomplete<Wire>,
    changes: &[Change],
) -> usize {
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for suggestion in index.suggest("", MOST_SUGGESTIONS).await.unwrap() {
        let twice = held.insert(suggestion.sku.to_string(), suggestion.name.to_string());
        assert_eq!(twice, None, "{} has two names", suggestion.sku);
    }
    for number in 0..PRODUCTS {
        let of_product: Vec<&Change> =
            changes.iter().filter(|change| change.sku == sku(&format!("p{number}"))).collect();
        let begun_last = of_product.iter().map(|change| change.asked).max().unwrap();
        let may_be_last: BTreeSet<Option<&String>> =
            of_product.iter().filter(|it| it.answered > begun_last).map(|it| it.name.as_ref()).collect();
        let holds = held.get(&format!("p{number}"));
        assert!(may_be_last.contains(&holds), "p{number} is {holds:?}, and could be {may_be_last:?}");
    }

    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for (sku, name) in &held {
        wanted.extend(terms(name).into_iter().map(|term| format!("{term}\n{name}\n{sku}")));
    }
    let stored: BTreeSet<String> = members(wire, &keys.autocomplete_terms()).await.into_iter().collect();
    assert_eq!(stored, wanted);
    let mut compared = wanted.len();
    if index.index() == Index::Weighted {
        let every_prefix =
            changes.iter().filter_map(|change| change.name.as_ref()).flat_map(|name| terms(name));
        let every_prefix: BTreeSet<String> = every_prefix
            .flat_map(|term| (1..=8).map(move |length| term.chars().take(length).collect()))
            .collect();
        for prefix in every_prefix.iter().filter(|prefix| !prefix.ends_with(' ')) {
            let list: BTreeSet<String> =
                members(wire, &keys.autocomplete_prefix(prefix)).await.into_iter().collect();
            let wanted: BTreeSet<String> = held
                .iter()
                .filter(|(_, name)| terms(name).iter().any(|term| term.starts_with(prefix.as_str())))
                .map(|(sku, name)| format!("{name}\n{sku}"))
                .collect();
            assert_eq!(list, wanted, "{prefix}");
            compared += 1;
        }
    }
    compared
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_changes_leave_the_last_one_and_no_ghost() {
    for kind in [Index::Lexicographic, Index::Weighted] {
        in_each_layout(async |wire, keys| {
            let index = Autocomplete::new(wire.clone(), keys.clone(), kind);
            let changes = race(&index).await;
            assert_eq!(changes.len() as u64, CLIENTS * CHANGES);
            let compared = assert_the_last_change_holds(&wire, &keys, &index, &changes).await;
            println!("{kind:?}, {:?}: {} changes, {compared} compared", keys.layout(), changes.len());
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_changes_leave_no_ghost_while_the_slot_moves() {
    for kind in [Index::Lexicographic, Index::Weighted] {
        let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
        let moving = Moving::slots_of([keys.autocomplete_terms()]);
        let index = Autocomplete::new(wire.clone(), keys.clone(), kind);
        // Several, as each is over before the slot has moved often. Every product is changed again in each of them.
        for _ in 0..3 {
            race(&index).await;
        }
        let changes = race(&index).await;
        let moves = moving.end();
        let compared = assert_the_last_change_holds(&wire, &keys, &index, &changes).await;
        println!("{kind:?}: {} changes, {moves} moves, {compared} compared", 4 * changes.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_after_a_lost_answer_leaves_no_ghost() {
    for kind in [Index::Lexicographic, Index::Weighted] {
        let breaking = Breaking::in_front_of(server(), 7).await;
        let (wire, keys) = (Wire::standalone().await, own_keys(Layout::Standalone));
        let unsure = Autocomplete::new(Wire::reconnecting(breaking.url()).await, keys.clone(), kind);
        let mut last = None;
        for number in 0..40_u64 {
            last = (number % 5 != 4).then(|| format!("Mug {number} large"));
            // Until there is an answer.
            match &last {
                Some(name) => while unsure.put(&sku("p"), &name.parse().unwrap(), number).await.is_err() {},
                None => while unsure.remove(&sku("p")).await.is_err() {},
            }
            let found = members(&wire, &keys.autocomplete_terms()).await;
            let wanted: BTreeSet<String> = last
                .iter()
                .flat_map(|name| terms(name).into_iter().map(move |term| format!("{term}\n{name}\np")))
                .collect();
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
        }
        assert!(last.is_none() && breaking.broken() > 3, "{}", breaking.broken());
        for prefix in ["m", "l", "1"] {
            assert_eq!(members(&wire, &keys.autocomplete_prefix(prefix)).await, Vec::<String>::new());
        }
        println!("{kind:?}: 40 changes, {} answers lost", breaking.broken());
    }
}
