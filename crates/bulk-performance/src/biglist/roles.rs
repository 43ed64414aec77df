//! Server A and Server B as commands, and the lines that they print.

use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::resource_usage::Stopwatch;
use lab_runner::table::thousands;
use lab_runner::{LessonError, Terminal};
use serde_json::json;

use super::pair::explained;
use super::reader::{self, Found};
use super::replication::{self, PATIENCE, Replication};
use super::writer;
use crate::keys::Keys;

/// Inserts, waits for the replicas if there are any, and says what was done.
pub(super) async fn server_a(args: &TargetArgs, count: u64, output: OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    let stopwatch = Stopwatch::start(&target).await;
    let copies = insert(&target, count).await.map_err(|error| explained(error, &target))?;
    let usage = stopwatch.stop().await;
    let key = Keys::new(target.prefix()).biglist();
    if output.json {
        Terminal.document(&json!({
            "server": target.info(), "address": target.address(), "role": "server-a",
            "key": key, "inserted": count, "replicas": copies.replicas, "replicas_that_have_it": copies.have_it,
            "spent": usage,
        }));
    } else {
        Terminal.line(&inserted(count, &key));
        if copies.replicas > 0 {
            Terminal.note(&format!("{} of {} replicas have it.", copies.have_it, copies.replicas));
        }
    }
    Ok(())
}

/// Reads, checks and says what was found.
pub(super) async fn server_b(
    args: &TargetArgs,
    expected: Option<u64>,
    output: OutputArgs,
) -> Result<(), Failure> {
    let target = args.open().await.map_err(|failure| match failure.class() {
        // The mark of our data is not there, and a replica cannot be given it.
        Class::ReadOnly => nothing_arrived(args),
        _ => failure,
    })?;
    Terminal.note(&format!("Server: {}", target.describe()));
    let found = read(&target, expected).await?;
    let key = Keys::new(target.prefix()).biglist();
    if output.json {
        Terminal.document(&json!({
            "server": target.info(), "address": target.address(), "role": "server-b",
            "key": key, "length": found.length, "first": found.first, "complete": found.is_complete(),
        }));
    } else {
        Terminal.line(&first_values(&found));
    }
    Ok(())
}

/// Both, one after the other; `b` may be a replica of `a`, or the same server.
pub(super) async fn both(a: &Target, b: &Target, count: u64, output: OutputArgs) -> Result<(), Failure> {
    let copies = insert(a, count).await.map_err(|error| explained(error, a))?;
    if copies.have_it < copies.replicas {
        Terminal.note(&format!("Only {} of {} replicas have it so far.", copies.have_it, copies.replicas));
    }
    let found = read(b, Some(count)).await?;
    if !output.json {
        Terminal.line(&lines(count, &Keys::new(a.prefix()).biglist(), &found));
    }
    Ok(())
}

/// What both print, one below the other.
pub(super) fn lines(count: u64, key: &str, found: &Found) -> String {
    format!("{}\n\n{}", inserted(count, key), first_values(found))
}

fn inserted(count: u64, key: &str) -> String {
    format!("Inserted 1 to {} into '{key}'.", thousands(count as f64))
}

fn first_values(found: &Found) -> String {
    format!("First 10 values in reverse (original) order:\n{}", found.as_python())
}

/// Who has a copy of what was written.
struct Copies {
    replicas: u64,
    have_it: u64,
}

/// WAIT speaks for the writes of its own connection, so that is the one that inserts.
async fn insert(target: &Target, count: u64) -> Result<Copies, LessonError> {
    let keys = Keys::new(target.prefix());
    let mut connection = target.blocking(PATIENCE).await?;
    writer::insert(&keys, count, &mut connection).await?;
    // A cluster's nodes have replicas of their own each, and WAIT speaks for one node.
    let replicas = if target.is_cluster() {
        0
    } else {
        Replication::of(&mut connection).await.map_or(0, |replication| replication.replicas)
    };
    let have_it =
        if replicas > 0 { replication::wait(replicas, PATIENCE, &mut connection).await? } else { 0 };
    Ok(Copies { replicas, have_it })
}

async fn read(target: &Target, expected: Option<u64>) -> Result<Found, Failure> {
    let keys = Keys::new(target.prefix());
    let reading = reader::read(&keys, &mut target.connection()).await;
    let found = reading.map_err(|error| explained(error, target))?;
    match reader::incomplete(&keys.biglist(), &found, expected) {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}

fn nothing_arrived(args: &TargetArgs) -> Failure {
    let key = Keys::new(args.prefix.as_deref().unwrap_or_default()).biglist();
    Failure::new(
        Class::Declined,
        format!("There is no list '{key}' here yet."),
        "This is a replica, and nothing that Server A writes has arrived.",
    )
    .try_next("biglist server-a with the URL of its primary")
    .try_next("INFO replication on this server: master_host, master_port, master_link_status")
}
