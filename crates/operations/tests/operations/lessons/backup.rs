//! What the lesson on backups counts, and the same for a million keys.

use lab_connection::connection::unguarded;
use lab_server::Server;
use lab_testing::lessons::{open, run_lesson, table};
use lab_testing::until;
use operations::OperationsLesson;
use operations::backup::{PREFIX, Restored, SavedKey, annotations, compare, restore_keys, save_keys, write};
use redis::AsyncTypedCommands as _;
use redis::aio::MultiplexedConnection;

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_compared() {
    let report = run_lesson(&open(false).await, OperationsLesson::Backup).await;
    let rows = table(&report, "The restored server");
    let types: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(types, ["hash", "list", "set", "stream", "string", "zset"]);
    for row in rows {
        let counts: Vec<usize> = row[1..].iter().map(|cell| cell.replace(',', "").parse().unwrap()).collect();
        let [keys, with_ttl, same_dump, same_members] = counts[..] else { panic!("{row:?}") };
        assert!(with_ttl > 0 && same_dump + same_members == keys, "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_named() {
    let (_live, mut a, _restored, mut b) = written_and_restored(110).await;
    assert!(compare(PREFIX, &a, &b).await.unwrap().different.is_empty());
    a.sadd(format!("{PREFIX}4"), "only here").await.unwrap();
    a.rpush(format!("{PREFIX}2"), "only here").await.unwrap();
    b.expire(format!("{PREFIX}9"), 10).await.unwrap();
    b.unlink(format!("{PREFIX}12")).await.unwrap();
    let mut different = compare(PREFIX, &a, &b).await.unwrap().different;
    different.sort();
    assert_eq!(different, ["12", "2", "4", "9"].map(|number| format!("{PREFIX}{number}")));
}

/// A server with so many keys, and one that was restored from its snapshot.
async fn written_and_restored(keys: usize) -> (Server, MultiplexedConnection, Server, MultiplexedConnection) {
    let (live, mut restored) = (Server::start().unwrap(), Server::start().unwrap());
    let mut redis = unguarded(&live.client()).await.unwrap();
    write(&mut redis, keys).await.unwrap();
    tokio::task::block_in_place(|| {
        redis::cmd("SAVE").exec(&mut live.client().get_connection().unwrap()).unwrap();
        restored.kill();
        std::fs::copy(live.dir().join("dump.rdb"), restored.dir().join("dump.rdb")).unwrap();
        restored.restart().unwrap();
    });
    let copy = unguarded(&restored.client()).await.unwrap();
    (live, redis, restored, copy)
}

/// O12: a key without a TTL, one that expired between listing and saving, one that expires before it is restored, and a time in seconds.
#[tokio::test(flavor = "multi_thread")]
async fn keys_one_by_one_keep_their_expiry_and_what_is_missing_is_counted() {
    let (from, to) = tokio::task::block_in_place(|| (Server::start().unwrap(), Server::start().unwrap()));
    let mut backup = unguarded(&from.client()).await.unwrap();
    let mut live = unguarded(&to.client()).await.unwrap();
    let names = ["forever", "gone", "soon", "later", "taken"].map(str::to_owned);
    for name in &names {
        backup.set(name, "x").await.unwrap();
    }
    backup.pexpire("gone", 1).await.unwrap();
    backup.pexpire("later", 3_600_000).await.unwrap();
    live.set("taken", "of somebody else").await.unwrap();
    let is_gone = async |key: &str, server: &MultiplexedConnection| {
        server.clone().exists(key).await.is_ok_and(|there| !there)
    };
    until("one has expired", || is_gone("gone", &backup)).await;
    backup.pexpire("soon", 3_000).await.unwrap();
    let mut saved = save_keys(&names, &mut backup).await.unwrap();
    let saved_names: Vec<&str> = saved.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(saved_names, ["forever", "soon", "later", "taken"]);
    until("another one has expired", || is_gone("soon", &backup)).await;

    let expires = saved[2].expires / 1_000;
    saved.push(SavedKey { name: "seconds".to_owned(), expires, ..saved[2].clone() });
    let Restored { restored, expired, refused } = restore_keys(&saved, &mut live).await.unwrap();
    let refused: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((restored, expired, refused.as_slice()), (2, 1, &["taken", "seconds"][..]));
    assert_eq!(restored + expired + refused.len(), saved.len());
    let expiry = |name: &str| redis::cmd("PEXPIRETIME").arg(name).to_owned();
    assert_eq!(expiry("forever").query_async::<i64>(&mut live).await.unwrap(), -1);
    assert_eq!(expiry("later").query_async::<i64>(&mut live).await.unwrap(), saved[2].expires);
    assert_eq!(expiry("soon").query_async::<i64>(&mut live).await.unwrap(), -2);
    assert_eq!(live.get("taken").await.unwrap().as_deref(), Some("of somebody else"));
}

#[test]
fn annotations_are_found_between_commands() {
    assert_eq!(annotations(b"*1\r\n$4\r\nPING\r\n#TS:7\r\n"), [(14, 7)]);
}

/// As large as people ask for: `cargo test -p operations --test lessons --release -- --ignored million`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes"]
async fn a_million_keys_of_all_types_come_back() {
    const KEYS: usize = 1_000_000;
    let (_live, redis, _restored, copy) = written_and_restored(KEYS).await;
    let compared = compare(PREFIX, &redis, &copy).await.unwrap();
    assert_eq!(compared.keys(), KEYS, "{:?}", compared.types);
    assert!(
        compared.different.is_empty(),
        "{} differ, such as {:?}",
        compared.different.len(),
        compared.different.first()
    );
}
