//! Sorted Sets that hold the newest members only: who likes something, who bought it, what somebody bought.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::{Cmd, Script};

use super::milliseconds;
use crate::Layout;
use crate::script;
use crate::store::{Reply, StoreError};

static REMEMBER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/remember.lua")));

/// How long a set lives after its newest member came.
const TTL: Duration = Duration::from_hours(400 * 24);

/// Puts every member into every set, of which each keeps its newest `most`. One round trip; on a cluster one for each set,
/// all in flight at once. Doing it again only makes the members newer.
pub(super) async fn remember<C: ConnectionLike + Clone>(
    connection: &C,
    layout: Layout,
    keys: &[String],
    most: usize,
    members: &[&str],
) -> Result<(), StoreError> {
    if keys.is_empty() || members.is_empty() {
        return Ok(());
    }
    let at_a_time = if layout == Layout::Standalone { keys.len() } else { 1 };
    let mut steps = Vec::new();
    for keys in keys.chunks(at_a_time) {
        steps.push(remember_here(connection, keys, most, members));
    }
    try_join_all(steps).await?;
    Ok(())
}

/// One step: sets of one slot.
async fn remember_here<C: ConnectionLike + Clone>(
    connection: &C,
    keys: &[String],
    most: usize,
    members: &[&str],
) -> Result<(), StoreError> {
    let mut call = REMEMBER.prepare_invoke();
    for key in keys {
        call.key(key);
    }
    call.arg(most).arg(milliseconds(TTL)).arg(members);
    let reply: Reply = script::run(&call, connection).await?;
    if reply.outcome == "REMEMBERED" { Ok(()) } else { Err(reply.into_error()) }
}

/// Reads the newest `count` members of a set, the newest first; among equals the greatest text first.
pub(super) fn newest(key: String, count: usize) -> Cmd {
    let last = i64::try_from(count).unwrap_or(i64::MAX) - 1;
    redis::cmd("ZREVRANGE").arg(key).arg(0).arg(last).take()
}
