//! Loads on a cluster whose slots move, and whose nodes die.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach the functions they share"
)]

mod loading;

use bulk_performance::load::{Kind, Plan};
use lab_connection::{Target, TargetArgs};
use lab_server::{Cluster, Server};
use redis::{Connection, Value, cmd};

use crate::loading::{Underway, plan};

async fn on(cluster: &Cluster) -> Target {
    TargetArgs { cluster: true, ..TargetArgs::at(&cluster.urls()[0]) }.open().await.unwrap()
}

#[tokio::test]
async fn slots_that_move_meanwhile_lose_nothing() {
    let cluster = Cluster::start(3).unwrap();
    for kind in [Kind::Users, Kind::Strings] {
        let records = 120_000;
        let loading = Underway::start(on(&cluster).await, Plan { kind, ..plan(records) });
        loading.until(records / 10).await;
        // To and fro, so that what moved is asked for again at the place it came from.
        move_slots(&cluster, 0, 1, 40..60);
        move_slots(&cluster, 1, 0, 40..60);
        move_slots(&cluster, 0, 2, 60..80);
        let report = loading.end().await.unwrap();
        assert!(report.redirections > 0, "{kind:?}: the load was over before a slot moved");
        assert_eq!((report.records, report.verified), (records, Some(true)), "{kind:?}");
        move_slots(&cluster, 2, 0, 60..80);
    }
}

#[tokio::test]
async fn a_list_whose_slot_moves_keeps_its_order() {
    let cluster = Cluster::start(3).unwrap();
    let records = 3_000_000;
    let loading = Underway::start(on(&cluster).await, Plan { kind: Kind::List, ..plan(records) });
    let slot = bulk_loader::topology::slot_of(b"biglist");
    let owner = usize::from(slot) * 3 / 16_384;
    for part in 1..=4 {
        loading.until(records * part / 10).await;
        let (from, to) = if part % 2 == 1 { (owner, (owner + 1) % 3) } else { ((owner + 1) % 3, owner) };
        move_slots(&cluster, from, to, slot..slot + 1);
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
        loading.until(records / 3).await;
        cluster.nodes_mut()[1].kill();
        cluster.nodes_mut()[1].restart().unwrap();
        let report = loading.end().await.unwrap();
        assert_eq!((report.records, report.verified), (records, Some(true)), "durable: {durable}");
        assert!(report.reconnections > 0);
    }
}

/// Moves slots as `redis-cli --cluster reshard` does, keys and all.
fn move_slots(cluster: &Cluster, from: usize, to: usize, slots: std::ops::Range<u16>) {
    let nodes = cluster.nodes();
    let (source, destination) = (&nodes[from], &nodes[to]);
    let (mut source_link, mut destination_link) = (link(source), link(destination));
    let (source_id, destination_id) = (id(&mut source_link), id(&mut destination_link));
    for slot in slots {
        set_slot(&mut destination_link, slot, &["IMPORTING", &source_id]);
        set_slot(&mut source_link, slot, &["MIGRATING", &destination_id]);
        loop {
            let keys: Vec<String> =
                cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(100).query(&mut source_link).unwrap();
            if keys.is_empty() {
                break;
            }
            cmd("MIGRATE")
                .arg(&["127.0.0.1", &destination.port().to_string(), "", "0", "10000"])
                .arg(&["AUTH", cluster.password(), "KEYS"])
                .arg(keys)
                .exec(&mut source_link)
                .unwrap();
        }
        // The destination first: until the source knows, it sends what it no longer has there.
        set_slot(&mut destination_link, slot, &["NODE", &destination_id]);
        set_slot(&mut source_link, slot, &["NODE", &destination_id]);
    }
}

fn set_slot(link: &mut Connection, slot: u16, how: &[&str]) {
    cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(how).exec(link).unwrap();
}

fn link(server: &Server) -> Connection {
    server.client().get_connection().unwrap()
}

fn id(link: &mut Connection) -> String {
    match cmd("CLUSTER").arg("MYID").query(link).unwrap() {
        Value::BulkString(id) => String::from_utf8(id).unwrap(),
        other => panic!("{other:?}"),
    }
}
