//! The other queue of this project under the same workload: `patterns::stream_worker`. A stream has no jobs for later.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lab_connection::{Connection, Failure, Target};
use patterns::script::StoreError;
use patterns::stream_loop::Worker;
use patterns::stream_worker::{Effect, Group, Message, Published, StreamQueue};
use redis::{RedisResult, Value};
use tokio::time::sleep;

use crate::torture::accounts::Found;
use crate::torture::attempt;
use crate::torture::journal::Journal;
use crate::torture::producer::{BETWEEN_TRIES, send_each};
use crate::torture::queue::{MAX_FAILURES, QUEUE, counted, failure};
use crate::torture::role::Role;
use crate::torture::workload::{Job, VISIBILITY, number_of};

const GROUP: &str = "workers";
/// The reason of a message whose workers were lost too often.
const WORKER_LOST: &str = "worker lost";
/// Dead letters in one reply.
const PAGE: usize = 100;

fn stream(target: &Target) -> StreamQueue<Connection> {
    StreamQueue::new(target.connection(), target.prefix(), QUEUE)
}

fn bounded(target: &Target, role: &Role) -> StreamQueue<Connection> {
    stream(target).with_max_entries(usize::try_from(role.max_jobs).unwrap_or(usize::MAX))
}

fn group(stream: &StreamQueue<Connection>) -> Group<Connection> {
    stream
        .group(GROUP)
        .with_visibility(VISIBILITY)
        .with_max_failures(MAX_FAILURES)
        .with_retry_pause(Duration::from_millis(100))
}

pub(crate) async fn produce(target: &Target, role: &Role, journal: &Journal) -> Result<(), Failure> {
    let stream = bounded(target, role);
    send_each(role, journal, |job| send(&stream, job)).await
}

/// Until the server acknowledges it: the ID is the producer's own, so that sending it again changes nothing.
async fn send(stream: &StreamQueue<Connection>, job: Job) -> Result<(), Failure> {
    let payload = serde_json::to_vec(&job).unwrap_or_default();
    while !matches!(stream.publish(&job.id(), &payload).await, Ok(Published::New { .. } | Published::Again)) {
        sleep(BETWEEN_TRIES).await;
    }
    Ok(())
}

pub(crate) async fn work(target: &Target, role: &Role, journal: Journal) -> Result<(), Failure> {
    let stream = bounded(target, role);
    let key = stream.effect_key("done").map_err(|error| failure(error, target))?;
    let worker = Worker::new(group(&stream), "torture")
        .map_err(|error| failure(error, target))?
        .with_concurrency(role.at_a_time);
    let (journal, effects) = (Arc::new(journal), role.effects);
    let handler = move |message: Message| {
        let (journal, key) = (Arc::clone(&journal), effects.then(|| key.clone()));
        async move { handle(&message, &journal, key).await }
    };
    let connect = || async { target.blocking(Duration::from_secs(5)).await };
    worker.run(connect, handler, std::future::pending()).await;
    Ok(())
}

async fn handle(message: &Message, journal: &Journal, effects: Option<String>) -> Result<Effect, String> {
    let attempt = u64::from(message.failures + message.workers_lost) + 1;
    let job = attempt::run(&message.payload, attempt, journal, effects.is_some()).await?;
    Ok(match effects {
        Some(key) => Effect::none().command("HINCRBY", &key, &[job.id(), "1".to_owned()]),
        None => Effect::none(),
    })
}

/// Messages that workers hold, and one more if any waits.
pub(crate) async fn left(target: &Target) -> Result<u64, StoreError> {
    let stream = stream(target);
    let key = stream.key()?;
    let pending = group(&stream).status().await?.pending;
    let mut connection = target.connection();
    let last = field("STREAM", key.as_str(), "last-generated-id", &mut connection).await?;
    let delivered = field("GROUPS", key.as_str(), "last-delivered-id", &mut connection).await?;
    Ok(pending + u64::from(last != delivered))
}

/// A field of XINFO, of the only group.
async fn field(of: &str, key: &str, name: &str, connection: &mut Connection) -> RedisResult<Option<String>> {
    let mut info = redis::cmd("XINFO");
    let reply: Value = info.arg(of).arg(key).query_async(connection).await?;
    let fields = match reply {
        Value::Array(groups) if of == "GROUPS" => groups.into_iter().next().unwrap_or(Value::Nil),
        reply => reply,
    };
    let mut fields: HashMap<String, Value> = redis::from_redis_value(fields)?;
    fields.remove(name).map(redis::from_redis_value::<String>).transpose().map_err(Into::into)
}

pub(crate) async fn found(target: &Target) -> Result<Found, StoreError> {
    let stream = stream(target);
    let group = group(&stream);
    let mut dead = BTreeMap::new();
    let mut after = "0-0".to_owned();
    loop {
        let page = group.dead_letters(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.letter);
        dead.extend(
            page.iter().filter_map(|dead| Some((number_of(&dead.message.id)?, dead.reason == WORKER_LOST))),
        );
    }
    let effects = counted(&stream.effect_key("done")?, &mut target.connection()).await?;
    Ok(Found { effects, dead })
}
