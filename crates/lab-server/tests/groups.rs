//! A primary with replicas, Sentinels, and a cluster.

#![expect(clippy::print_stdout, reason = "a release that is not tested is named")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::time::{Duration, Instant};

use lab_server::{Choice, Cluster, Error, PRIMARY_NAME, Program, Release, Replicated, Sentinels, Server};
use redis::cluster::ClusterClient;

/// Whatever takes longer does not come.
const READY_TIMEOUT: Duration = Duration::from_mins(3);

/// Every release that this machine can have; the others are named with the reason.
fn releases() -> Vec<Choice> {
    let mut choices = Vec::new();
    for release in Release::ALL {
        match Program::find(&Choice::release(release)) {
            Err(error @ (Error::NotInstalled { .. } | Error::LibcTooOld { .. })) => {
                println!("skipped: {error}");
            }
            found => {
                found.unwrap();
                choices.push(Choice::release(release));
            }
        }
    }
    choices
}

#[test]
fn an_acknowledged_write_is_on_every_replica() {
    for choice in releases() {
        let start = Instant::now();
        let group = Replicated::start_with(Server::builder().choice(choice), 2).unwrap();
        println!("{}: {:?}", group.primary.program().describe(), start.elapsed());
        let mut primary = group.primary.client().get_connection().unwrap();
        redis::cmd("SET").arg("k").arg("v").exec(&mut primary).unwrap();
        let copies: usize = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut primary).unwrap();
        assert_eq!(copies, 2);
        for replica in &group.replicas {
            let mut connection = replica.client().get_connection().unwrap();
            let value: String = redis::cmd("GET").arg("k").query(&mut connection).unwrap();
            assert_eq!(value, "v");
            let error = redis::cmd("SET").arg("k").arg("w").exec(&mut connection).unwrap_err();
            assert_eq!(error.code(), Some("READONLY"), "{error}");
        }
    }
}

#[test]
fn a_cluster_serves_every_slot() {
    for choice in releases() {
        let start = Instant::now();
        let cluster = Cluster::builder().primaries(3).choice(choice).start().unwrap();
        println!("{}: {:?}", cluster.nodes()[0].program().describe(), start.elapsed());
        let client =
            ClusterClient::builder(cluster.urls()).connection_timeout(READY_TIMEOUT).build().unwrap();
        let mut connection = client.get_connection().unwrap();
        let keys: Vec<_> = (0..300).map(|n| format!("key:{n}")).collect();
        for key in &keys {
            redis::cmd("SET").arg(key).arg(key).exec(&mut connection).unwrap();
        }
        for key in &keys {
            let value: String = redis::cmd("GET").arg(key).query(&mut connection).unwrap();
            assert_eq!(&value, key);
        }
        let mut held = 0;
        for node in cluster.nodes() {
            let size: usize =
                redis::cmd("DBSIZE").query(&mut node.client().get_connection().unwrap()).unwrap();
            assert!(size > 0, "every node holds a share");
            held += size;
        }
        assert_eq!(held, keys.len());
    }
}

#[test]
fn each_primary_is_a_shard_with_its_own_channels() {
    for choice in releases() {
        let cluster = Cluster::builder().primaries(3).choice(choice).start().unwrap();
        let client =
            ClusterClient::builder(cluster.urls()).connection_timeout(READY_TIMEOUT).build().unwrap();
        let mut connection = client.get_connection().unwrap();
        match redis::cmd("CLUSTER").arg("SHARDS").query::<Vec<redis::Value>>(&mut connection) {
            Ok(shards) => assert_eq!(shards.len(), 3),
            Err(error) => {
                println!("{}: {error}", cluster.nodes()[0].program().describe());
                continue;
            }
        }
        for channel in ["a", "b", "c"] {
            let listeners: u64 = redis::cmd("SPUBLISH").arg(channel).arg("").query(&mut connection).unwrap();
            assert_eq!(listeners, 0);
        }
    }
}

#[test]
fn a_cluster_replica_takes_over_from_a_killed_primary() {
    // A second election, if the first one fails, then begins seconds later, not half a minute.
    let builder = Cluster::builder().primaries(3).replicas_each(1).config("cluster-node-timeout", "1000");
    let mut cluster = builder.start().unwrap();
    assert_eq!((cluster.primaries().len(), cluster.replicas().len()), (3, 3));
    let mut replica = cluster.replicas()[0].client().get_connection().unwrap();
    cluster.nodes_mut()[0].kill();
    let start = Instant::now();
    loop {
        let role: redis::Value = redis::cmd("ROLE").query(&mut replica).unwrap();
        let redis::Value::Array(role) = role else { panic!("{role:?}") };
        if role[0] == redis::Value::BulkString(b"master".to_vec()) {
            break;
        }
        assert!(start.elapsed() < READY_TIMEOUT, "{role:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cluster_leaves_nothing() {
    let cluster = Cluster::start(3).unwrap();
    let left: Vec<_> = cluster.nodes().iter().map(|node| (node.pid(), node.dir().to_owned())).collect();
    drop(cluster);
    for (pid, dir) in left {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(!dir.exists());
    }
}

#[test]
fn sentinels_promote_a_replica_when_the_primary_dies() {
    std::thread::scope(|scope| {
        for choice in releases() {
            scope.spawn(|| fail_over(choice));
        }
    });
}

fn fail_over(choice: Choice) {
    let builder = Server::builder().choice(choice);
    let mut group = Sentinels::start_with(builder, 2, 3, 2, Duration::from_millis(500)).unwrap();
    let mut sentinel = group.sentinels[0].client().get_connection().unwrap();
    let mut ask = || -> u16 {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(PRIMARY_NAME);
        let (_, port): (String, u16) = command.query(&mut sentinel).unwrap();
        port
    };
    let old = ask();
    assert_eq!(old, group.data.primary.port());
    group.data.primary.kill();
    let killed = Instant::now();
    while ask() == old {
        assert!(killed.elapsed() < READY_TIMEOUT, "no failover");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{}: failover after {:?}", group.data.primary.program().describe(), killed.elapsed());
    let promoted = group.server_with_port(ask()).unwrap();
    let mut connection = promoted.client().get_connection().unwrap();
    redis::cmd("SET").arg("k").arg("v").exec(&mut connection).unwrap();
}
