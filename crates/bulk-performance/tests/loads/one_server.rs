//! What a load promises: every record is there and right, whatever happens meanwhile.

use std::time::Duration;

use bulk_performance::keys::Keys;
use bulk_performance::load::{Kind, LoadPlan, Writing};
use bulk_performance::people::{FIELDS, People};
use bulk_performance::stored::Content;
use lab_connection::TargetArgs;
use lab_connection::failure::Class;
use lab_runner::table::thousands;
use lab_server::{Cluster, Server};
use redis::{AsyncCommands, Commands};

use crate::loading::{Underway, first_wrong, keeping_everything, kill_connections, on, plan, run};
use crate::relay::Relay;

#[tokio::test]
async fn every_kind_arrives_and_reads_back_over_every_way_in() {
    let server = Server::start().unwrap();
    for url in [server.url(), server.unix_url()] {
        for kind in [Kind::Users, Kind::Strings, Kind::List] {
            for connections in [1, 3] {
                let target = on(&url).await;
                let plan = LoadPlan { kind, connections, indexes: kind == Kind::Users, ..plan(4_321) };
                let report = run(&target, &plan).await.unwrap();
                assert_eq!((report.records, report.verified), (4_321, Some(true)), "{kind:?} {url}");
            }
        }
    }
}

#[tokio::test]
async fn every_kind_arrives_on_a_cluster_behind_a_prefix() {
    let cluster = Cluster::start(3).unwrap();
    let args =
        TargetArgs { cluster: true, prefix: Some("lab:".into()), ..TargetArgs::at(&cluster.urls()[0]) };
    let target = args.open().await.unwrap();
    for kind in [Kind::Users, Kind::Strings, Kind::List] {
        let plan = LoadPlan { kind, indexes: kind == Kind::Users, ..plan(4_321) };
        let report = run(&target, &plan).await.unwrap();
        assert_eq!(report.verified, Some(true), "{kind:?}");
    }
    let name: String = target.connection().hget("lab:user:1", "firstname").await.unwrap();
    assert_eq!(name, "Parker");
}

#[tokio::test]
async fn restored_values_are_what_hset_makes_of_the_fields() {
    let server = Server::start().unwrap();
    let target = on(&server.url()).await;
    let (keys, people) = (Keys::new(""), People::new());
    let mut seen = Vec::new();
    for writing in [Writing::Hset, Writing::Auto] {
        let report = run(&target, &LoadPlan { writing, ..plan(2_000) }).await.unwrap();
        let content = Content::of_users(&keys, 2_000, &target.connection()).await.unwrap();
        assert_eq!(content, Content::expected(&people, 2_000));
        let mut own = target.connection();
        let mut dumps: Vec<Vec<u8>> = Vec::new();
        for number in [1, 7, 1_999] {
            dumps.push(redis::cmd("DUMP").arg(keys.user(number)).query_async(&mut own).await.unwrap());
        }
        let encoding: String =
            redis::cmd("OBJECT").arg("ENCODING").arg(keys.user(2)).query_async(&mut own).await.unwrap();
        seen.push((report.command, dumps, encoding, report.digest));
    }
    assert_eq!((seen[0].0, seen[1].0), ("HSET", "RESTORE"));
    assert_eq!((&seen[0].1, &seen[0].2, &seen[0].3), (&seen[1].1, &seen[1].2, &seen[1].3));
}

#[tokio::test]
async fn where_restore_would_not_mean_the_same_fields_are_sent() {
    let narrow = Server::builder().config("hash-max-listpack-value", "16").start().unwrap();
    let report = run(&on(&narrow.url()).await, &plan(500)).await.unwrap();
    assert_eq!((report.command, report.verified), ("HSET", Some(true)));

    let server = Server::start().unwrap();
    let mut admin = server.client().get_connection().unwrap();
    let user = ["SETUSER", "loader", "on", ">pw", "~*", "&*", "+@all", "-restore"];
    redis::cmd("ACL").arg(&user).exec(&mut admin).unwrap();
    let url = format!("redis://loader:pw@127.0.0.1:{}", server.port());
    let report = run(&on(&url).await, &plan(500)).await.unwrap();
    assert_eq!((report.command, report.verified), ("HSET", Some(true)));
}

#[tokio::test]
async fn lost_connections_lose_nothing() {
    let server = Server::start().unwrap();
    for (kind, records) in [(Kind::Users, 60_000), (Kind::List, 2_000_000)] {
        let loading = Underway::held(&server, LoadPlan { kind, connections: 2, ..plan(records) }).await;
        for part in 1..=3 {
            loading.until(records * part / 5).await;
            kill_connections(&server);
        }
        let report = loading.end().await.unwrap();
        assert!(report.reconnections > 0, "{kind:?}: the load was over before a connection was killed");
        assert_eq!((report.records, report.replayed, report.verified), (records, 0, Some(true)), "{kind:?}");
    }
}

/// Without it, the lost connection's commands could be executed after the records were counted.
#[tokio::test]
async fn a_list_whose_lost_connection_cannot_be_killed_is_given_up() {
    let server = Server::start().unwrap();
    let mut admin = server.client().get_connection().unwrap();
    let user = ["SETUSER", "loader", "on", ">pw", "~*", "&*", "+@all", "-client|kill"];
    redis::cmd("ACL").arg(&user).exec(&mut admin).unwrap();
    let relay = Relay::to(server.port());
    let target = on(&format!("redis://loader:pw@127.0.0.1:{}", relay.port())).await;
    let loading = Underway::held_by(relay, target, LoadPlan { kind: Kind::List, ..plan(2_000_000) });
    loading.until(400_000).await;
    redis::cmd("CLIENT").arg(&["KILL", "USER", "loader", "SKIPME", "yes"]).exec(&mut admin).unwrap();
    let failure = loading.end().await.unwrap_err();
    assert_eq!(failure.class(), Class::NoPerm, "{failure:?}");
    assert!(failure.why().contains("This load needs CLIENT KILL"), "{failure:?}");
}

#[tokio::test]
async fn keys_with_names_that_no_load_writes_are_left_alone() {
    let server = Server::start().unwrap();
    let target = on(&server.url()).await;
    let mut admin = server.client().get_connection().unwrap();
    let others = ["user:007", "user:+7", "user:0", "user:7x"];
    for key in others {
        let () = admin.set(key, "somebody else's").unwrap();
    }
    let report = run(&target, &plan(500)).await.unwrap();
    assert_eq!(report.verified, Some(true));
    let left: Vec<Option<String>> = admin.mget(&others).unwrap();
    assert_eq!(left.iter().flatten().count(), others.len(), "{left:?}");
}

/// Also while the load asks what was there before, removes it, and notes that it has begun and ended.
#[tokio::test]
async fn connections_that_are_cut_again_and_again_lose_nothing() {
    for kind in [Kind::Users, Kind::Strings, Kind::List] {
        let server = Server::start().unwrap();
        let plan = LoadPlan { kind, indexes: kind == Kind::Users, ..plan(10_000) };
        let report = Underway::start(on(&server.url()).await, plan.clone()).end().await.unwrap();
        assert_eq!(report.verified, Some(true));

        let target = on(&server.url()).await;
        kill_connections(&server);
        let loading = Underway::start(target, plan);
        let mut kills = 0;
        while !loading.has_ended() {
            kill_connections(&server);
            kills += 1;
            // Longer and longer, because looking for keys of the same names begins anew after each cut.
            tokio::time::sleep(Duration::from_millis(kills)).await;
        }
        let report = loading.end().await.unwrap();
        assert_eq!((report.records, report.verified), (10_000, Some(true)), "{kind:?} after {kills} kills");
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_has_everything() {
    for (kind, records) in [(Kind::Users, 60_000), (Kind::Strings, 200_000), (Kind::List, 2_000_000)] {
        let mut server = keeping_everything().start().unwrap();
        let loading = Underway::held(&server, LoadPlan { kind, ..plan(records) }).await;
        loading.until(records / 5).await;
        server.kill();
        server.restart().unwrap();
        let report = loading.end().await.unwrap();
        assert_eq!((report.records, report.verified), (records, Some(true)), "{kind:?}");
        assert!(report.reconnections > 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_is_filled_again() {
    for (kind, records) in [(Kind::Users, 60_000), (Kind::List, 2_000_000)] {
        let mut server = Server::start().unwrap();
        let loading = Underway::held(&server, LoadPlan { kind, ..plan(records) }).await;
        loading.until(records / 5).await;
        server.kill();
        server.restart().unwrap();
        let report = loading.end().await.unwrap();
        assert_eq!(report.verified, Some(true), "{kind:?}");
        assert!(kind == Kind::List || report.replayed >= records / 5, "{report:?}");
    }
}

#[tokio::test]
async fn a_record_that_is_refused_is_named() {
    for writing in [Writing::Hset, Writing::Auto] {
        let server = Server::start().unwrap();
        let loading = Underway::held(&server, LoadPlan { writing, ..plan(50_000) }).await;
        loading.until(1_000).await;
        // Somebody else takes a name that is still to come.
        let mut other = server.client().get_connection().unwrap();
        let _: () = other.set("user:49999", "somebody else's").unwrap();
        let failure = loading.end().await.unwrap_err();
        assert_eq!(failure.class(), Class::WrongType, "{failure}");
        assert!(failure.to_string().contains("user:49999"), "{failure}");
        let kept: String = other.get("user:49999").unwrap();
        assert_eq!(kept, "somebody else's");
    }
}

#[tokio::test]
async fn what_other_lessons_left_under_the_same_names_is_no_obstacle() {
    let server = Server::start().unwrap();
    let target = on(&server.url()).await;
    for writing in [Writing::Hset, Writing::Auto] {
        let mut own = target.connection();
        let _: () = own.hset("user:1", "nickname", "P").await.unwrap();
        let _: () = own.set("user:2", "a text").await.unwrap();
        let report = run(&target, &LoadPlan { writing, ..plan(1_000) }).await.unwrap();
        assert_eq!(report.verified, Some(true), "{writing:?}");
        let fields: usize = own.hlen("user:1").await.unwrap();
        assert_eq!(fields, FIELDS.len(), "{writing:?}");
    }
    let _: () = target.connection().lpush("biglist", "left").await.unwrap();
    let list = LoadPlan { kind: Kind::List, ..plan(5_000) };
    let report = run(&target, &list).await.unwrap();
    assert_eq!(report.verified, Some(true));
}

#[tokio::test]
async fn full_memory_is_told_and_the_load_can_go_on_afterward() {
    let server = Server::builder().config("maxmemory", "12mb").start().unwrap();
    let target = on(&server.url()).await;
    let failure = run(&target, &plan(100_000)).await.unwrap_err();
    assert_eq!(failure.class(), Class::OutOfMemory, "{failure}");
    let mut admin = server.client().get_connection().unwrap();
    assert!(failure.to_string().contains("--resume"), "{failure}");
    assert!(failure.to_string().contains(&records_without_a_gap(&mut admin)), "{failure}");
    // The server is still full, and the number is still true. (It may have grown: some memory was free again.)
    let again = run(&target, &LoadPlan { resume: true, ..plan(100_000) }).await.unwrap_err();
    assert!(again.to_string().contains(&records_without_a_gap(&mut admin)), "{again}");

    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).exec(&mut admin).unwrap();
    let report = run(&target, &LoadPlan { resume: true, ..plan(100_000) }).await.unwrap();
    assert_eq!((report.records, report.resumed, report.verified), (100_000, true, Some(true)));
}

/// As the failure words it.
fn records_without_a_gap(admin: &mut redis::Connection) -> String {
    let mut missing = 1;
    while redis::cmd("EXISTS").arg(format!("user:{missing}")).query(admin).unwrap() {
        missing += 1;
    }
    format!("after {} records", thousands(f64::from(missing - 1)))
}

#[tokio::test]
async fn a_server_that_evicts_is_named_and_takes_the_next_load() {
    let server = Server::builder()
        .config("maxmemory", "12mb")
        .config("maxmemory-policy", "allkeys-lru")
        .start()
        .unwrap();
    let failure = run(&on(&server.url()).await, &plan(100_000)).await.unwrap_err();
    assert_eq!(failure.class(), Class::OutOfMemory, "{failure}");
    for named in ["evicted", "allkeys-lru", "evicted_keys"] {
        assert!(failure.to_string().contains(named), "{failure}");
    }
    let mut admin = server.client().get_connection().unwrap();
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).exec(&mut admin).unwrap();
    let report = run(&on(&server.url()).await, &plan(1_000)).await.unwrap();
    assert_eq!((report.records, report.verified), (1_000, Some(true)));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_a_while_and_the_load_can_go_on() {
    let server = Server::start().unwrap();
    let patient = LoadPlan { retry: Duration::from_secs(2), ..plan(60_000) };
    let loading = Underway::held(&server, patient).await;
    loading.until(20_000).await;
    server.pause().unwrap();
    let failure = loading.end().await.unwrap_err();
    server.resume().unwrap();
    assert!(matches!(failure.class(), Class::Refused | Class::Timeout), "{failure}");
    let target = on(&server.url()).await;
    let report = run(&target, &LoadPlan { resume: true, ..plan(60_000) }).await.unwrap();
    assert_eq!((report.resumed, report.verified), (true, Some(true)));
}

#[tokio::test]
async fn the_next_load_removes_exactly_what_the_last_one_wrote() {
    let server = Server::start().unwrap();
    let target = on(&server.url()).await;
    run(&target, &LoadPlan { indexes: true, ..plan(3_000) }).await.unwrap();
    let mut own = target.connection();
    let _: () = own.hset("user:5000", "firstname", "Somebody").await.unwrap();
    run(&target, &plan(10)).await.unwrap();
    let left: (bool, bool, bool, bool) = redis::pipe()
        .exists("user:10")
        .exists("user:11")
        .exists("users_by_salary")
        .exists("user:5000")
        .query_async(&mut own)
        .await
        .unwrap();
    assert_eq!(left, (true, false, false, true));
}

#[tokio::test]
async fn there_has_to_be_something_to_resume() {
    let server = Server::start().unwrap();
    let target = on(&server.url()).await;
    let resume = LoadPlan { resume: true, ..plan(10) };
    let nothing = run(&target, &resume).await.unwrap_err();
    assert_eq!(nothing.class(), Class::Usage, "{nothing}");
    run(&target, &plan(10)).await.unwrap();
    let finished = run(&target, &resume).await.unwrap_err();
    assert!(finished.to_string().contains("complete"), "{finished}");
}

#[tokio::test]
async fn what_is_not_as_it_was_written_fails_the_check() {
    let server = Server::start().unwrap();
    let target = on(&server.url()).await;
    // Written by nobody but us, and changed before it is read back: by hand, so that the check has something to find.
    for (kind, spoil, wrong) in [
        (Kind::Users, ["HSET", "user:77", FIELDS[3], "99"], "user:77"),
        (Kind::Users, ["HSET", "user:77", "nickname", "P"], "user:77"),
        // Fifty strings are read at once, and the first is named.
        (Kind::Strings, ["SETRANGE", "user_text:77", "0", "X"], "user_text:51"),
        (Kind::List, ["LSET", "biglist", "7", "0"], "biglist"),
    ] {
        let plan = LoadPlan { kind, ..plan(200) };
        run(&target, &plan).await.unwrap();
        let mut admin = server.client().get_connection().unwrap();
        redis::cmd(spoil[0]).arg(&spoil[1..]).exec(&mut admin).unwrap();
        assert_eq!(first_wrong(&target, &plan).await.as_deref(), Some(wrong), "{spoil:?}");
    }
    let indexed = LoadPlan { indexes: true, ..plan(200) };
    run(&target, &indexed).await.unwrap();
    let mut admin = server.client().get_connection().unwrap();
    let _: () = admin.sadd("city:Dallas:users", 5_000).unwrap();
    assert_eq!(first_wrong(&target, &indexed).await.as_deref(), Some("city:Dallas:users"));
}
