//! Slots that move at once, as newer servers can.

use std::time::Instant;

use lab_runner::{BoxError, LessonContext, Need, Retry};
use redis::Value;
use tokio::time::Duration;

use super::group::Group;
use super::resharding::{Run, table};
use super::traffic::{count_during, keys_in};
use crate::private::knows;

const CLIENTS: usize = 50;
const IN_TIME: Duration = Duration::from_mins(1);
const ATOMIC: Need =
    Need { command: "CLUSTER MIGRATESLOTS", available_in: "Valkey 9.0, or CLUSTER MIGRATION in Redis 8.4" };

/// How a server moves slots at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Valkey: the source gets the command, which names the destination.
    MigrateSlots,
    /// Redis: the destination gets the command, which names the slots.
    MigrationImport,
}

/// The same move in one command, from node1 to node2, where the server can.
pub(super) async fn compare(
    ctx: &LessonContext,
    group: &Group,
    by_slot: &Run,
    moved: u16,
) -> Result<(), BoxError> {
    let way = way(group).await?;
    ctx.step(
        "Newer servers move whole slots the way replication copies data: a snapshot, then what changed meanwhile, then a short pause in \
         which the owner changes. There is no ASK and no TRYAGAIN, and a slot is never half here and half there.",
    )
    .await?;
    let Some(way) = way else {
        ctx.skip(ATOMIC);
        return Ok(());
    };
    ctx.function(match way {
        Way::MigrateSlots => "migrate_slots",
        Way::MigrationImport => "migration_import",
    });
    ctx.announce("The same 50 clients send INCR. CLUSTER GETSLOTMIGRATIONS or CLUSTER MIGRATION STATUS says when it is done.");
    let keys = keys_in(group, 0..=moved - 1, "atomic", CLIENTS).await?;
    let connection = group.new_connection().await?;
    let begun = Instant::now();
    let work = async {
        match way {
            Way::MigrateSlots => migrate_slots(ctx, group, moved).await?,
            Way::MigrationImport => migration_import(ctx, group, moved).await?,
        }
        Ok(begun.elapsed())
    };
    let (clients, took) = count_during(&connection, &keys, work).await?;
    let owners = group.with(move |cluster| Ok((cluster.owner_of(0)?, cluster.owner_of(moved - 1)?))).await?;
    let run = Run { label: "at once", counted: clients.read_back(group).await?, took };
    let by_slot = Run { label: "slot by slot", counted: by_slot.counted.clone(), took: by_slot.took };
    ctx.table(table("Slot by slot, and at once", &[&by_slot, &run]));
    ctx.check_eq("node2 serves the first of them and the last one", &owners, &(1, 1))?;
    ctx.check(
        "nothing lost, nothing doubled, no error",
        (run.counted.lost, run.counted.doubled, run.counted.errors) == (0, 0, 0),
    )?;
    Ok(())
}

async fn way(group: &Group) -> Result<Option<Way>, BoxError> {
    let mut node1 = group.nodes[0].connection.clone();
    if knows("cluster|migrateslots", &mut node1).await? {
        return Ok(Some(Way::MigrateSlots));
    }
    Ok(knows("cluster|migration", &mut node1).await?.then_some(Way::MigrationImport))
}

/// Valkey: node1 sends its slots to node2.
async fn migrate_slots(ctx: &LessonContext, group: &Group, moved: u16) -> Result<(), BoxError> {
    let mut migrate = redis::cmd("CLUSTER");
    migrate.arg("MIGRATESLOTS").arg("SLOTSRANGE").arg(0).arg(moved - 1);
    migrate.arg("NODE").arg(&group.nodes[1].id);
    migrate.exec_async(&mut group.node(ctx, 0)).await?;
    let mut status = redis::cmd("CLUSTER");
    status.arg("GETSLOTMIGRATIONS");
    wait_until_done(group, 0, &status, "success").await
}

/// Redis: node2 fetches the slots from their owner.
async fn migration_import(ctx: &LessonContext, group: &Group, moved: u16) -> Result<(), BoxError> {
    let mut import = redis::cmd("CLUSTER");
    import.arg("MIGRATION").arg("IMPORT").arg(0).arg(moved - 1);
    let task: String = import.query_async(&mut group.node(ctx, 1)).await?;
    let mut status = redis::cmd("CLUSTER");
    status.arg("MIGRATION").arg("STATUS").arg("ID").arg(task);
    wait_until_done(group, 1, &status, "completed").await
}

async fn wait_until_done(
    group: &Group,
    node: usize,
    status: &redis::Cmd,
    done: &str,
) -> Result<(), BoxError> {
    let mut connection = group.nodes[node].connection.clone();
    let mut retry = Retry::within(IN_TIME);
    loop {
        let reply: Value = status.query_async(&mut connection).await?;
        let state = state_of(&reply).unwrap_or_default();
        match state.as_str() {
            state if state == done => return Ok(()),
            "failed" | "cancelled" | "canceled" => {
                return Err(format!("the migration ended as {state}: {reply:?}").into());
            }
            _ => retry.again("the slots have moved").await?,
        }
    }
}

/// What stands behind `state` in the reply, a map or a list of names and values inside a list of migrations, newest first.
fn state_of(reply: &Value) -> Option<String> {
    match reply {
        Value::Map(pairs) => {
            let found = pairs.iter().find(|(name, _)| text(name).as_deref() == Some("state"));
            found.and_then(|(_, state)| text(state))
        }
        Value::Array(items) => {
            let named = items.iter().position(|item| text(item).as_deref() == Some("state"));
            match named {
                Some(index) => items.get(index + 1).and_then(text),
                None => items.iter().find_map(state_of),
            }
        }
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}
