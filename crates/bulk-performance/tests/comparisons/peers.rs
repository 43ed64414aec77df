//! What stands in the table of `peers` was verified, and a peer that is missing or broken is said to be.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "functions of a test, which clippy does not take for one"
)]

use std::process::{Command, Output};

use bulk_performance::keys::Keys;
use bulk_performance::peers::lineup::Lineup;
use bulk_performance::peers::peer::{Found, Peer};
use bulk_performance::peers::rounds;
use bulk_performance::peers::server_login::ServerLogin;
use bulk_performance::people::People;
use bulk_performance::stored::Content;
use lab_connection::{Target, TargetArgs, own_keys};
use lab_server::Server;

use crate::fakes::Fakes;
use crate::{bulk, bulk_on, words};

const RECORDS: u64 = 1_000;

async fn lineup(target: &Target, tools: Option<&Fakes>) -> Lineup {
    Lineup::prepare(target, RECORDS, tools.map(Fakes::directory), ServerLogin::of(target, false))
        .await
        .unwrap()
}

async fn content(target: &Target) -> Content {
    let keys = Keys::new(target.prefix());
    Content::of_users(&keys, 2 * RECORDS, &target.connection()).await.unwrap()
}

/// Runs each of these peers on a clean server and requires exactly the users.
async fn assert_writes_the_users(target: &Target, chosen: fn(&Peer) -> bool) {
    let lineup = lineup(target, None).await;
    let peers: Vec<&Peer> = lineup.peers().iter().filter(|peer| chosen(peer)).collect();
    println!("left out: {}", lineup.left_out().join("; "));
    let expected = Content::expected(&People::new(), RECORDS);
    for peer in peers {
        assert_eq!(content(target).await.records, 0, "before {peer}");
        peer.run(&lineup.fixtures).await.unwrap();
        assert_eq!(content(target).await, expected, "{peer}");
        let keys = Keys::new(target.prefix());
        bulk_performance::stored::remove_users(&keys, RECORDS, &mut target.connection()).await.unwrap();
    }
}

/// The program itself, on the server of a test.
fn peers(server: &Server, arguments: &[&str], tools: &Fakes) -> Command {
    let mut command = bulk_on(server, arguments);
    command.args(["peers", "--records", "1000", "--rounds", "2", "--tools"]).arg(tools.directory());
    command
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_and_redis_py_leave_exactly_the_users() {
    let by_a_program =
        |peer: &Peer| matches!(peer, Peer::PipeFile(_) | Peer::PipeGenerator(_) | Peer::RedisPy(_));
    let private = TargetArgs::private();
    for args in [private.clone(), TargetArgs { prefix: Some("lab:".into()), db: Some(3), ..private }] {
        assert_writes_the_users(&args.open().await.unwrap(), by_a_program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_rs_leaves_exactly_the_users_on_a_cluster_too() {
    let by_redis_rs = |peer: &Peer| matches!(peer, Peer::RedisRs(_));
    for args in [TargetArgs::private(), TargetArgs { cluster: true, ..TargetArgs::private() }] {
        let target = args.open().await.unwrap();
        assert_eq!(lineup(&target, None).await.peers().iter().filter(|peer| by_redis_rs(peer)).count(), 5);
        assert_writes_the_users(&target, by_redis_rs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_turn_is_verified_and_no_record_is_left() {
    let target = TargetArgs::private().open().await.unwrap();
    let lineup = lineup(&target, None).await;
    let rows = rounds::run(&lineup, 2).await.unwrap();
    assert!(rows.len() >= 8, "the loader twice, redis-rs five times, the file: {rows:?}");
    let expected = Content::expected(&People::new(), RECORDS);
    for row in &rows {
        assert!(!row.wrong, "{row:?}");
        // The loader's own tests say what it can; here it only has to be told apart from one that is wrong.
        let loader = matches!(row.peer, Peer::Loader(_));
        assert!(row.failed.is_none() || loader, "{row:?}");
        for turn in &row.turns {
            match turn.found {
                Found::Records(content) => assert_eq!(content, expected),
                Found::Others(records) => assert!((500..=RECORDS).contains(&records), "{records}"),
            }
            assert!(turn.usage.seconds > 0.0, "{row:?}");
        }
    }
    let left = own_keys::matching(&mut target.connection(), "user*", 1).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_benchmark_goes_as_a_user_that_is_gone_afterward() {
    let target = TargetArgs::private().open().await.unwrap();
    let fakes = Fakes::none().with("redis-benchmark", "exit 0");
    let lineup = lineup(&target, Some(&fakes)).await;
    assert!(lineup.peers().iter().any(|peer| matches!(peer, Peer::Benchmark(_))), "{:?}", lineup.left_out());
    assert!(fakes.arguments().contains("--user redis-lab-benchmark -a none"), "{}", fakes.arguments());
    let users: Vec<String> =
        redis::cmd("ACL").arg("USERS").query_async(&mut target.connection()).await.unwrap();
    assert_eq!(users, ["default"]);
}

#[test]
fn without_any_program_the_rest_is_compared_and_the_missing_are_named() {
    let server = Server::start().unwrap();
    let output = peers(&server, &[], &Fakes::none()).env("PATH", "").output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0));
    for missing in
        ["redis-cli is not installed", "redis-benchmark is not installed", "python3 is not installed"]
    {
        assert!(words(&text).contains(missing), "{missing}");
    }
    assert!(words(&text).contains("Ratio to 'redis-rs pipeline 10'"));
    assert!(text.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn on_a_cluster_the_programs_are_left_out_with_the_reason() {
    let fakes = Fakes::none().with("redis-cli", "exit 0");
    let mut command = bulk(&["peers", "--records", "100", "--rounds", "1", "--cluster", "--tools"]);
    let output = command.arg(fakes.directory()).output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(words(&text).contains("redis-cli, redis-benchmark and redis-py: on a cluster"));
    assert_eq!(fakes.arguments(), "");
}

#[test]
fn a_peer_that_fails_is_a_row_with_its_reason() {
    let server = Server::start().unwrap();
    let fakes = Fakes::none().with("redis-cli", "echo 'Segmentation fault, imagine' >&2; exit 139");
    let output = peers(&server, &[], &fakes).output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0));
    // The label goes on in the next line if the figures of the others are wide.
    assert!(words(&text).contains("- - - - - failed"), "{text}");
    assert!(words(&text).contains("redis-cli ended with exit status: 139: Segmentation fault, imagine"));
}

#[test]
fn a_peer_that_only_says_it_wrote_fails_the_run() {
    let server = Server::start().unwrap();
    let liar = "cat > /dev/null; echo 'errors: 0, replies: 1000'";
    let output = peers(&server, &[], &Fakes::none().with("redis-cli", liar)).output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&text).contains("- - - - - wrong"));
    assert!(words(&text).contains("it left 0 records with digest 0000000000000000; 1000 with"));
}

#[test]
fn no_program_is_given_the_password_as_an_argument() {
    let server = Server::start().unwrap();
    let liar = "echo \"auth:$REDISCLI_AUTH\" >> \"$0.auth\"; cat > /dev/null";
    let fakes = ["redis-cli", "redis-benchmark", "python3"]
        .into_iter()
        .fold(Fakes::none(), |fakes, name| fakes.with(name, liar));
    let output = peers(&server, &["--json"], &fakes).output().unwrap();
    let document = text(&output);
    let arguments = fakes.arguments();
    assert!(arguments.contains("--pipe") && arguments.contains("pipeline.py"), "{arguments}");
    assert!(!arguments.contains(server.password()), "{arguments}");
    // They were told all the same, where others cannot read it.
    let told = std::fs::read_to_string(fakes.directory().join("redis-cli.auth")).unwrap();
    assert!(told.contains(server.password()));
    // redis-benchmark takes it no other way, and so it is not started at all on a server that is not ours.
    assert!(document.contains("redis-benchmark takes a password only as an argument"));
    assert!(!arguments.contains("redis-benchmark -"), "{arguments}");
    assert!(!document.contains(server.password()));
}
