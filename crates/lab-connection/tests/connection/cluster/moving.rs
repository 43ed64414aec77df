//! One connection to a cluster, 400 callers, and slots that move meanwhile: no caller sees an error, and nothing is counted twice.
//!
//! What redis-rs 1.8.1 would do without `LimitedClusterConnection`, or with tokio 1.54, `ARCHITECTURE.md` says.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lab_connection::TargetArgs;
use lab_server::Cluster;
use tokio::task::JoinSet;

const CALLERS: usize = 400;
const ROUNDS: i64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_all_nodes_are_answered_while_slots_move() {
    let firsts = [0, 4_000, 8_000, 12_000];
    everybody_counts(CALLERS, &firsts.map(|first| first..=first + 20), |caller| {
        vec![format!("count:{caller}")]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_over_many_slots_are_answered_while_those_move() {
    // The slots of the tags 10 to 13, by CLUSTER KEYSLOT. Each key of a pipeline is in a slot of its own: redis-rs sends all
    // commands of a slot again if one of them is redirected.
    let slots = [247, 4_310, 8_373, 12_436].map(|slot| slot..=slot);
    everybody_counts(20, &slots, |caller| (0..20).map(|of| format!("{{{of}}}:{caller}")).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_one_slot_are_answered_while_it_moves() {
    // The slot of the tag, by CLUSTER KEYSLOT.
    let slot = 6_093;
    everybody_counts(CALLERS, &[slot..=slot], |caller| vec![format!("{{hot}}:{caller}")]).await;
}

/// Moves slots round and round while callers count, each under its own keys, and none sees an error.
async fn everybody_counts(
    callers: usize,
    slots: &[RangeInclusive<u16>],
    keys: impl Fn(usize) -> Vec<String>,
) {
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
    let mut counting = JoinSet::new();
    for caller in 0..callers {
        let (mut connection, keys) = (connection.clone(), keys(caller));
        counting.spawn(async move {
            for round in 1..=ROUNDS {
                let mut pipeline = redis::pipe();
                for key in &keys {
                    pipeline.incr(key, 1);
                }
                let counted: Vec<i64> = pipeline.query_async(&mut connection).await.unwrap();
                assert_eq!(counted, vec![round; keys.len()], "{keys:?}");
            }
        });
    }
    counting.join_all().await;
    over.store(true, Ordering::Relaxed);
    mover.join().unwrap();
}
