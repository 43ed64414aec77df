//! The tests of the whole crate can be run on a cluster whose slots move before each command: `STOREFRONT_SLOTS_MOVE=1`. That
//! they then do move is tested here.

use std::time::{Duration, Instant};

use redis::Value;
use storefront::{Layout, UserId};

use crate::shop::moving::owner_of;
use crate::shop::{Wire, own_keys};

#[tokio::test]
async fn a_restless_connection_moves_the_slot_of_what_it_sends() {
    let (wire, key) = (Wire::restless().await, own_keys(Layout::Cluster).user(UserId::new(7).unwrap()));
    let mut sent = 0;
    for _ in 0..4 {
        let owner = owner_of(&key);
        let start = Instant::now();
        // Where another test moves slots at the moment, a command goes without.
        while owner_of(&key) == owner {
            assert!(start.elapsed() < Duration::from_mins(1), "the slot stays");
            wire.send(&["INCR", &key]).await;
            sent += 1;
        }
    }
    assert_eq!(wire.send(&["GET", &key]).await, Value::BulkString(sent.to_string().into_bytes()));
}
