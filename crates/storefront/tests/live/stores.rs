//! Stores near a place, against measuring all of them by hand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::Value;
use storefront::stores::{
    Area, HIGHEST_LATITUDE, Hours, LocalTime, MOST_NEAR, NearStore, Opening, Place, PlaceError, Store,
    StoreId, Stores, StoresError,
};
use storefront::{Keys, Layout, StoreError};

use crate::shop::moving::Moving;
use crate::shop::{Wire, cases, in_each_layout, own_keys};

/// Redis keeps a place in 26 bits each way, so to half of 0.6 m by 0.3 m, and tells metres with four digits.
const TOLERANCE: f64 = 0.5;

fn id(name: &str) -> StoreId {
    name.parse().unwrap()
}

fn at(longitude: f64, latitude: f64) -> Place {
    Place::new(longitude, latitude).unwrap()
}

fn store(name: &str, place: Place) -> Store {
    Store { id: id(name), name: name.to_owned(), place, hours: Hours::daily("09:00-18:00").unwrap() }
}

fn noon() -> LocalTime {
    LocalTime::new(0, 12, 0).unwrap()
}

fn names(near: &[NearStore]) -> Vec<&str> {
    near.iter().map(|store| store.id.as_str()).collect()
}

#[tokio::test]
async fn stores_are_found_moved_and_removed_without_a_ghost() {
    in_each_layout(async |wire, keys| {
        let stores = Stores::new(wire.clone(), keys.clone());
        let here = at(10.0, 53.55);
        let near = async |radius| stores.near(here, Area::Circle { radius }, 10, noon()).await.unwrap();
        assert_eq!(near(1e6).await, []);
        assert!(stores.put(&store("harbour", at(9.9937, 53.5511))).await.unwrap());
        assert!(stores.put(&store("airport", at(9.9882, 53.6304))).await.unwrap());
        assert!(stores.put(&store("berlin", at(13.405, 52.52))).await.unwrap());
        assert_eq!(names(&near(20_000.0).await), ["harbour", "airport"]);
        assert_eq!(names(&near(300_000.0).await), ["harbour", "airport", "berlin"]);
        let nearest = stores.near(here, Area::Circle { radius: 3e5 }, 1, noon()).await.unwrap();
        assert_eq!(names(&nearest), ["harbour"]);
        // The airport is nine kilometres to the north.
        let across = Area::Box { width: 30_000.0, height: 10_000.0 };
        assert_eq!(names(&stores.near(here, across, 9, noon()).await.unwrap()), ["harbour"]);

        assert!(stores.relocate(&id("berlin"), at(10.001, 53.55)).await.unwrap());
        assert_eq!(names(&near(20_000.0).await), ["berlin", "harbour", "airport"]);
        assert!(!stores.relocate(&id("nowhere"), here).await.unwrap());
        // Again, with other hours: what it was before is gone.
        let closed = Store { hours: Hours::default(), ..store("harbour", at(9.9937, 53.5511)) };
        assert!(!stores.put(&closed).await.unwrap());
        assert_eq!(near(1_000.0).await[1].opening, Opening::Closed { opens_in: None });

        assert!(stores.remove(&id("berlin")).await.unwrap());
        assert!(!stores.remove(&id("berlin")).await.unwrap());
        assert_eq!(names(&near(1e7).await), ["harbour", "airport"]);
        assert_eq!(wire.send(&["EXISTS", &keys.store(&id("berlin"))]).await, Value::Int(0));
        assert_eq!(wire.send(&["ZCARD", &keys.stores()]).await, Value::Int(2));
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_moved_and_removed_by_many_is_in_one_place_or_in_none() {
    in_each_layout(async |wire, keys| {
        let stores = Stores::new(wire.clone(), keys.clone());
        let mut crowd = tokio::task::JoinSet::new();
        for client in 0..8 {
            let stores = stores.clone();
            crowd.spawn(async move {
                for round in 0..20 {
                    let place = at(f64::from(client), f64::from(round));
                    match (client + round) % 3 {
                        0 => drop(stores.put(&store("pop-up", place)).await.unwrap()),
                        1 => drop(stores.relocate(&id("pop-up"), place).await.unwrap()),
                        _ => drop(stores.remove(&id("pop-up")).await.unwrap()),
                    }
                }
            });
        }
        crowd.join_all().await;
        let place = redis::cmd("GEOPOS").arg(keys.stores()).arg("pop-up").take();
        let on_map: Vec<Option<(f64, f64)>> = place.query_async(&mut wire.clone()).await.unwrap();
        let fields =
            redis::cmd("HMGET").arg(keys.store(&id("pop-up"))).arg(&["longitude", "latitude"]).take();
        let fields: (Option<f64>, Option<f64>) = fields.query_async(&mut wire.clone()).await.unwrap();
        let in_hash = fields.0.zip(fields.1);
        assert_eq!(on_map[0].is_some(), in_hash.is_some(), "{on_map:?} {in_hash:?}");
        if let (Some((longitude, latitude)), Some((stored_longitude, stored_latitude))) = (on_map[0], in_hash)
        {
            let apart = at(longitude, latitude).metres_to(at(stored_longitude, stored_latitude));
            assert!(apart < TOLERANCE, "{apart}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_round_trips_find_stores_and_one_changes_one() {
    in_each_layout(async |wire, keys| {
        let stores = Stores::new(wire.clone(), keys.clone());
        let place = at(10.0, 53.55);
        for name in ["a", "b", "c"] {
            stores.put(&store(name, place)).await.unwrap();
        }
        stores.relocate(&id("a"), place).await.unwrap();
        stores.remove(&id("b")).await.unwrap();
        let radius = Area::Circle { radius: 10.0 };
        // On a cluster one command for each of the two found, both in flight at once.
        let commands = if keys.layout() == Layout::Cluster { 3 } else { 2 };
        assert_eq!(wire.round_trips_of(stores.near(place, radius, 9, noon())).await, commands);
        assert_eq!(wire.round_trips_of(stores.put(&store("b", place))).await, 1);
        assert_eq!(wire.round_trips_of(stores.relocate(&id("a"), place)).await, 1);
        assert_eq!(wire.round_trips_of(stores.remove(&id("a"))).await, 1);
    })
    .await;
}

#[tokio::test]
async fn hostile_input_is_refused_and_foreign_keys_stay_as_they_are() {
    let nan = f64::NAN;
    for (longitude, latitude) in
        [(180.1, 0.0), (0.0, 85.06), (0.0, -90.0), (nan, 0.0), (0.0, nan), (f64::INFINITY, 0.0)]
    {
        assert!(matches!(Place::new(longitude, latitude), Err(PlaceError::Place { .. })));
    }
    assert!("a:b".parse::<StoreId>().is_err() && "".parse::<StoreId>().is_err());
    in_each_layout(async |wire, keys| {
        let stores = Stores::new(wire.clone(), keys.clone());
        let here = at(0.0, 0.0);
        for area in [
            Area::Circle { radius: 0.0 },
            Area::Circle { radius: -1.0 },
            Area::Circle { radius: nan },
            Area::Circle { radius: f64::INFINITY },
            Area::Box { width: 1.0, height: 1e300 },
        ] {
            let near = stores.near(here, area, 9, noon()).await;
            assert!(matches!(near, Err(StoresError::Place(PlaceError::Area(_)))), "{area:?}");
        }
        let everywhere = Area::Circle { radius: 20_100_000.0 };
        for number in 0..=MOST_NEAR {
            stores.put(&store(&format!("s{number}"), here)).await.unwrap();
        }
        assert_eq!(stores.near(here, everywhere, 0, noon()).await.unwrap(), []);
        assert_eq!(stores.near(here, everywhere, usize::MAX, noon()).await.unwrap().len(), MOST_NEAR);
        let unnamed = Store { name: String::new(), ..store("a", here) };
        assert!(matches!(stores.put(&unnamed).await, Err(StoresError::Name { bytes: 0 })));

        wire.send(&["SET", &keys.store(&id("a")), "somebody's"]).await;
        let before = wire.send(&["DUMP", &keys.stores()]).await;
        let wrong = stores.put(&store("a", here)).await;
        assert!(matches!(wrong, Err(StoresError::Store(StoreError::WrongType { .. }))), "{wrong:?}");
        assert!(matches!(stores.relocate(&id("a"), here).await, Err(StoreError::WrongType { .. })));
        assert!(matches!(stores.remove(&id("a")).await, Err(StoreError::WrongType { .. })));
        assert_eq!(wire.send(&["DUMP", &keys.stores()]).await, before);
        wire.send(&["GEOADD", &keys.stores(), "50", "50", "not:ours"]).await;
        let strange = stores.near(at(50.0, 50.0), Area::Circle { radius: 9.0 }, 9, noon()).await;
        assert!(matches!(strange, Err(StoresError::Store(StoreError::Malformed { .. }))), "{strange:?}");
        // On the map without a Hash: left out.
        wire.send(&["GEOADD", &keys.stores(), "60", "50", "ghost"]).await;
        assert_eq!(stores.near(at(60.0, 50.0), Area::Circle { radius: 9.0 }, 9, noon()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_store_beyond_the_pole_is_found() {
    in_each_layout(async |wire, keys| {
        let stores = Stores::new(wire.clone(), keys);
        // Across the poles: GEOSEARCH with these radii finds neither.
        for (here, there, radius) in [
            (at(-29.0691, -79.4713), at(-92.9227, -79.7772), 1_240_225.6),
            (at(106.0579, -79.7131), at(86.3031, -83.5683), 1_234_954.8),
        ] {
            stores.put(&store("far", there)).await.unwrap();
            let near = |radius| stores.near(here, Area::Circle { radius }, 10, noon());
            assert_eq!(names(&near(radius).await.unwrap()), ["far"]);
            assert_eq!(near(here.metres_to(there) - 1.0).await.unwrap(), []);
        }
    })
    .await;
}

/// All stores in an area, measured one by one, and those so close to its edge that either answer is right.
fn by_hand(
    places: &BTreeMap<String, Place>,
    here: Place,
    area: Area,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let excess = |place: Place| match area {
        Area::Circle { radius } => here.metres_to(place) - radius,
        // As a map shows it: along the meridian, and along the parallel of the store.
        Area::Box { width, height } => {
            let up = at(0.0, here.latitude()).metres_to(at(0.0, place.latitude()));
            let across = at(here.longitude(), place.latitude()).metres_to(place);
            (up - height / 2.0).max(across - width / 2.0)
        }
    };
    let within = |limit: f64| {
        places.iter().filter(|(_, place)| excess(**place) <= limit).map(|(name, _)| name.clone()).collect()
    };
    (within(-TOLERANCE), within(TOLERANCE))
}

/// Checks one answer against all stores.
fn check(
    places: &BTreeMap<String, Place>,
    here: Place,
    area: Area,
    near: &[NearStore],
) -> Result<(), TestCaseError> {
    let found: BTreeSet<String> = near.iter().map(|store| store.id.to_string()).collect();
    let (surely, perhaps) = by_hand(places, here, area);
    prop_assert!(surely.is_subset(&found), "missing: {:?}", surely.difference(&found).collect::<Vec<_>>());
    prop_assert!(found.is_subset(&perhaps), "too many: {:?}", found.difference(&perhaps).collect::<Vec<_>>());
    prop_assert!(near.is_sorted_by(|one, next| one.metres <= next.metres), "nearest first");
    for store in near {
        let metres = here.metres_to(places[store.id.as_str()]);
        prop_assert!((store.metres - metres).abs() < TOLERANCE, "{} is {metres} away", store.metres);
    }
    Ok(())
}

/// Random places in a part of the world, and areas around points of it.
fn against_measuring_by_hand(
    longitudes: std::ops::RangeInclusive<f64>,
    latitudes: std::ops::RangeInclusive<f64>,
    lengths: std::ops::Range<f64>,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wire = runtime.block_on(Wire::standalone());
    let place = (longitudes, latitudes).prop_map(|(longitude, latitude)| at(longitude, latitude));
    let length = lengths.prop_map(|exponent| 10_f64.powf(exponent));
    let area = prop_oneof![
        length.clone().prop_map(|radius| Area::Circle { radius }),
        (length.clone(), length).prop_map(|(width, height)| Area::Box { width, height }),
    ];
    let questions = proptest::collection::vec((place.clone(), area), 1..8);
    let strategy = (proptest::collection::vec(place, 1..MOST_NEAR), questions);
    let run = TestRunner::new(cases(60)).run(&strategy, |(places, questions)| {
        let keys: Keys = own_keys(Layout::Standalone);
        let stores = Stores::new(wire.clone(), keys);
        let places: BTreeMap<String, Place> =
            places.into_iter().enumerate().map(|(number, place)| (format!("s{number}"), place)).collect();
        runtime.block_on(async {
            for (name, place) in &places {
                stores.put(&store(name, *place)).await.unwrap();
            }
            for (here, area) in questions {
                let near = stores.near(here, area, MOST_NEAR, noon()).await.unwrap();
                check(&places, here, area, &near)?;
            }
            Ok(())
        })
    });
    run.unwrap();
}

#[test]
fn stores_of_a_country_are_found_as_measured_by_hand() {
    against_measuring_by_hand(5.0..=15.0, 47.0..=55.0, 2.0..6.0);
}

#[test]
fn stores_of_a_town_are_found_as_measured_by_hand() {
    against_measuring_by_hand(9.9..=10.1, 53.5..=53.6, 0.5..4.5);
}

#[test]
fn stores_of_the_world_are_found_as_measured_by_hand() {
    against_measuring_by_hand(-180.0..=180.0, -HIGHEST_LATITUDE..=HIGHEST_LATITUDE, 3.0..7.0);
}

#[tokio::test]
async fn stores_are_found_while_their_slots_move() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    let stores = Stores::new(wire, keys.clone());
    let here = at(10.0, 53.55);
    for number in 0..20 {
        stores.put(&store(&format!("store-{number}"), here)).await.unwrap();
    }
    let moving = Moving::slots_of([keys.stores()]);
    for _ in 0..100 {
        let near = stores.near(here, Area::Circle { radius: 1e3 }, 20, noon()).await.unwrap();
        assert_eq!(near.len(), 20);
    }
    assert!(moving.end() > 1);
}
