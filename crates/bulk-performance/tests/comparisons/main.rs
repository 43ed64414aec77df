//! Tables that compare: every row has done the same, and what is not the same is said.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod biglist;
mod concurrency;
mod fakes;
mod insert;
mod memory;
mod peers;
mod query;
mod reports;

use std::collections::BTreeMap;
use std::process::Command;

use bulk_performance::BulkLesson;
use lab_connection::{Target, TargetArgs};
use lab_server::Server;
use lab_testing::lessons;

/// The program as people run it.
fn bulk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulk-performance"));
    command.args(arguments).env("COLUMNS", "80").env_remove("REDIS_URL");
    command
}

/// The same, on the server of a test.
fn bulk_on(server: &Server, arguments: &[&str]) -> Command {
    let mut command = bulk(arguments);
    command.env("REDIS_URL", server.url());
    command
}

/// Words as they are, however the lines were wrapped.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One server, a cluster, and one server behind a prefix.
async fn targets() -> Vec<Target> {
    let prefix = Some("lab:".to_owned());
    let mut targets = Vec::new();
    for args in [
        TargetArgs::private(),
        TargetArgs { cluster: true, ..TargetArgs::private() },
        TargetArgs { prefix, ..TargetArgs::private() },
    ] {
        targets.push(args.open().await.unwrap());
    }
    targets
}

/// How often the server has carried out each command.
async fn calls(target: &Target) -> BTreeMap<String, u64> {
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut target.connection()).await.unwrap();
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split_once(',')?.0.parse().ok()?))
    };
    stats.lines().filter_map(line).collect()
}

#[test]
fn every_lesson_is_in_the_registry_under_its_own_name() {
    lessons::assert_all_in_registry::<BulkLesson>(env!("CARGO_MANIFEST_DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screens_of_all_lessons_are_complete() {
    lessons::assert_screens_of_all_are_complete::<BulkLesson>().await;
}
