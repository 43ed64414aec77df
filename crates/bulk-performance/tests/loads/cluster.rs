//! Loads on a cluster whose slots move, and whose nodes die.

use bulk_performance::load::{Kind, LoadPlan};
use lab_connection::{Target, TargetArgs};
use lab_server::Cluster;

use crate::loading::{Underway, plan};

async fn on(cluster: &Cluster) -> Target {
    TargetArgs { cluster: true, ..TargetArgs::at(&cluster.urls()[0]) }.open().await.unwrap()
}

#[tokio::test]
async fn slots_that_move_meanwhile_lose_nothing() {
    let cluster = Cluster::start(3).unwrap();
    for kind in [Kind::Users, Kind::Strings] {
        let records = 240_000;
        let loading = Underway::start(on(&cluster).await, LoadPlan { kind, ..plan(records) });
        loading.until(records / 20).await;
        // To and fro, so that what moved is asked for again at the place it came from.
        cluster.move_slots(40..=59, 0, 1).unwrap();
        cluster.move_slots(40..=59, 1, 0).unwrap();
        cluster.move_slots(60..=79, 0, 2).unwrap();
        let report = loading.end().await.unwrap();
        assert!(report.redirections > 0, "{kind:?}: the load was over before a slot moved");
        assert_eq!((report.records, report.verified), (records, Some(true)), "{kind:?}");
        cluster.move_slots(60..=79, 2, 0).unwrap();
    }
}

#[tokio::test]
async fn a_list_whose_slot_moves_keeps_its_order() {
    let cluster = Cluster::start(3).unwrap();
    let records = 3_000_000;
    let loading = Underway::start(on(&cluster).await, LoadPlan { kind: Kind::List, ..plan(records) });
    let slot = bulk_loader::topology::slot_of(b"biglist");
    let owner = usize::from(slot) * 3 / 16_384;
    for part in 1..=4 {
        loading.until(records * part / 20).await;
        let (from, to) = if part % 2 == 1 { (owner, (owner + 1) % 3) } else { ((owner + 1) % 3, owner) };
        cluster.move_slots(slot..=slot, from, to).unwrap();
    }
    let report = loading.end().await.unwrap();
    assert!(report.redirections > 0);
    assert_eq!((report.records, report.verified), (records, Some(true)));
}

#[tokio::test]
async fn a_node_that_is_killed_and_comes_back_has_everything() {
    for durable in [true, false] {
        let builder = Cluster::builder();
        let builder = if durable {
            builder.config("appendonly", "yes").config("appendfsync", "always")
        } else {
            builder
        };
        let mut cluster = builder.start().unwrap();
        let records = 150_000;
        let loading = Underway::start(on(&cluster).await, plan(records));
        loading.until(records / 10).await;
        cluster.nodes_mut()[1].kill();
        cluster.nodes_mut()[1].restart().unwrap();
        let report = loading.end().await.unwrap();
        assert_eq!((report.records, report.verified), (records, Some(true)), "durable: {durable}");
        assert!(report.reconnections > 0);
    }
}
