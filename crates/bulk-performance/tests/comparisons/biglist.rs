//! `biglist` as people run it: two processes, one, and what can go wrong between them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bulk_performance::biglist::pair::{Pair, caught_up};
use bulk_performance::biglist::{pair, parts, reader, stream, writer};
use bulk_performance::keys::Keys;
use lab_connection::connection::unguarded;
use lab_connection::{TargetArgs, guard};
use lab_server::{Replicated, Server};

const SEED: &str = "Inserted 1 to 10,000 into 'biglist'.

First 10 values in reverse (original) order:
['10000', '9999', '9998', '9997', '9996', '9995', '9994', '9993', '9992', '9991']
";

/// A replica that takes longer than this does not come: no test waits for it to be over.
const GIVE_UP: Duration = Duration::from_secs(30);

fn bulk(arguments: &[&str]) -> Output {
    crate::bulk(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ask<T: redis::FromRedisValue>(server: &Server, command: &[&str]) -> T {
    let mut connection = server.client().get_connection().unwrap();
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
}

/// The word of a failure, and what the process returned.
fn failed(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_bare_run_prints_the_two_lines_first_then_the_lesson() {
    let output = bulk(&["biglist"]);
    assert!(output.status.success(), "{output:?}");
    let page = text(&output.stdout);
    assert!(page.starts_with(SEED), "{page}");
    assert!(!page.contains('✗') && page.contains("5,000 acknowledged numbers are missing on B"), "{page}");
}

#[test]
fn a_server_that_is_named_takes_both_roles() {
    let server = Server::start().unwrap();
    let output = bulk(&["--url", &server.url(), "biglist", "--count", "123456"]);
    assert!(output.status.success(), "{output:?}");
    let page = text(&output.stdout);
    assert!(page.starts_with("Inserted 1 to 123,456 into 'biglist'.\n\nFirst 10 values"), "{page}");
    assert_eq!(ask::<u64>(&server, &["LLEN", "biglist"]), 123_456);
    // Another server than the named one is not started: nobody can lose a primary there.
    assert!(!page.contains("missing on B"), "{page}");
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let output = bulk(&["--json", "biglist"]);
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["lessons"][0]["outcome"], "passed");

    let server = Server::start().unwrap();
    let a = bulk(&["--json", "biglist", "server-a", "--url", &server.url(), "--count", "12"]);
    let document: serde_json::Value = serde_json::from_slice(&a.stdout).unwrap();
    assert_eq!(document["inserted"], 12);
    let b = bulk(&["--json", "biglist", "server-b", "--url", &server.url()]);
    let document: serde_json::Value = serde_json::from_slice(&b.stdout).unwrap();
    assert_eq!(
        (&document["length"], &document["complete"], &document["first"][9]),
        (&12.into(), &true.into(), &3.into())
    );
    let text = text(&a.stdout) + &text(&b.stdout);
    assert!(!text.contains(server.password()), "{text}");
}

#[test]
fn two_processes_share_the_list_over_a_primary_and_its_replica() {
    let group = Replicated::start(1).unwrap();
    let (primary, replica) = (&group.primary, &group.replicas[0]);
    let a = bulk(&["biglist", "server-a", "--url", &primary.url()]);
    assert!(a.status.success(), "{a:?}");
    let b = bulk(&["biglist", "server-b", "--url", &replica.url()]);
    assert!(b.status.success(), "{b:?}");
    let [inserted, first] = SEED.split("\n\n").collect::<Vec<_>>()[..] else { panic!("two parts") };
    assert_eq!((text(&a.stdout), text(&b.stdout)), (format!("{inserted}\n"), first.to_owned()));
    assert!(text(&a.stderr).contains("1 of 1 replicas have it"), "{a:?}");

    // The order is the list's own, not only what is shown.
    let list: Vec<u64> = ask(replica, &["LRANGE", "biglist", "0", "-1"]);
    assert!(list.into_iter().eq((1..=10_000).rev()));
}

#[test]
fn the_second_run_of_server_a_replaces_the_first() {
    let server = Server::start().unwrap();
    for count in ["30000", "7"] {
        let output = bulk(&["biglist", "server-a", "--count", count, "--url", &server.url()]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(ask::<String>(&server, &["GET", "biglist:count"]), count);
        assert_eq!(ask::<u64>(&server, &["LLEN", "biglist"]).to_string(), count);
    }
    let b = bulk(&["biglist", "server-b", "--url", &server.url()]);
    assert!(text(&b.stdout).ends_with("['7', '6', '5', '4', '3', '2', '1']\n"), "{b:?}");
}

#[test]
fn server_b_says_what_is_wrong_with_a_list() {
    let server = Server::start().unwrap();
    let read =
        |more: &[&str]| failed(&bulk(&[&["biglist", "server-b", "--url", &server.url()], more].concat()));

    // After this, the database is ours.
    assert!(bulk(&["biglist", "server-a", "--count", "1", "--url", &server.url()]).status.success());
    ask::<()>(&server, &["DEL", "biglist", "biglist:count"]);
    ask::<()>(&server, &["SET", "biglist", "text"]);
    let (code, said) = read(&[]);
    assert!(code == Some(1) && said.contains("'biglist' is a string, not a list"), "{said}");
    ask::<()>(&server, &["DEL", "biglist"]);

    ask::<()>(&server, &["LPUSH", "biglist", "1", "2", "3"]);
    ask::<()>(&server, &["SET", "biglist:count", "4"]);
    let (code, said) = read(&[]);
    assert!(code == Some(1) && said.contains("holds 3 numbers, and Server A wrote 4"), "{said}");
    ask::<()>(&server, &["LPUSH", "biglist", "7"]);
    let (code, said) = read(&[]);
    assert!(code == Some(1) && said.contains("Number 4 from the end is 7"), "{said}");
    ask::<()>(&server, &["LSET", "biglist", "0", "four"]);
    let (code, said) = read(&[]);
    assert!(code == Some(1) && said.contains("try:") && !said.contains("panicked"), "{said}");
    ask::<()>(&server, &["LSET", "biglist", "0", "4"]);
    let (code, said) = read(&["--count", "5"]);
    assert!(code == Some(1) && said.contains("5 are expected"), "{said}");
    assert!(bulk(&["biglist", "server-b", "--url", &server.url(), "--count", "4"]).status.success());
}

/// Server B, started first: it has said that it waits.
struct WaitingB {
    child: std::process::Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl WaitingB {
    fn start(url: &str) -> Self {
        let mut command = crate::bulk(&["biglist", "server-b", "--url", url]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Waiting until Server A has written 'biglist'") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended without waiting");
        }
        Self { child, stderr }
    }

    /// What it prints in the end.
    fn output(mut self) -> String {
        let mut errors = String::new();
        self.stderr.read_to_string(&mut errors).unwrap();
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{errors}");
        text(&output.stdout)
    }
}

#[test]
fn server_b_waits_until_server_a_is_done() {
    let server = Server::start().unwrap();
    let waiting = WaitingB::start(&server.url());
    ask::<()>(&server, &["LPUSH", "biglist", "1", "2", "3"]);
    ask::<()>(&server, &["SET", "biglist:count", "3"]);
    assert!(waiting.output().ends_with("['3', '2', '1']\n"));
}

#[test]
fn ctrl_c_ends_a_server_b_that_waits() {
    let server = Server::start().unwrap();
    let mut waiting = WaitingB::start(&server.url());
    let kill = Command::new("kill").args(["-INT", &waiting.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(waiting.child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_replica_takes_no_server_a_and_is_not_written_by_server_b() {
    let group = Replicated::start(1).unwrap();
    let replica = &group.replicas[0];
    // Nothing is there, not even the marker of our data.
    let waiting = WaitingB::start(&replica.url());
    let (code, said) = failed(&bulk(&["biglist", "server-a", "--url", &replica.url()]));
    assert!(code == Some(4) && said.contains("is a replica and takes no writes"), "{said}");
    assert_eq!(ask::<u64>(replica, &["DBSIZE"]), 0);

    // The marker comes from the primary, with the list.
    assert!(bulk(&["biglist", "server-a", "--url", &group.primary.url()]).status.success());
    assert!(waiting.output().contains("['10000', "), "it waited for the list");
    let (code, said) = failed(&bulk(&["biglist", "server-a", "--url", &replica.url()]));
    assert!(code == Some(4) && said.contains("is a replica and takes no writes"), "{said}");
    assert_eq!(ask::<u64>(replica, &["LLEN", "biglist"]), 10_000);
}

#[test]
fn foreign_data_is_left_alone() {
    let server = Server::start().unwrap();
    ask::<()>(&server, &["SET", "theirs", "precious"]);
    for role in ["server-a", "server-b"] {
        let (code, said) = failed(&bulk(&["biglist", role, "--url", &server.url()]));
        assert!(code == Some(4) && said.contains("--prefix"), "{said}");
    }
    assert_eq!(ask::<Vec<String>>(&server, &["KEYS", "*"]), ["theirs"]);

    let at = ["--url", &server.url(), "--prefix", "lab:"];
    let a = bulk(&[&["biglist", "server-a", "--count", "20"], &at[..]].concat());
    assert_eq!(text(&a.stdout), "Inserted 1 to 20 into 'lab:biglist'.\n", "{a:?}");
    assert!(bulk(&[&["biglist", "server-b"], &at[..]].concat()).status.success());
    let strays: Vec<String> = ask::<Vec<String>>(&server, &["KEYS", "*"]);
    assert!(strays.iter().all(|key| key == "theirs" || key.starts_with("lab:")), "{strays:?}");
}

#[test]
fn a_count_out_of_range_is_a_usage_error() {
    for count in ["0", "-1", "ten", "1000000001"] {
        let output = bulk(&["biglist", &format!("--count={count}")]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn a_cluster_serves_both_roles() {
    let output = bulk(&["--cluster", "--server", "valkey-9.1", "biglist"]);
    assert!(output.status.success() && text(&output.stdout).starts_with(SEED), "{output:?}");
    assert!(!text(&output.stdout).contains('✗'));
}

/// However far behind a replica is: whoever sees the count there has the whole list, and what is there is in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_shows_the_count_has_the_list() {
    const COUNT: u64 = 200_000;
    let group = Replicated::start(1).unwrap();
    let a = TargetArgs::at(group.primary.url()).open().await.unwrap();
    let mut follower = unguarded(&group.replicas[0].client()).await.unwrap();
    caught_up(&mut a.connection(), &mut follower).await.unwrap();
    let b = TargetArgs::at(group.replicas[0].url()).open().await.unwrap();
    let keys = Keys::new("");
    let writing = tokio::spawn({
        let (keys, mut connection) = (keys.clone(), a.blocking(GIVE_UP).await.unwrap());
        async move { writer::insert(&keys, COUNT, &mut connection).await.map(|()| connection) }
    });
    // Reads while the list arrives. A reading that sees the count must see the list; a later one must not see less.
    let reading = async {
        let mut seen = 0;
        loop {
            if let Ok(found) = reader::read(&keys, &mut b.connection()).await {
                assert!(found.length >= seen, "{} after {seen}", found.length);
                seen = found.length;
                assert!(found.promised.is_none() || found.is_complete(), "{found:?}");
                if found.is_complete() {
                    return Ok(seen);
                }
            }
        }
    };
    // If the writer fails, the readings end with it: a list that is not written is never complete.
    let written = async { writing.await.unwrap() };
    let both = async { tokio::try_join!(written, reading) };
    let (mut writer, seen) = tokio::time::timeout(4 * GIVE_UP, both).await.unwrap().unwrap();
    assert_eq!(seen, COUNT);
    assert_eq!(pair::wait(1, GIVE_UP, &mut writer).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_cut_off_lacks_what_was_acknowledged_until_wait_says_one() {
    let pair = Pair::start(&TargetArgs::private()).await.unwrap();
    let keys = Keys::new("");
    let mut a = pair.a.blocking(GIVE_UP).await.unwrap();
    writer::insert(&keys, 1_000, &mut a).await.unwrap();
    assert_eq!(pair::wait(1, GIVE_UP, &mut a).await.unwrap(), 1);
    pair.cut().await.unwrap();
    writer::insert(&keys, 3_000, &mut a).await.unwrap();
    assert_eq!(pair::wait(1, Duration::from_millis(50), &mut a).await.unwrap(), 0);
    let stale = reader::read(&keys, &mut pair.b.connection()).await.unwrap();
    assert_eq!(stale.length, 1_000, "it answers with what it has");
    pair.mend().await.unwrap();
    assert_eq!(pair::wait(1, GIVE_UP, &mut a).await.unwrap(), 1);
    let found = reader::read(&keys, &mut pair.b.connection()).await.unwrap();
    assert!(found.is_complete() && found.length == 3_000, "{found:?}");
    let marker: bool =
        redis::cmd("EXISTS").arg(guard::MARKER).query_async(&mut pair.b.connection()).await.unwrap();
    assert!(marker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_noticed() {
    let target = TargetArgs::private().open().await.unwrap();
    let (mut connection, key) = (target.connection(), Keys::new("").biglist());
    redis::cmd("LPUSH").arg(&key).arg("intruder").exec_async(&mut connection).await.unwrap();
    let error = writer::push(&key, 0, 1..=10, &mut connection).await.unwrap_err();
    assert!(error.to_string().contains("Somebody else writes to 'biglist'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_from_the_tail_is_not_moved_by_pushes_to_the_head() {
    let target = TargetArgs::private().open().await.unwrap();
    let (mut connection, key) = (target.connection(), Keys::new("").biglist_growing());
    writer::push(&key, 0, 1..=2_500, &mut connection).await.unwrap();
    assert!(reader::all(&key, &mut connection).await.unwrap().into_iter().eq(1..=2_500));
    let first = reader::from_tail(&key, 0, 1_000, &mut connection).await.unwrap();
    writer::push(&key, 2_500, 2_501..=2_600, &mut connection).await.unwrap();
    let second = reader::from_tail(&key, 1_000, 1_000, &mut connection).await.unwrap();
    assert!(first.into_iter().chain(second).eq(1..=2_000));
    assert!(reader::from_tail(&key, 2_600, 10, &mut connection).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_hold_each_number_once_and_in_order() {
    for args in [TargetArgs::private(), TargetArgs { cluster: true, ..TargetArgs::private() }] {
        let target = args.open().await.unwrap();
        let keys = Keys::new("lab:");
        parts::write(&target, &keys, 5_000).await.unwrap();
        let mut all = Vec::new();
        for part in 0..parts::PARTS {
            let numbers = reader::all(&keys.biglist_part(part), &mut target.connection()).await.unwrap();
            assert!(numbers.iter().all(|number| number % parts::PARTS == part) && numbers.is_sorted());
            all.extend(numbers);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(1..=5_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_delivers_each_entry_to_exactly_one_consumer() {
    let target = TargetArgs::private().open().await.unwrap();
    let (mut connection, key) = (target.connection(), Keys::new("").biglist_stream());
    redis::cmd("XGROUP")
        .arg(&["CREATE", &key, stream::GROUP, "0", "MKSTREAM"])
        .exec_async(&mut connection)
        .await
        .unwrap();
    stream::add(&key, 1..=20_000, &mut connection).await.unwrap();
    let mut all = stream::share(&target, &key).await.unwrap().concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=20_000), "delivered twice, or lost");
    assert_eq!(stream::pending(&key, &mut connection).await.unwrap(), 0);
    assert_eq!(stream::share(&target, &key).await.unwrap().concat().len(), 0, "nothing is left");
}
