use std::collections::{BTreeMap, BTreeSet};

use lab_testing::slots::{HalfMovedSlots, MovingSlots};
use lab_testing::{TestConnection, cases, prefix};
use patterns::script::StoreError;
use patterns::stores::{
    Area, Hours, LocalTime, MAX_LATITUDE, MAX_NEAR, NearStore, Opening, Place, PlaceError, Store, Stores,
    StoresError,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;

use crate::{dumps, everywhere};

/// Redis keeps a place in 26 bits each way, so to half of 0.6 m by 0.3 m.
const TOLERANCE: f64 = 0.5;

fn at(longitude: f64, latitude: f64) -> Place {
    Place::new(longitude, latitude).unwrap()
}

fn store(id: &str, place: Place) -> Store {
    Store { id: id.into(), name: id.into(), place, hours: Hours::daily("09:00-18:00").unwrap() }
}

fn time(day: u32, hour: u32, minute: u32) -> LocalTime {
    LocalTime::new(day, hour, minute).unwrap()
}

fn noon() -> LocalTime {
    time(0, 12, 0)
}

fn ids(near: &[NearStore]) -> Vec<&str> {
    near.iter().map(|store| store.id.as_str()).collect()
}

fn circle(radius: f64) -> Area {
    Area::Circle { radius }
}

#[test]
fn stores_are_found_moved_and_removed_without_a_ghost() {
    everywhere(async |connection, prefix| {
        let stores = Stores::new(connection.clone(), &prefix);
        let here = at(10.0, 53.55);
        let near = async |radius| stores.near(here, circle(radius), 10, noon()).await.unwrap();
        assert_eq!(near(1e6).await, []);
        assert!(stores.put(&store("harbor", at(9.9937, 53.5511))).await.unwrap());
        assert!(stores.put(&store("a:{b} *\u{0}ü", at(9.9882, 53.6304))).await.unwrap());
        assert!(stores.put(&store("berlin", at(13.405, 52.52))).await.unwrap());
        assert_eq!(ids(&near(20_000.0).await), ["harbor", "a:{b} *\u{0}ü"]);
        assert_eq!(ids(&near(300_000.0).await), ["harbor", "a:{b} *\u{0}ü", "berlin"]);
        assert_eq!(ids(&stores.near(here, circle(3e5), 1, noon()).await.unwrap()), ["harbor"]);
        // The other is nine kilometers to the north.
        let across = Area::Box { width: 30_000.0, height: 10_000.0 };
        assert_eq!(ids(&stores.near(here, across, 9, noon()).await.unwrap()), ["harbor"]);

        assert!(stores.relocate("berlin", at(10.001, 53.55)).await.unwrap());
        assert_eq!(ids(&near(5_000.0).await), ["berlin", "harbor"]);
        assert!(!stores.relocate("nowhere", here).await.unwrap());
        // Again, with other hours: what it was before is gone.
        let closed = Store { hours: Hours::default(), ..store("harbor", at(9.9937, 53.5511)) };
        assert!(!stores.put(&closed).await.unwrap());
        assert_eq!(near(1_000.0).await[1].opening, Opening::Closed { opens_in: None });

        assert!(stores.remove("berlin").await.unwrap());
        assert!(!stores.remove("berlin").await.unwrap());
        assert_eq!(ids(&near(1e7).await), ["harbor", "a:{b} *\u{0}ü"]);
        let [map, details] = stores.keys().unwrap();
        assert_eq!(connection.send::<u32>(&["ZCARD", &map]).await, 2);
        assert_eq!(connection.send::<u32>(&["HLEN", &details]).await, 2);
    });
}

#[test]
fn a_store_that_is_moved_and_removed_by_many_is_in_both_keys_or_in_none() {
    everywhere(async |connection, prefix| {
        let stores = Stores::new(connection.clone(), &prefix);
        let mut crowd = JoinSet::new();
        for client in 0..8 {
            let stores = stores.clone();
            crowd.spawn(async move {
                for round in 0..20 {
                    let place = at(f64::from(client), f64::from(round));
                    match (client + round) % 3 {
                        0 => drop(stores.put(&store("pop-up", place)).await.unwrap()),
                        1 => drop(stores.relocate("pop-up", place).await.unwrap()),
                        _ => drop(stores.remove("pop-up").await.unwrap()),
                    }
                    let near = stores.near(at(0.0, 0.0), circle(2e7), 10, noon()).await.unwrap();
                    assert!(near.len() <= 1);
                }
            });
        }
        crowd.join_all().await;
    });
}

#[test]
fn a_lost_key_is_noticed() {
    everywhere(async |connection, prefix| {
        let stores = Stores::new(connection.clone(), &prefix);
        let here = at(0.0, 0.0);
        for lost in &stores.keys().unwrap() {
            for id in ["a", "b"] {
                stores.put(&store(id, here)).await.unwrap();
            }
            let _: () = connection.send(&["DEL", lost]).await;
            stores.put(&store("a", here)).await.unwrap();
            let near = stores.near(here, circle(9.0), 9, noon()).await;
            assert_matches!(near, Err(StoresError::Damaged), "{lost}");
            stores.clear().await.unwrap();
            assert_eq!(stores.near(here, circle(9.0), 9, noon()).await.unwrap(), []);
        }
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let stores = Stores::new(connection.clone(), &prefix);
        let place = at(10.0, 53.55);
        stores.put(&store("b", place)).await.unwrap();
        let round_trips = [
            connection.round_trips_of(stores.put(&store("a", place))).await,
            connection.round_trips_of(stores.relocate("a", place)).await,
            connection.round_trips_of(stores.near(place, circle(10.0), 9, noon())).await,
            connection.round_trips_of(stores.remove("a")).await,
        ];
        assert_eq!(round_trips, [1; 4]);
    });
}

#[test]
fn hostile_input_is_refused_and_foreign_keys_stay_as_they_are() {
    let nan = f64::NAN;
    for (longitude, latitude) in
        [(180.1, 0.0), (0.0, 85.06), (0.0, -90.0), (nan, 0.0), (0.0, nan), (f64::INFINITY, 0.0)]
    {
        assert_matches!(Place::new(longitude, latitude), Err(PlaceError::Place { .. }));
    }
    everywhere(async |connection, prefix| {
        let stores = Stores::new(connection.clone(), &prefix);
        let here = at(0.0, 0.0);
        for area in [
            circle(0.0),
            circle(-1.0),
            circle(nan),
            circle(f64::INFINITY),
            Area::Box { width: 1.0, height: 1e300 },
        ] {
            let near = stores.near(here, area, 9, noon()).await;
            assert_matches!(near, Err(StoresError::Place(PlaceError::Area(_))), "{area:?}");
        }
        for number in 0..=MAX_NEAR {
            stores.put(&store(&format!("s{number}"), here)).await.unwrap();
        }
        assert_eq!(stores.near(here, circle(2.01e7), 0, noon()).await.unwrap(), []);
        assert_eq!(stores.near(here, circle(2.01e7), usize::MAX, noon()).await.unwrap().len(), MAX_NEAR);
        let unnamed = Store { name: String::new(), ..store("a", here) };
        assert_matches!(stores.put(&unnamed).await, Err(StoresError::Name { bytes: 0 }));
        stores.put(&store("", here)).await.unwrap_err();

        let keys = stores.keys().unwrap();
        stores.clear().await.unwrap();
        stores.put(&store("a", here)).await.unwrap();
        let _: () = connection.send(&["HSET", &keys[1], "a", "no JSON"]).await;
        let strange = stores.near(here, circle(9.0), 100, noon()).await;
        assert_matches!(strange, Err(StoresError::Store(StoreError::Malformed(_))));
        for foreign in &keys {
            stores.clear().await.unwrap();
            stores.put(&store("a", here)).await.unwrap();
            let _: () = connection.send(&["SET", foreign, "foreign"]).await;
            let before = dumps(&connection, &keys).await;
            let wrong = stores.put(&store("a", here)).await;
            assert_matches!(wrong, Err(StoresError::Store(StoreError::WrongType(_))));
            stores.relocate("a", here).await.unwrap_err();
            stores.remove("a").await.unwrap_err();
            stores.clear().await.unwrap_err();
            assert_eq!(dumps(&connection, &keys).await, before);
            let _: () = connection.send(&["DEL", foreign]).await;
        }
    });
}

#[test]
fn a_store_beyond_the_pole_is_found() {
    everywhere(async |connection, prefix| {
        let stores = Stores::new(connection, &prefix);
        // Across the poles: GEOSEARCH with these radii finds neither.
        for (here, there, radius) in [
            (at(-29.0691, -79.4713), at(-92.9227, -79.7772), 1_240_225.6),
            (at(106.0579, -79.7131), at(86.3031, -83.5683), 1_234_954.8),
        ] {
            stores.put(&store("far", there)).await.unwrap();
            let near = |radius| stores.near(here, circle(radius), 10, noon());
            assert_eq!(ids(&near(radius).await.unwrap()), ["far"]);
            assert_eq!(near(here.meters_to(there) - 1.0).await.unwrap(), []);
        }
    });
}

/// All stores in an area, measured one by one, and those so close to its edge that either answer is right.
fn by_hand(
    places: &BTreeMap<String, Place>,
    here: Place,
    area: Area,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let excess = |place: Place| match area {
        Area::Circle { radius } => here.meters_to(place) - radius,
        // As a map shows it: along the meridian, and along the parallel of the store.
        Area::Box { width, height } => {
            let up = at(0.0, here.latitude()).meters_to(at(0.0, place.latitude()));
            let across = at(here.longitude(), place.latitude()).meters_to(place);
            (up - height / 2.0).max(across - width / 2.0)
        }
    };
    let within = |limit: f64| {
        places.iter().filter(|(_, place)| excess(**place) <= limit).map(|(id, _)| id.clone()).collect()
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
    let found: BTreeSet<String> = near.iter().map(|store| store.id.clone()).collect();
    let (surely, perhaps) = by_hand(places, here, area);
    prop_assert!(surely.is_subset(&found), "missing: {:?}", surely.difference(&found).collect::<Vec<_>>());
    prop_assert!(found.is_subset(&perhaps), "too many: {:?}", found.difference(&perhaps).collect::<Vec<_>>());
    prop_assert!(near.is_sorted_by(|one, next| one.meters <= next.meters), "nearest first");
    for store in near {
        let meters = here.meters_to(places[&store.id]);
        prop_assert!((store.meters - meters).abs() < TOLERANCE, "{} is {meters} away", store.meters);
    }
    Ok(())
}

/// Random places in a part of the world, and areas around points of it, in powers of ten meters.
fn against_measuring_by_hand(
    longitudes: std::ops::RangeInclusive<f64>,
    latitudes: std::ops::RangeInclusive<f64>,
    lengths: std::ops::Range<f64>,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connection = runtime.block_on(TestConnection::resp3());
    let place = (longitudes, latitudes).prop_map(|(longitude, latitude)| at(longitude, latitude));
    let length = lengths.prop_map(|exponent| 10_f64.powf(exponent));
    let area = prop_oneof![
        length.clone().prop_map(|radius| Area::Circle { radius }),
        (length.clone(), length).prop_map(|(width, height)| Area::Box { width, height }),
    ];
    let questions = proptest::collection::vec((place.clone(), area), 1..8);
    let strategy = (proptest::collection::vec(place, 1..MAX_NEAR), questions);
    let run = TestRunner::new(cases(60)).run(&strategy, |(places, questions)| {
        let stores = Stores::new(connection.clone(), &prefix());
        let places: BTreeMap<String, Place> =
            places.into_iter().enumerate().map(|(number, place)| (format!("s{number}"), place)).collect();
        runtime.block_on(async {
            for (id, place) in &places {
                stores.put(&store(id, *place)).await.unwrap();
            }
            for (here, area) in questions {
                let near = stores.near(here, area, MAX_NEAR, noon()).await.unwrap();
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
    against_measuring_by_hand(-180.0..=180.0, -MAX_LATITUDE..=MAX_LATITUDE, 3.0..7.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_found_while_their_slots_move() {
    let stores = Stores::new(TestConnection::cluster().await, &prefix());
    let here = at(10.0, 53.55);
    for number in 0..20 {
        stores.put(&store(&format!("store-{number}"), here)).await.unwrap();
    }
    let moving = MovingSlots::of([stores.keys().unwrap()[0].as_str()]);
    for _ in 0..100 {
        assert_eq!(stores.near(here, circle(1e3), 20, noon()).await.unwrap().len(), 20);
    }
    assert!(moving.end() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_store_is_replaced_moved_and_removed_while_its_slot_is_on_its_way() {
    let stores = Stores::new(TestConnection::cluster().await, &prefix());
    let here = at(10.0, 53.5);
    stores.put(&store("a", here)).await.unwrap();
    let moving = HalfMovedSlots::of([&stores.keys().unwrap()[0]]);
    assert!(!stores.put(&store("a", here)).await.unwrap(), "it was there");
    assert!(stores.relocate("a", here).await.unwrap());
    assert!(stores.remove("a").await.unwrap());
    drop(moving);
    assert_eq!(stores.near(here, circle(1e3), 1, noon()).await.unwrap(), []);
}

fn open(minutes: u32) -> Opening {
    Opening::Open { closes_in: Some(minutes) }
}

fn closed(minutes: u32) -> Opening {
    Opening::Closed { opens_in: Some(minutes) }
}

#[test]
fn the_minute_of_opening_is_open_and_that_of_closing_is_closed() {
    let hours = Hours::new(["09:00-12:30,14:00-18:00", "", "", "", "", "", ""]).unwrap();
    assert_eq!(hours.at(time(0, 8, 59)), closed(1));
    assert_eq!(hours.at(time(0, 9, 0)), open(210));
    assert_eq!(hours.at(time(0, 12, 29)), open(1));
    assert_eq!(hours.at(time(0, 12, 30)), closed(90));
    assert_eq!(hours.at(time(0, 17, 59)), open(1));
    assert_eq!(hours.at(time(0, 18, 0)), closed(7 * 1440 - 9 * 60), "until Monday");
}

#[test]
fn an_evening_goes_on_after_midnight_even_at_the_end_of_the_week() {
    let hours = Hours::new(["", "", "", "", "18:00-02:00", "", "20:00-01:00"]).unwrap();
    assert_eq!(hours.at(time(4, 23, 59)), open(121));
    assert_eq!(hours.at(time(5, 1, 59)), open(1));
    assert_eq!(hours.at(time(5, 2, 0)), closed(1440 + 18 * 60));
    assert_eq!(hours.at(time(6, 23, 0)), open(120));
    assert_eq!(hours.at(time(0, 0, 59)), open(1), "Sunday's evening ends on Monday");
    assert_eq!(hours.at(time(0, 1, 0)), closed(4 * 1440 + 17 * 60));
    assert_eq!(hours.at(time(4, 1, 0)), closed(17 * 60), "Thursday was no evening");

    let hours = Hours::new(["", "", "", "", "10:00-24:00", "00:00-03:00", ""]).unwrap();
    assert_eq!(hours.at(time(4, 22, 0)), open(300), "days that touch are one opening");
    let always = Hours::daily("00:00-24:00").unwrap();
    assert_eq!(always.at(time(6, 23, 59)), Opening::Open { closes_in: None });
    assert_eq!(Hours::default().at(time(0, 0, 0)), Opening::Closed { opens_in: None });
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "9:00-18:00",
        "09:00",
        "09:00-25:00",
        "24:00-02:00",
        "09:60-10:00",
        "-",
        ",",
        "09:00-09:00",
        "x",
        "09:00-18:00,",
    ] {
        assert!(Hours::daily(text).is_err(), "{text}");
    }
    assert!(Hours::daily(&["09:00-10:00"; 5].join(",")).is_err());
    for (day, hour, minute) in [(7, 0, 0), (0, 24, 0), (u32::MAX, 0, 0), (0, u32::MAX, u32::MAX)] {
        assert_eq!(LocalTime::new(day, hour, minute), None);
    }
}

#[test]
fn a_moment_since_1970_is_a_local_time() {
    // 2026-11-21 was a Saturday; 14:53 in Greenwich.
    let moment = 1_795_272_780_000;
    assert_eq!(LocalTime::at(moment, 0), time(5, 14, 53));
    assert_eq!(LocalTime::at(moment, 10 * 60), time(6, 0, 53));
    assert_eq!(LocalTime::at(moment, -15 * 60), time(4, 23, 53));
    assert_eq!(LocalTime::at(0, -1), time(2, 23, 59));
    let _ = LocalTime::at(u64::MAX, i32::MIN);
}

proptest! {
    #![proptest_config(cases(100))]

    /// Every minute of a week, looked at one by one.
    #[test]
    fn hours_are_what_looking_at_every_minute_says(
        spans in proptest::collection::vec((0..7_usize, 0..288_u32, 0..289_u32), 0..6)
    ) {
        let mut days: [Vec<String>; 7] = Default::default();
        let mut minutes = vec![false; 10_080];
        for (day, opens, closes) in spans {
            let (opens, closes) = (opens * 5, closes * 5);
            if opens == closes || days[day].len() == 4 {
                continue;
            }
            let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
            days[day].push(format!("{}-{}", clock(opens), clock(closes)));
            let until = if closes < opens { closes + 1440 } else { closes };
            for minute in opens..until {
                minutes[(day * 1440 + minute as usize) % 10_080] = true;
            }
        }
        let days = days.map(|day| day.join(","));
        let hours = Hours::new(days.each_ref().map(String::as_str)).unwrap();
        for now in (0..10_080).step_by(101) {
            let is_open = minutes[now];
            let changes_in = (1..=10_080_u32).find(|later| minutes[(now + *later as usize) % 10_080] != is_open);
            let expected = if is_open {
                Opening::Open { closes_in: changes_in }
            } else {
                Opening::Closed { opens_in: changes_in }
            };
            let now = u32::try_from(now).unwrap();
            let (day, minute) = (now / 1440, now % 1440);
            prop_assert_eq!(hours.at(time(day, minute / 60, minute % 60)), expected, "{:?} at {}", days, now);
        }
    }
}
