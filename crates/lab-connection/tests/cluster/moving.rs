//! One connection to a cluster, 400 callers, and slots that move meanwhile: nobody hears of an error, nothing is counted twice.
//!
//! What redis-rs 1.8.1 would do without `InTurn`, or with tokio 1.54, `ARCHITECTURE.md` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lab_connection::TargetArgs;
use lab_server::Cluster;
use redis::AsyncCommands;
use tokio::task::JoinSet;

const CALLERS: usize = 400;
const ROUNDS: i64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_all_nodes_are_answered_while_slots_move() {
    let firsts = [0, 4_000, 8_000, 12_000];
    everybody_counts(&firsts.map(|first| first..=first + 20), |caller| format!("count:{caller}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_one_slot_are_answered_while_it_moves() {
    // The slot of the tag, by CLUSTER KEYSLOT.
    let slot = 6_093;
    everybody_counts(&[slot..=slot], |caller| format!("{{hot}}:{caller}")).await;
}

/// Moves slots round and round while callers count, each under its own key, and none hears of an error.
async fn everybody_counts(slots: &[std::ops::RangeInclusive<u16>], key: impl Fn(usize) -> String) {
    let cluster = Arc::new(Cluster::start(3).unwrap());
    let args = TargetArgs { cluster: true, ..TargetArgs::at(cluster.nodes()[0].url()) };
    let connection = args.open().await.unwrap().connection();
    let over = Arc::new(AtomicBool::new(false));
    let mover = std::thread::spawn({
        let (cluster, over, slots) = (Arc::clone(&cluster), Arc::clone(&over), slots.to_vec());
        move || {
            while !over.load(Ordering::Relaxed) {
                for slots in &slots {
                    let from = cluster.owner_of(*slots.start()).unwrap();
                    cluster.move_slots(slots.clone(), from, (from + 1) % 3).unwrap();
                }
            }
        }
    });
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (mut connection, key) = (connection.clone(), key(caller));
        callers.spawn(async move {
            for round in 1..=ROUNDS {
                assert_eq!(connection.incr::<_, _, i64>(&key, 1).await.unwrap(), round, "{key}");
            }
        });
    }
    callers.join_all().await;
    over.store(true, Ordering::Relaxed);
    mover.join().unwrap();
}
