//! Server A and Server B as commands, and the lines that they print.

use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::resource_usage::Stopwatch;
use lab_runner::table::thousands;
use lab_runner::{LessonError, Terminal, activity};
use serde_json::json;

use super::pair::{self, CATCH_UP, Replication, explained};
use super::reader::{self, Found};
use super::writer;
use crate::keys::Keys;

/// Between two probes for a list that is not complete.
const POLL: Duration = Duration::from_millis(200);

/// Inserts, waits for the replicas if there are any, and prints what it did.
pub(super) async fn server_a(args: &TargetArgs, count: u64, output: &OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    activity::set(format!("inserting 1 to {}", thousands(count as f64)));
    activity::resume();
    let stopwatch = Stopwatch::start(&target).await;
    let inserted = insert(&target, count).await;
    let usage = stopwatch.stop().await;
    activity::pause();
    let copies = inserted.map_err(|error| explained(error, &target))?;
    let key = Keys::new(target.prefix()).biglist();
    if output.json {
        Terminal.document(&json!({
            "server": target.info(), "address": target.address(), "role": "server-a",
            "key": key, "inserted": count, "replicas": copies.replicas, "replicas_that_have_it": copies.have_it,
            "spent": usage,
        }));
    } else {
        Terminal.line(&inserted_line(count, &key));
        if copies.replicas > 0 {
            Terminal.note(&format!("{} of {} replicas have it.", copies.have_it, copies.replicas));
        }
    }
    Ok(())
}

/// Waits for the list, reads and checks it, and prints what it found.
pub(super) async fn server_b(
    args: &TargetArgs,
    expected: Option<u64>,
    output: &OutputArgs,
) -> Result<(), Failure> {
    let mut said = false;
    let target = loop {
        match args.open().await {
            // A replica takes no marker of our data; it arrives from the primary with the list.
            Err(failure) if failure.class() == Class::ReadOnly => wait_for_server_a(args, &mut said).await,
            opened => break opened?,
        }
    };
    Terminal.note(&format!("Server: {}", target.describe()));
    let keys = Keys::new(target.prefix());
    let explain = |error| target.explain(&error);
    while !reader::is_ready(&keys, expected, &mut target.connection()).await.map_err(explain)? {
        wait_for_server_a(args, &mut said).await;
    }
    activity::set("reading the list");
    activity::resume();
    let found = read(&target, expected).await;
    activity::pause();
    let found = found?;
    if output.json {
        Terminal.document(&json!({
            "server": target.info(), "address": target.address(), "role": "server-b",
            "key": keys.biglist(), "length": found.length, "first": found.first, "complete": found.is_complete(),
        }));
    } else {
        Terminal.line(&first_values(&found));
    }
    Ok(())
}

/// Both, one after the other. `b` may be a replica of `a`, or the same server.
pub(super) async fn both(a: &Target, b: &Target, count: u64, output: &OutputArgs) -> Result<(), Failure> {
    activity::set(format!("inserting and reading 1 to {}", thousands(count as f64)));
    activity::resume();
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

/// What both print, one after the other.
pub(super) fn lines(count: u64, key: &str, found: &Found) -> String {
    format!("{}\n\n{}", inserted_line(count, key), first_values(found))
}

fn inserted_line(count: u64, key: &str) -> String {
    format!("Inserted 1 to {} into '{key}'.", thousands(count as f64))
}

fn first_values(found: &Found) -> String {
    format!("First 10 values in reverse (original) order:\n{}", found.as_python())
}

/// Server B was started first: says once that it waits, and waits a moment.
async fn wait_for_server_a(args: &TargetArgs, said: &mut bool) {
    if !*said {
        *said = true;
        let key = Keys::new(args.prefix.as_deref().unwrap_or_default()).biglist();
        Terminal.note(&format!(
            "Waiting until Server A has written '{key}'. In another terminal: cargo bulk biglist server-a, with this URL \
             or the URL of its primary. Ctrl-C stops."
        ));
        activity::set("waiting for Server A");
        activity::resume();
    }
    tokio::time::sleep(POLL).await;
}

/// Replicas, and how many of them have what was written.
struct Copies {
    replicas: u64,
    have_it: u64,
}

/// WAIT covers the writes of its own connection, so the same connection inserts.
async fn insert(target: &Target, count: u64) -> Result<Copies, LessonError> {
    let keys = Keys::new(target.prefix());
    let mut redis = target.blocking(CATCH_UP).await?;
    writer::insert(&keys, count, &mut redis).await?;
    // On a cluster each node has its own replicas, and WAIT covers one node.
    let replicas =
        if target.is_cluster() { 0 } else { Replication::of(&mut redis).await.map_or(0, |one| one.replicas) };
    let have_it = if replicas > 0 { pair::wait(replicas, CATCH_UP, &mut redis).await? } else { 0 };
    Ok(Copies { replicas, have_it })
}

async fn read(target: &Target, expected: Option<u64>) -> Result<Found, Failure> {
    let keys = Keys::new(target.prefix());
    let found = reader::read(&keys, &mut target.connection()).await;
    let found = found.map_err(|error| explained(error, target))?;
    match reader::incomplete(&keys.biglist(), &found, expected) {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}
