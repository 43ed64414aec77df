//! What the lesson on hashes builds on.

use complex_structures::encoding::EncodingChange;
use complex_structures::hashes::{Claim, Profiles, ReadFields, WANTED, profile};
use lab_connection::TargetArgs;
use lab_runner::clients::connect;
use lab_runner::{Approach, Comparison, Keys};
use lab_server::Server;

use lab_testing::lessons::open;

#[tokio::test]
async fn all_ways_of_reading_fields_see_the_same_profiles() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let profiles = Profiles::new(20, &Keys::new("lab:"));
        let comparison = Comparison { title: "", approaches: &ReadFields::ALL, input: &profiles };
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
        assert_eq!(trips, [20, 20, 20, 1]);
        let [whole, named, ..] = traffic[..] else { panic!("{traffic:?}") };
        assert!(whole.bytes_received > 3 * named.bytes_received, "{traffic:?}");
    }
}

#[tokio::test]
async fn what_is_read_is_what_the_profile_says_and_what_is_missing_is_none() {
    let target = open(false).await;
    let mut connection = target.connection();
    let profiles = Profiles::new(3, &Keys::new(""));
    for approach in ReadFields::ALL {
        approach.reset(&profiles, &mut connection).await.unwrap();
        let read = approach.run(&profiles, &mut connection).await.unwrap();
        for (read, id) in read.iter().zip(1001..) {
            let all = profile(id);
            let value = |wanted| all.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
            assert_eq!(*read, WANTED.map(value), "{}", approach.label());
        }
        assert_eq!(read.len(), 3);

        redis::cmd("HDEL").arg("profile:1001").arg("city").exec_async(&mut connection).await.unwrap();
        redis::cmd("DEL").arg("profile:1001:city").exec_async(&mut connection).await.unwrap();
        let read = approach.run(&profiles, &mut connection).await.unwrap();
        assert!(read[0][2].is_none() && read[1][2].is_some(), "{}: {read:?}", approach.label());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_claimed_once_only_by_hsetnx() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let clients = connect(&target, 8).await.unwrap();
        for claim in Claim::ALL {
            let key = claim.key(&Keys::new(""));
            let winners = claim.race(&clients, &key).await.unwrap();
            match claim {
                Claim::AskThenSet => assert_eq!(winners, 8),
                Claim::SetIfNew => assert_eq!(winners, 1),
            }
        }
    }
}

/// Our own server, so its configuration may be changed.
async fn change_on_a_server_that_packs(fields: &str) -> Option<EncodingChange> {
    let server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    let mut connection = target.connection();
    let limit = ["SET", "hash-max-listpack-entries", fields];
    redis::cmd("CONFIG").arg(&limit).exec_async(&mut connection).await.unwrap();
    let add = |size: usize| redis::cmd("HSET").arg("growing").arg(size).arg("on").take();
    EncodingChange::find(connection, "growing", 300, add).await.unwrap()
}

#[tokio::test]
async fn the_change_is_found_at_any_limit() {
    for limit in [2, 7, 128] {
        let change = change_on_a_server_that_packs(&limit.to_string()).await.unwrap();
        assert_eq!((change.before.size, change.after.size), (limit, limit + 1));
        assert_eq!(
            (change.before.encoding.as_str(), change.after.encoding.as_str()),
            ("listpack", "hashtable")
        );
        assert!(change.after.bytes > change.before.bytes, "{change:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_or_always_packs_has_no_change() {
    for limit in ["0", "1000"] {
        assert_eq!(change_on_a_server_that_packs(limit).await, None);
    }
}
