//! One connection to a cluster, many callers, and slots that move meanwhile.
//!
//! With tokio 1.54 and redis-rs 1.8.1 the connection stands still at the first MOVED that meets a busy moment, and every
//! call times out from then on: asking for the slots wants a lock for itself, a request that is not polled meanwhile has it.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach the functions they share"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lab_connection::TargetArgs;
use lab_server::Cluster;
use redis::AsyncCommands;
use tokio::task::JoinSet;

/// More than a connection to a node takes in at once.
const CALLERS: usize = 400;
const ROUNDS: i64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_of_one_connection_do_not_stall_while_slots_move() {
    let cluster = Arc::new(Cluster::start(3).unwrap());
    let args = TargetArgs { cluster: true, ..TargetArgs::at(cluster.nodes()[0].url()) };
    let connection = args.open().await.unwrap().connection();

    let over = Arc::new(AtomicBool::new(false));
    let mover = std::thread::spawn({
        let (cluster, over) = (Arc::clone(&cluster), Arc::clone(&over));
        move || {
            let mut moves = 0;
            while !over.load(Ordering::Relaxed) {
                for first in [0, 4_000, 8_000, 12_000] {
                    let from = cluster.owner_of(first).unwrap();
                    cluster.move_slots(first..=first + 20, from, (from + 1) % 3).unwrap();
                    moves += 1;
                }
            }
            moves
        }
    });
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut connection = connection.clone();
        callers.spawn(async move {
            for round in 1..=ROUNDS {
                let count: i64 = connection.incr(format!("count:{caller}"), 1).await.unwrap();
                assert_eq!(count, round);
            }
        });
    }
    callers.join_all().await;
    over.store(true, Ordering::Relaxed);
    assert!(mover.join().unwrap() > 0, "no slot has moved");
}
