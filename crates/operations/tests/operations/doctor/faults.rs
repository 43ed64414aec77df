//! One planted fault for each server, and the name that the doctor gives it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use lab_server::{Builder, Replicated, Sentinels, Server};
use lab_testing::until;
use operations::doctor::examine;
use operations::doctor::facts::Info;
use operations::private::blocking;

use super::{DEPTH, doctor, healthy, healthy_cluster, names, send, start};

/// The names of all that the doctor says.
async fn said(url: impl AsRef<str>) -> Vec<&'static str> {
    names(&doctor(url.as_ref()).await.diagnosis)
}

async fn says(url: impl AsRef<str>, name: &str) -> bool {
    said(url).await.contains(&name)
}

/// A server with a fault must be named by that name and by no other warning.
async fn assert_says(server: &Server, expected: &[&str]) {
    let found = doctor(&server.url()).await;
    assert_eq!(names(&found.diagnosis), expected, "{:#?}", found.diagnosis.findings);
}

async fn planted(builder: Builder, commands: &[&[&str]], expected: &[&str]) {
    let server = start(builder).await;
    for words in commands {
        send(&server, words);
    }
    assert_says(&server, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_faults_are_named() {
    let open = healthy().no_password().config("bind", "0.0.0.0").config("protected-mode", "no");
    let ignores = healthy().config("appendonly", "no").config("save", "3600 1");
    let with = |name: &str, value: &str| healthy().config(name, value);
    let faults = [
        (open, "no-password"),
        // An application that may send these two makes an older release vulnerable, too.
        (with("user", "app on >p ~* &* +@all -restore -replicaof"), "dangerous-commands-allowed"),
        (with("user", "app on >p ~* &* -@all +get +config|set"), "dangerous-commands-allowed"),
        (with("user", "app on nopass ~* -@all +get"), "user-without-password"),
        (with("user", "admin on nopass ~* &* +@all"), "user-without-password"),
        (with("maxmemory", "0"), "no-maxmemory"),
        (with("maxmemory", "9000gb"), "maxmemory-above-ram"),
        (with("min-replicas-to-write", "1"), "too-few-good-replicas"),
        (with("appendfsync", "no"), "fsync-left-to-the-system"),
        (ignores.config("stop-writes-on-bgsave-error", "no"), "failed-saves-ignored"),
        (with("tcp-keepalive", "0"), "dead-connections-stay"),
        (with("client-output-buffer-limit", "pubsub 0 0 0"), "subscribers-without-limit"),
    ];
    for (builder, name) in faults {
        planted(builder, &[], &[name]).await;
    }
    planted(healthy().config("appendonly", "no"), &[&["SET", "k", "v"]], &["no-persistence"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_failed_is_named() {
    let server = start(healthy()).await;
    // A file cannot take the place of a folder that is not empty.
    std::fs::create_dir_all(server.dir().join("dump.rdb/inside")).unwrap();
    send(&server, &["SET", "k", "v"]);
    send(&server, &["BGSAVE"]);
    until("the snapshot has failed", || says(server.url(), "last-save-failed")).await;
    assert_says(&server, &["last-save-failed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_memory_and_evictions_are_named() {
    let fill = |server: &Server| {
        let mut connection = server.client().get_connection().unwrap();
        for number in 0..20_000 {
            let mut set = redis::cmd("SET");
            if set.arg(format!("page:{number}")).arg("x".repeat(1_000)).exec(&mut connection).is_err() {
                return;
            }
        }
    };
    let no_eviction =
        start(healthy().config("appendonly", "no").config("save", "3600 1").config("maxmemory", "8mb")).await;
    fill(&no_eviction);
    assert_says(&no_eviction, &["memory-nearly-full"]).await;
    let evicts = healthy().config("appendonly", "no").config("maxmemory", "8mb");
    let evicts = start(evicts.config("maxmemory-policy", "allkeys-lru")).await;
    fill(&evicts);
    assert_says(&evicts, &["evicting"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_under_a_volatile_policy_are_named() {
    let keys: [&[&str]; 2] =
        [&["LPUSH", "bull:mail:wait", "1"], &["SET", "bull:mail:1:lock", "token", "PX", "3600000"]];
    planted(healthy().config("maxmemory-policy", "volatile-lru"), &keys, &["eviction-can-drop-state"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn big_keys_and_slow_commands_on_them_are_named() {
    planted(healthy(), &[&["SET", "big", &"x".repeat(2_000_000)]], &["big-key"]).await;
    let server = start(healthy()).await;
    let mut connection = server.client().get_connection().unwrap();
    let mut pipe = redis::pipe();
    for number in 0..150_000 {
        pipe.cmd("HSET").arg("h").arg(format!("field:{number}")).arg("a value").ignore();
    }
    pipe.exec(&mut connection).unwrap();
    let _: redis::Value = redis::cmd("HGETALL").arg("h").query(&mut connection).unwrap();
    assert_says(&server, &["big-key", "slow-command-on-huge-collection"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_key_is_named_where_the_server_counts() {
    // With a factor of 0, each read counts.
    let server =
        start(healthy().config("maxmemory-policy", "allkeys-lfu").config("lfu-log-factor", "0")).await;
    let mut pipe = redis::pipe();
    for number in 0..50 {
        pipe.cmd("SET").arg(format!("page:{number}")).arg("x").ignore();
    }
    for _ in 0..200 {
        pipe.cmd("GET").arg("page:7").ignore();
    }
    pipe.exec(&mut server.client().get_connection().unwrap()).unwrap();
    assert_says(&server, &["hot-key"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_are_named() {
    let server =
        healthy().config("slowlog-log-slower-than", "10000").config("latency-monitor-threshold", "100");
    let server = start(server).await;
    send(&server, &["DEBUG", "SLEEP", "0.2"]);
    let found = said(server.url()).await;
    assert!(found.contains(&"slow-commands") && found.contains(&"latency-spike"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_and_scripts_that_pile_up_are_named() {
    let server = start(healthy()).await;
    let mut connection = server.client().get_connection().unwrap();
    let mut pipe = redis::pipe();
    for number in 0..1_500 {
        pipe.cmd("GET").arg(format!("nothing:{number}")).ignore();
    }
    for number in 0..400 {
        pipe.cmd("EVAL").arg(format!("return {number}")).arg(0).ignore();
    }
    pipe.exec(&mut connection).unwrap();
    assert_says(&server, &["low-hit-rate", "scripts-accumulate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_that_pile_up_are_named() {
    let server = start(healthy()).await;
    send(&server, &["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    let mut pipe = redis::pipe();
    for number in 0..3_000 {
        pipe.cmd("SET").arg(format!("page:{number}")).arg("x").arg("PX").arg(1).ignore();
    }
    pipe.exec(&mut server.client().get_connection().unwrap()).unwrap();
    until("the last key has expired", || async {
        send(&server, &["EXISTS", "page:2999"]) == redis::Value::Int(0)
    })
    .await;
    assert_says(&server, &["expired-keys-pile-up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_nobody_finishes_are_named() {
    let commands: [&[&str]; 4] = [
        &["XGROUP", "CREATE", "events", "g", "0", "MKSTREAM"],
        &["XADD", "events", "1-1", "f", "v"],
        &["XREADGROUP", "GROUP", "g", "c", "STREAMS", "events", ">"],
        &["XCLAIM", "events", "g", "c", "0", "1-1", "IDLE", "3600000", "RETRYCOUNT", "12"],
    ];
    planted(healthy(), &commands, &["stream-entry-fails", "stream-pending-ages"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_names_and_blocked_ones_are_noted() {
    let server = start(healthy()).await;
    let mut idle: Vec<_> = (0..3).map(|_| server.client().get_connection().unwrap()).collect();
    assert_says(&server, &["clients-without-names"]).await;
    for (number, connection) in idle.iter_mut().enumerate() {
        redis::cmd("CLIENT").arg("SETNAME").arg(format!("app-{number}")).exec(connection).unwrap();
    }
    assert_says(&server, &[]).await;
    let mut worker = server.client().get_connection().unwrap();
    let blocking = tokio::task::spawn_blocking(move || {
        redis::cmd("BLPOP").arg("queue:mail").arg(60).query::<redis::Value>(&mut worker)
    });
    until("the worker waits", || says(server.url(), "blocked-clients")).await;
    send(&server, &["LPUSH", "queue:mail", "1"]);
    blocking.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_and_too_short_connections_are_named() {
    let server = start(healthy().config("maxclients", "12")).await;
    let mut open: Vec<_> = (0..10).map(|_| server.client().get_connection().unwrap()).collect();
    for connection in &mut open {
        redis::cmd("CLIENT").arg("SETNAME").arg("app").exec(connection).unwrap();
    }
    assert_says(&server, &["too-many-connections"]).await;
    let server = start(healthy()).await;
    for _ in 0..1_500 {
        drop(TcpStream::connect(("127.0.0.1", server.port())).unwrap());
    }
    until("all were accepted", || says(server.url(), "connection-churn")).await;
}

/// A connection that sends and never reads.
fn deaf(server: &Server, commands: &[&str]) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut text = format!("AUTH {}\r\nCLIENT SETNAME deaf\r\n", server.password());
    text.push_str(&commands.join("\r\n"));
    text.push_str("\r\n");
    socket.write_all(text.as_bytes()).unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_are_named() {
    let server = start(healthy()).await;
    let _subscriber = deaf(&server, &["SUBSCRIBE news"]);
    let message = "x".repeat(500_000);
    until("the subscriber is behind", || async {
        send(&server, &["PUBLISH", "news", &message]);
        says(server.url(), "subscriber-falls-behind").await
    })
    .await;
    let server = start(healthy()).await;
    send(&server, &["SET", "page", &"x".repeat(900_000)]);
    let _reader = deaf(&server, &["GET page"; 40]);
    until("the replies wait", || says(server.url(), "output-buffer-near-limit")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_replication_is_named_from_both_sides() {
    let builder = healthy();
    let mut group = blocking(move || Replicated::start_with(builder, 1)).await.unwrap();
    // For a second, the primary may not know yet that the replica has everything.
    until("the replica is online", || async {
        said(group.primary.url()).await == ["min-replicas-unset", "single-replica"]
    })
    .await;
    group.replicas[0].kill();
    until("the primary has noticed", || says(group.primary.url(), "replica-gone")).await;
    group.replicas[0].restart().unwrap();
    group.primary.kill();
    until("the replica has noticed", || says(group.replicas[0].url(), "replica-link-down")).await;
    let found = doctor(&group.replicas[0].url()).await;
    assert_eq!(found.facts.unreached.len(), 1, "{:?}", found.facts.unreached);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_came_back_empty_is_named() {
    let builder = Server::builder().config("maxmemory", "200mb");
    let mut group = blocking(move || Replicated::start_with(builder, 1)).await.unwrap();
    for key in 0..1_000 {
        send(&group.primary, &["SET", &format!("order:{key}"), "paid"]);
    }
    until("the replica has the keys", || async {
        send(&group.replicas[0], &["DBSIZE"]) == redis::Value::Int(1_000)
    })
    .await;
    // Ages are in seconds.
    until("the primary is not as young as it will be", || async {
        let redis::Value::BulkString(info) = send(&group.primary, &["INFO", "server"]) else { return false };
        Info::parse(&String::from_utf8_lossy(&info)).number("uptime_in_seconds") > Some(1.0)
    })
    .await;
    // It saves nothing, so its directory is as good as empty.
    group.primary.kill();
    group.primary.restart().unwrap();
    until("the replica is empty", || async { send(&group.replicas[0], &["DBSIZE"]) == redis::Value::Int(0) })
        .await;
    assert!(says(group.primary.url(), "primary-reborn-empty").await);
    // From the replica, the primary is examined, too.
    assert!(says(group.replicas[0].url(), "primary-reborn-empty").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_without_a_quorum_are_named() {
    let builder = healthy().config("min-replicas-to-write", "1");
    let mut group =
        blocking(move || Sentinels::start_with(builder, 2, 2, 2, Duration::from_secs(1))).await.unwrap();
    let found = said(group.sentinels[0].url()).await;
    assert!(found.contains(&"too-few-sentinels"), "{found:?}");
    group.sentinels[1].kill();
    until("the other has noticed", || says(group.sentinels[0].url(), "sentinel-quorum-unreachable")).await;
    group.data.replicas[0].kill();
    until("the replica is missed", || says(group.sentinels[0].url(), "replica-down")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_a_dead_node_and_missing_slots_is_named() {
    let mut cluster =
        blocking(|| healthy_cluster().config("cluster-node-timeout", "1000").start()).await.unwrap();
    let url = cluster.urls()[0].clone();
    let found = doctor(&url).await;
    assert!(found.diagnosis.is_healthy(), "{:#?}", found.diagnosis.findings);
    assert!(names(&found.diagnosis).contains(&"cluster-without-replicas"));
    send(&cluster.nodes()[0], &["CLUSTER", "DELSLOTS", "0", "1"]);
    until("the slots are missed", || says(&url, "slots-uncovered")).await;
    cluster.nodes_mut()[2].kill();
    until("the node is missed", || says(&url, "node-failing")).await;
    until("the cluster is down", || says(&url, "cluster-down")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_a_ttl_that_grow_are_named() {
    let server = start(healthy()).await;
    let url = server.url();
    let writer = tokio::spawn(async move {
        let mut number = 0_u64;
        loop {
            let mut pipe = redis::pipe();
            for _ in 0..20 {
                number += 1;
                pipe.cmd("SET").arg(format!("page:{number}")).arg("x").ignore();
            }
            let mut connection =
                lab_connection::connection::unguarded(&redis::Client::open(url.as_str()).unwrap())
                    .await
                    .unwrap();
            pipe.exec_async(&mut connection).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let target = lab_connection::TargetArgs::at(server.url());
    let found = examine(&target, DEPTH, Some(Duration::from_secs(2))).await.unwrap();
    writer.abort();
    assert!(names(&found.diagnosis).contains(&"keys-without-ttl-grow"), "{:#?}", found.diagnosis.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_tag_that_all_keys_share_is_named() {
    let cluster = blocking(|| healthy_cluster().start()).await.unwrap();
    let mut connection =
        redis::cluster::ClusterClient::new(cluster.urls()).unwrap().get_connection().unwrap();
    for batch in 0..12 {
        let mut sets = redis::cmd("MSET");
        for number in 0..1_000 {
            sets.arg(format!("{{users}}:{batch}:{number}")).arg("x");
        }
        sets.exec(&mut connection).unwrap();
    }
    let found = doctor(&cluster.urls()[0]).await;
    assert_eq!(
        names(&found.diagnosis),
        ["hot-slot", "keys-unbalanced", "cluster-without-replicas"],
        "{:#?}",
        found.diagnosis.findings
    );
}

/// O3: the append-only file is turned on at run time only, so a restart does not read it.
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_not_in_the_file_is_named() {
    let server = start(healthy().config("appendonly", "no").config("save", "3600 1")).await;
    send(&server, &["CONFIG", "SET", "appendonly", "yes"]);
    assert_says(&server, &["setting-not-in-file"]).await;
    send(&server, &["CONFIG", "REWRITE"]);
    assert_says(&server, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_gone_is_named() {
    let server = start(healthy().config("enable-protected-configs", "yes")).await;
    let elsewhere = server.dir().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    send(&server, &["CONFIG", "SET", "dir", elsewhere.to_str().unwrap()]);
    std::fs::remove_dir_all(&elsewhere).unwrap();
    assert_says(&server, &["directory-not-writable"]).await;
}

/// O5: users are not replicated. What is compared is never printed.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_differ_between_primary_and_replica_are_named() {
    let builder = healthy().config("min-replicas-to-write", "1");
    let group = blocking(move || Replicated::start_with(builder, 1)).await.unwrap();
    let found = || async { doctor(&group.primary.url()).await.diagnosis.findings };
    until("the replica is good", || async {
        found().await.iter().all(|found| found.name == "single-replica")
    })
    .await;
    send(&group.primary, &["ACL", "SETUSER", "app", "on", ">first", "~shop:*", "+get"]);
    let hash = |server: &Server| {
        let lines: Vec<String> = redis::from_redis_value(send(server, &["ACL", "LIST"])).unwrap();
        let line = lines.into_iter().find(|line| line.starts_with("user app ")).unwrap();
        line.split(' ').find_map(|word| word.strip_prefix('#')).unwrap().to_owned()
    };
    let what = |found: Vec<operations::doctor::finding::Finding>| {
        found.into_iter().find(|found| found.name == "users-differ").map(|found| found.what)
    };
    assert!(what(found().await).unwrap().contains("app is missing"));
    send(&group.replicas[0], &["ACL", "SETUSER", "app", "on", ">second", "~shop:*", "+get"]);
    let examination = doctor(&group.primary.url()).await;
    let kept = format!("{:?} {:?}", examination.facts, examination.diagnosis);
    for server in [&group.primary, &group.replicas[0]] {
        assert!(!kept.contains(&hash(server)), "the hash of a password was kept");
    }
    assert!(what(examination.diagnosis.findings).unwrap().contains("app has another password"));
    send(&group.replicas[0], &["ACL", "SETUSER", "app", "resetpass", ">first"]);
    assert_eq!(what(found().await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_never_ends_is_named() {
    let server = start(healthy().config("busy-reply-threshold", "100")).await;
    let mut connection = server.client().get_connection().unwrap();
    let endless = tokio::task::spawn_blocking(move || {
        redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut connection)
    });
    until("the server refuses commands", || says(server.url(), "busy-script")).await;
    let found = doctor(&server.url()).await.diagnosis;
    assert_eq!(names(&found), ["busy-script"], "{:#?}", found.findings);
    assert!(!found.was_refused(), "no right is missing: {:#?}", found.skipped);
    send(&server, &["SCRIPT", "KILL"]);
    assert!(endless.await.unwrap().is_err());
}

/// Passes the server's replies on, up to so many bytes. Then it closes the connection.
fn cut_after(server: &Server, bytes: u64) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (here, there) = (listener.local_addr().unwrap().port(), server.port());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(upstream)) = (client, TcpStream::connect(("127.0.0.1", there))) else {
                return;
            };
            let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut some = std::io::Read::take(upstream, bytes);
            let _ = std::io::copy(&mut some, &mut &client);
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
    });
    here
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_in_the_middle_is_not_healthy() {
    let server = start(healthy()).await;
    for bytes in [2_000, 9_000] {
        let port = cut_after(&server, bytes);
        let found = doctor(&format!("redis://:{}@127.0.0.1:{port}/", server.password())).await.diagnosis;
        assert_eq!(names(&found), ["stopped-answering"], "after {bytes} bytes: {:#?}", found.findings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_stay_open_are_named() {
    let cluster = blocking(|| healthy_cluster().start()).await.unwrap();
    let id = |node: &Server| redis::from_redis_value::<String>(send(node, &["CLUSTER", "MYID"])).unwrap();
    let nodes = cluster.nodes();
    let owner = nodes.iter().find(|node| {
        let lines: String = redis::from_redis_value(send(node, &["CLUSTER", "NODES"])).unwrap();
        lines.lines().any(|line| line.contains("myself") && line.contains(" 0-"))
    });
    let owner = owner.unwrap();
    let other = nodes.iter().find(|node| node.port() != owner.port()).unwrap();
    send(owner, &["CLUSTER", "SETSLOT", "0", "MIGRATING", &id(other)]);
    send(other, &["CLUSTER", "SETSLOT", "0", "IMPORTING", &id(owner)]);
    assert!(says(&cluster.urls()[0], "slots-stay-open").await);
    send(owner, &["CLUSTER", "SETSLOT", "0", "STABLE"]);
    send(other, &["CLUSTER", "SETSLOT", "0", "STABLE"]);
    assert!(!says(&cluster.urls()[0], "slots-stay-open").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_with_a_wrong_quorum_or_no_candidate_are_named() {
    let builder = healthy().config("min-replicas-to-write", "1").config("replica-priority", "0");
    let group =
        blocking(move || Sentinels::start_with(builder, 1, 3, 3, Duration::from_secs(30))).await.unwrap();
    let url = group.sentinels[0].url();
    until("the Sentinels know each other", || says(&url, "sentinel-quorum-too-high")).await;
    until("they know the replica", || says(&url, "no-replica-may-take-over")).await;
    let name = lab_server::PRIMARY_NAME;
    send(&group.sentinels[1], &["SENTINEL", "SET", name, "quorum", "1"]);
    assert!(says(&url, "sentinels-disagree").await);
    assert!(says(&url, "sentinel-quorum-low").await);
}
