//! Checks of facts that no small server can show: O8, versions, swap, and what takes hours.

use std::collections::BTreeMap;

use operations::doctor::checks::diagnose;
use operations::doctor::facts::{
    ClusterNode, Facts, Host, Info, KeySample, Missing, NodeFacts, Role, StateKey, StreamGroup, Watched,
};
use operations::doctor::finding::{Finding, Severity};

/// A primary with these lines of INFO, and whose other replies are empty.
fn node(info: &str) -> NodeFacts {
    let mut node = NodeFacts::new("10.0.0.1:6379");
    node.role = Role::Primary;
    node.info = Info::parse(&format!("run_id:1\n{info}"));
    node.later = node.info.clone();
    node.config = Ok(BTreeMap::from([("save".to_owned(), "3600 1".to_owned())]));
    node.users = Ok(vec!["user default on #... ~* &* +@all".to_owned()]);
    node.clients = Ok(Vec::new());
    node.slow = Ok(Vec::new());
    node.latency = Ok(Vec::new());
    node.keys = Ok(KeySample { complete: true, ..KeySample::default() });
    node.streams = Ok(Vec::new());
    node
}

fn findings(node: NodeFacts) -> Vec<Finding> {
    diagnose(&Facts { nodes: vec![node], ..Facts::default() }).findings
}

fn found(node: NodeFacts) -> Vec<&'static str> {
    findings(node).iter().map(|finding| finding.name).collect()
}

#[test]
fn no_limit_is_not_a_limit_of_zero() {
    let found = findings(node("maxmemory:0\nused_memory:5000000\nmaxmemory_policy:noeviction"));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name, found[0].what.as_str()), ("no-maxmemory", "No memory limit is set."));
    assert!(!found[0].what.contains('%'));
}

#[test]
fn a_small_process_is_not_fragmented() {
    let small = "used_memory:900000\nused_memory_rss:9700000\nmem_fragmentation_ratio:12.1\nmem_fragmentation_bytes:8800000\n\
                 allocator_frag_ratio:1.6\nallocator_frag_bytes:500000\nmem_allocator:jemalloc-5.3.0\nmaxmemory:1000000000";
    assert_eq!(found(node(small)), [""; 0]);
    // The process's ratio is high, because the allocator keeps pages; the allocator's own is not.
    let kept = "mem_fragmentation_ratio:3.0\nmem_fragmentation_bytes:900000000\nallocator_frag_ratio:1.05\n\
                allocator_frag_bytes:9000000\nmem_allocator:jemalloc-5.3.0\nmaxmemory:9000000000";
    assert_eq!(found(node(kept)), [""; 0]);
    let real = "allocator_frag_ratio:2.5\nallocator_frag_bytes:300000000\nmem_allocator:jemalloc-5.3.0\nmaxmemory:9000000000";
    assert_eq!(found(node(real)), ["fragmentation"]);
}

#[test]
fn an_empty_primary_that_is_younger_than_its_replica_is_a_finding() {
    let severity = |own: &str, replicas: &str| {
        let mut replica = node(replicas);
        replica.role = Role::Replica;
        let facts = Facts { nodes: vec![node(own), replica], ..Facts::default() };
        let findings = diagnose(&facts).findings;
        let found = findings.iter().find(|found| found.name == "primary-reborn-empty");
        found.map(|found| found.severity)
    };
    let empty = "uptime_in_seconds:5";
    assert_eq!(severity(empty, "uptime_in_seconds:900\ndb0:keys=1000,expires=0"), Some(Severity::Critical));
    assert_eq!(severity(empty, "uptime_in_seconds:900"), Some(Severity::Warning));
    assert_eq!(severity(empty, "uptime_in_seconds:4"), None, "the replica came later");
    assert_eq!(severity("uptime_in_seconds:5\ndb0:keys=1,expires=0", "uptime_in_seconds:900"), None);
}

#[test]
fn a_volatile_policy_on_queues_is_a_finding() {
    let state = |name: &str, looks_like, expires| StateKey { name: name.to_owned(), looks_like, expires };
    let with = |policy: &str, state: Vec<StateKey>| {
        let mut node = node(&format!("maxmemory:1000000\nused_memory:1\nmaxmemory_policy:{policy}"));
        node.keys = Ok(KeySample { complete: true, looked_at: 2, of: 2, state, ..KeySample::default() });
        found(node)
    };
    let queue = || vec![state("bull:mail:wait", "queue", false), state("bull:mail:1:lock", "lock", true)];
    assert_eq!(with("volatile-lru", queue()), ["eviction-can-drop-state"]);
    assert_eq!(with("allkeys-lru", vec![state("session:1", "session", false)]), ["eviction-can-drop-state"]);
    assert_eq!(with("noeviction", queue()), [""; 0]);
    // A lock without a TTL is safe from a volatile policy.
    assert_eq!(with("volatile-lru", vec![state("lock:1", "lock", false)]), [""; 0]);
}

#[test]
fn valkey_is_known_by_its_own_version() {
    let info = Info::parse("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n");
    assert_eq!(info.version(), Some(("Valkey", "9.0.0")));
    assert_eq!(found(node("redis_version:7.2.4\nvalkey_version:9.0.0\nmaxmemory:1000000")), [""; 0]);
    assert_eq!(found(node("redis_version:7.2.4\nmaxmemory:1000000")), ["vulnerable-version"]);
    assert_eq!(
        found(node("redis_version:7.2.4\nvalkey_version:8.1.3\nmaxmemory:1000000")),
        ["vulnerable-version"]
    );
    assert_eq!(found(node("redis_version:8.2.2\nmaxmemory:1000000")), ["vulnerable-version"]);
    for good in ["8.2.3", "8.10.2", "7.2.11", "9.3.0", "unstable"] {
        assert_eq!(found(node(&format!("redis_version:{good}\nmaxmemory:1000000"))), [""; 0], "{good}");
    }
    // RESTORE runs code there, if an application may send it.
    let mut node_with_user = node("redis_version:8.2.3\nmaxmemory:1000000");
    for (rules, names) in [("+@all", true), ("-@all +restore +get", true), ("+@all -@dangerous", false)] {
        node_with_user.users = Ok(vec![format!("user shop on #x ~* {rules}")]);
        assert_eq!(found(node_with_user.clone()).contains(&"vulnerable-version"), names, "{rules}");
    }
    // Debian repaired 7.0.15 without another number, so it cannot be told.
    let diagnosis =
        diagnose(&Facts { nodes: vec![node("redis_version:7.0.15\nmaxmemory:1")], ..Facts::default() });
    assert!(diagnosis.skipped.iter().any(|skipped| skipped.check.contains("CVE-2025-49844")));
}

#[test]
fn absent_fields_are_unknown() {
    let diagnosis = diagnose(&Facts { nodes: vec![node("redis_version:6.2.20")], ..Facts::default() });
    assert_eq!(diagnosis.findings.len(), 0, "{:#?}", diagnosis.findings);
    let unknown = diagnosis.skipped.iter().any(|skipped| skipped.reason.contains("unknown"));
    assert!(unknown, "{:#?}", diagnosis.skipped);
    // Numbers that are none are unknown, too.
    assert_eq!(
        found(node("maxmemory:\nused_memory:nan\nmaxmemory_policy:noeviction\nevicted_keys:-")),
        [""; 0]
    );
    assert_eq!(diagnose(&Facts { nodes: vec![NodeFacts::new("x:1")], ..Facts::default() }).findings.len(), 0);
}

#[test]
fn failures_of_the_disk_are_named() {
    let info = "maxmemory:1000000\nrdb_last_bgsave_status:err\naof_last_bgrewrite_status:err\naof_last_write_status:err";
    assert_eq!(found(node(info)), ["aof-rewrite-failed", "aof-write-failed", "last-save-failed"]);
    let mut full = node("maxmemory:1000000\nused_memory:1000000000");
    full.host = Some(Host { disk_free: Some(1_000_000_000), ..Host::default() });
    assert_eq!(found(full), ["disk-nearly-full"]);
}

#[test]
fn swap_and_huge_pages_are_named() {
    let mut swapped = node("maxmemory:1000000");
    swapped.host = Some(Host {
        swapped: Some(50_000_000),
        huge_pages: Some("[always] madvise never".to_owned()),
        huge_pages_for_process: Some(true),
        disk_free: Some(100_000_000_000),
        ..Host::default()
    });
    assert_eq!(found(swapped.clone()), ["swapped", "transparent-huge-pages"]);
    // Redis turns them off for itself.
    let host = swapped.host.as_mut().unwrap();
    (host.swapped, host.huge_pages_for_process) = (Some(0), Some(false));
    assert_eq!(found(swapped), [""; 0]);
}

#[test]
fn replicas_that_lag_are_named() {
    let lag = "maxmemory:1000000\nrole:master\nconnected_slaves:2\nmaster_repl_offset:50000000\nrepl_backlog_size:1048576\n\
               slave0:ip=10.0.0.2,port=6379,state=online,offset=50000000,lag=0\n\
               slave1:ip=10.0.0.3,port=6379,state=online,offset=100,lag=14";
    assert_eq!(found(node(lag)), ["backlog-too-small", "replica-lag"]);
    let wait = "maxmemory:1000000\nconnected_slaves:2\nslave0:ip=a,port=1,state=send_bulk,offset=0,lag=0\n\
                slave1:ip=b,port=1,state=online,offset=0,lag=1";
    assert_eq!(found(node(wait)), ["replica-not-online"]);
}

#[test]
fn dead_consumers_and_entries_that_age_are_named() {
    let group = |pending, idle, oldest| {
        let mut node = node("maxmemory:1000000");
        node.streams = Ok(vec![StreamGroup {
            stream: "events".to_owned(),
            group: "g".to_owned(),
            pending,
            oldest_pending: oldest,
            consumers: vec![("c".to_owned(), pending, idle)],
            ..StreamGroup::default()
        }]);
        found(node)
    };
    assert_eq!(group(3, 3_600_000, Some(3_600_000)), ["stream-consumer-died", "stream-pending-ages"]);
    // An idle consumer without entries waits for work.
    assert_eq!(group(0, 3_600_000, None), [""; 0]);
    assert_eq!(group(3, 1_000, Some(2_000)), [""; 0]);
}

#[test]
fn sentinels_that_cannot_agree_are_named() {
    let mut node = node("redis_version:9.0.0");
    node.role = Role::Sentinel;
    let watched = Watched {
        name: "shop".to_owned(),
        address: "10.0.0.1:6379".to_owned(),
        flags: "master,s_down".to_owned(),
        quorum: 2,
        other_sentinels: 1,
        quorum_reply: Some(Err("NOQUORUM 1 usable Sentinels.".to_owned())),
        replicas: vec![("10.0.0.2:6379".to_owned(), "slave,s_down".to_owned())],
        sentinels: vec![("10.0.0.3:26379".to_owned(), "sentinel,s_down".to_owned())],
    };
    node.watched = Ok(vec![watched]);
    assert_eq!(
        found(node),
        [
            "sentinel-primary-down",
            "sentinel-quorum-unreachable",
            "replica-down",
            "sentinel-down",
            "too-few-sentinels"
        ]
    );
}

#[test]
fn a_hash_of_a_password_is_in_no_finding() {
    let mut node = node("maxmemory:1000000");
    node.users = Ok(vec!["user app on #... ~* &* +@all".to_owned()]);
    let found = findings(node);
    assert_eq!(found[0].name, "dangerous-commands-allowed");
    assert!(found[0].reply.contains("#..."));
}

#[test]
fn slots_that_one_node_has_too_many_of_are_named() {
    let member = |id: &str, slots| ClusterNode {
        id: id.to_owned(),
        address: format!("10.0.0.{id}:6379"),
        flags: vec!["master".to_owned()],
        primary: None,
        slots,
        open: Vec::new(),
    };
    let with = |slots: [u32; 3]| {
        let mut node = node("maxmemory:1000000\ncluster_enabled:1");
        node.cluster_info =
            Ok(Info::parse("cluster_state:ok\ncluster_slots_assigned:16384\ncluster_slots_ok:16384"));
        node.cluster_nodes = Ok((1..).zip(slots).map(|(id, slots)| member(&id.to_string(), slots)).collect());
        found(node)
    };
    assert_eq!(with([5_461, 5_461, 5_462]), ["cluster-without-replicas"]);
    assert_eq!(with([10_000, 3_000, 3_384]), ["slots-unbalanced", "cluster-without-replicas"]);
    assert_eq!(with([8_192, 8_192, 0]), ["cluster-without-replicas"]);
}

#[test]
fn an_old_snapshot_with_many_changes_is_named() {
    let with = |now: u64, changes: u64| {
        found(node(&format!(
            "maxmemory:1000000\naof_enabled:0\nserver_time_usec:{now}000000\nrdb_last_save_time:1000000\n\
             rdb_changes_since_last_save:{changes}"
        )))
    };
    assert_eq!(with(1_100_000, 5_000), ["snapshot-old"]);
    assert_eq!(with(1_003_000, 5_000), [""; 0]);
    assert_eq!(with(1_100_000, 5), [""; 0]);
}

#[test]
fn replicas_on_the_machine_of_their_primary_are_named() {
    let member = |id: &str, host: &str, primary: Option<&str>| ClusterNode {
        id: id.to_owned(),
        address: format!("{host}:6379"),
        primary: primary.map(str::to_owned),
        slots: if primary.is_none() { 8_192 } else { 0 },
        ..ClusterNode::default()
    };
    let with = |first: &str, second: &str| {
        let mut node = node("maxmemory:1000000\ncluster_enabled:1");
        node.cluster_info = Ok(Info::parse("cluster_state:ok\ncluster_slots_assigned:16384"));
        let nodes = [
            member("a", "10.0.0.1", None),
            member("b", "10.0.0.2", None),
            member("c", first, Some("a")),
            member("d", second, Some("b")),
        ];
        node.cluster_nodes = Ok(nodes.to_vec());
        found(node)
    };
    assert_eq!(with("10.0.0.2", "10.0.0.1"), [""; 0]);
    assert_eq!(with("10.0.0.1", "10.0.0.1"), ["replica-on-same-host"]);
}

#[test]
fn a_replica_can_have_a_replica_that_lags() {
    let mut middle = node(
        "role:slave\nmaster_link_status:up\nmaster_repl_offset:50000000\n\
         slave0:ip=10.0.0.3,port=6379,state=online,offset=100,lag=14",
    );
    middle.role = Role::Replica;
    assert_eq!(found(middle), ["replica-lag"]);
}

#[test]
fn a_limit_for_the_lag_of_zero_turns_the_other_off() {
    let mut primary =
        node("maxmemory:1000000\nslave0:ip=a,port=1,state=online\nslave1:ip=b,port=1,state=online");
    let config = primary.config.as_mut().unwrap();
    config.insert("min-replicas-to-write".to_owned(), "1".to_owned());
    config.insert("min-replicas-max-lag".to_owned(), "0".to_owned());
    assert_eq!(found(primary), ["min-replicas-unset"]);
}

#[test]
fn thousands_of_connections_are_named_although_they_are_not_listed() {
    let mut node = node("maxmemory:1000000\nconnected_clients:12000\nmaxclients:30000");
    node.clients = Err(Missing::Failed("12000 connections are open".to_owned()));
    assert_eq!(found(node), ["many-connections"]);
    assert_eq!(found(self::node("maxmemory:1000000\nconnected_clients:3000\nmaxclients:30000")), [""; 0]);
}

#[test]
fn a_backlog_of_less_than_a_second_is_named() {
    let with = |backlog: u64| {
        let replicas = "connected_slaves:2\nslave0:ip=a,port=1,state=online,offset=1000\nslave1:ip=b,port=1,state=online,offset=1000";
        let info = |offset: u64| {
            format!(
                "run_id:1\nmaxmemory:1\nrepl_backlog_size:{backlog}\nmaster_repl_offset:{offset}\n{replicas}"
            )
        };
        let mut node = node(&info(1_000));
        node.later = Info::parse(&info(201_000));
        node.seconds = 2.0;
        found(node)
    };
    assert_eq!(with(16_384), ["backlog-too-small"]);
    assert_eq!(with(1_048_576), [""; 0]);
}
