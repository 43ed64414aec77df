//! Waiting for an item: on which connection, how long, and what becomes of who gives up.

use std::time::Duration;

use lab_runner::{LessonContext, Outcome, Retry};
use redis::{AsyncTypedCommands, RedisResult, Value};

use crate::hashes::crowd::ended;
use crate::keys::Keys;

/// The queue of this part, as it is called within its keys.
const QUEUE: &str = "mails";
/// How long a worker here waits for a job, in seconds: far longer than it takes until one comes.
const LONG: f64 = 8.0;
/// What the server may take to notice something, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys that this part writes.
pub(super) fn keys_of(keys: &Keys) -> [String; 3] {
    [keys.jobs(QUEUE), keys.urgent_jobs(QUEUE), keys.marker_of_time(QUEUE)]
}

pub(super) async fn run(ctx: &LessonContext, keys: &Keys) -> Outcome {
    wait_and_be_served(ctx, keys).await?;
    share_a_connection(ctx, keys).await?;
    give_up(ctx, keys).await
}

async fn wait_and_be_served(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (jobs, urgent, time) = (keys.jobs(QUEUE), keys.urgent_jobs(QUEUE), keys.marker_of_time(QUEUE));
    let mut own = ctx.dedicated_redis().await?;
    let mut redis = ctx.redis();

    ctx.step(
        "A worker that asks again and again whether there is a job wastes round trips, and still comes late. BLPOP waits \
         on the server until there is one, or until its timeout in seconds is over; 0 means for ever. It takes several \
         lists and looks at them in that order, so the first can be for urgent jobs. A timeout is no error, but nil:",
    ).await?;
    let nothing = own.blpop(&[&urgent, &jobs], 0.1).await?;
    ctx.check("nobody sent a job: nil", nothing.is_none())?;

    ctx.step("Now it waits on a connection of its own, and the program goes on with its other connection:")
        .await?;
    let before = blocked_clients(ctx).await?;
    let lists = [urgent.clone(), jobs.clone()];
    let worker = tokio::spawn(async move { own.blpop(&lists, LONG).await });
    until_more_wait_than(ctx, before).await?;
    redis.set(&time, "before the job").await?;
    let read = redis.get(&time).await?;
    ctx.check("commands are answered while the worker waits", read.is_some() && !worker.is_finished())?;
    redis.lpush(&jobs, "mail:1").await?;
    let served = ended(worker.await)?;
    ctx.check_eq(
        "the job woke the worker, with the name of its list",
        &served,
        &Some([jobs, "mail:1".into()]),
    )
}

async fn share_a_connection(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (jobs, time) = (keys.jobs(QUEUE), keys.marker_of_time(QUEUE));
    let shared = ctx.dedicated_redis().await?;
    let mut redis = ctx.redis();

    ctx.step(
        "Break it: let the worker share a connection with somebody else. In redis-rs a clone of a connection uses the \
         same socket, and the server answers the commands of a socket in order. So whatever comes after BLPOP waits with \
         it. The one who shares reads a text that says 'before the job'. We read it too, on a third connection; \
         then we change it, and only then send a job.",
    ).await?;
    let before = blocked_clients(ctx).await?;
    let (mut waiting, mut other) = (shared.clone(), shared);
    let list = jobs.clone();
    let worker = tokio::spawn(async move { waiting.blpop(&list, LONG).await });
    until_more_wait_than(ctx, before).await?;
    let key = time.clone();
    let read = tokio::spawn(async move { other.get(key).await });
    let ours = redis.get(&time).await?;
    ctx.check(
        "we have our answer, the one who shares has none",
        ours.as_deref() == Some("before the job") && !read.is_finished(),
    )?;
    redis.set(&time, "after the job").await?;
    redis.lpush(&jobs, "mail:2").await?;
    ended(worker.await)?;
    let read = ended(read.await)?;
    ctx.check("the answer came only after the job", read.as_deref() == Some("after the job"))?;

    ctx.step(
        "So: a connection of its own for each worker that blocks. It needs a response timeout that is longer than the \
         wait, or the client gives up before the server does (here: target.blocking(wait)).",
    ).await?;
    Ok(())
}

async fn give_up(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let jobs = keys.jobs(QUEUE);
    let own = ctx.dedicated_redis().await?;
    let mut redis = ctx.redis();

    ctx.step(
        "What happens to a client that gives up first? In Rust a future can be dropped: by a timeout around it, or by \
         select!. That ends the waiting here, but the server does not know. Our worker sends BLPOP, drops the future, and \
         keeps its connection. Then a job comes:",
    ).await?;
    let before = blocked_clients(ctx).await?;
    let mut waiting = own.clone();
    let list = jobs.clone();
    let worker = tokio::spawn(async move { waiting.blpop(&list, LONG).await });
    until_more_wait_than(ctx, before).await?;
    worker.abort();
    let dropped = worker.await.is_err_and(|end| end.is_cancelled());
    redis.lpush(&jobs, "mail:3").await?;
    let left = redis.llen(&jobs).await?;
    ctx.check("the job is not in the list, and nobody has it: lost", dropped && left == 0)?;
    // Until here, so that the server could send the job to somebody.
    drop(own);

    ctx.step(
        "So never put a shorter timeout around a blocking pop than its own. And a process can still die at any moment. Can \
         a job survive that?",
    ).await?;
    Ok(())
}

/// Waits, off the page, until the server says that one more client waits in a blocking command.
async fn until_more_wait_than(ctx: &LessonContext, before: u64) -> Outcome {
    let mut retry = Retry::within(PATIENCE);
    while blocked_clients(ctx).await? <= before {
        retry.again("the server knows that a client waits").await?;
    }
    Ok(())
}

/// As the server counts them; in a cluster, all primaries together.
async fn blocked_clients(ctx: &LessonContext) -> RedisResult<u64> {
    let clients: Value = redis::cmd("INFO").arg("clients").query_async(&mut ctx.untraced("TODO")).await?;
    blocked_in(clients)
}

/// One server answers with a text, a cluster with a map from node to text.
fn blocked_in(clients: Value) -> RedisResult<u64> {
    if let Value::Map(nodes) = clients {
        return nodes.into_iter().map(|(_, text)| blocked_in(text)).sum();
    }
    let text: String = redis::from_redis_value(clients)?;
    let count = text.lines().find_map(|line| line.trim_end().strip_prefix("blocked_clients:"));
    Ok(count.and_then(|digits| digits.parse().ok()).unwrap_or_default())
}
