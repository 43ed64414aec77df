//! Clients that count, and what became of their counts.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lab_runner::BoxError;
use redis::aio::ConnectionLike;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use super::group::Group;

/// Each client rests for this long between two commands.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a client may go on waiting for its last reply.
const GRACE: Duration = Duration::from_secs(10);
/// Tags that keys share, if there are as many slots.
const TAGS: usize = 10;
/// How many names are tried at a time, and how often at most, to find some in certain slots.
const BATCH: usize = 2_000;
const BATCHES: usize = 200;

/// What clients saw, and what the servers have.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// INCRs whose reply arrived.
    pub(super) acknowledged: u64,
    /// INCRs that failed, or whose reply did not arrive in time. Each may have counted or not.
    pub(super) errors: u64,
    /// Acknowledged, and not in the counter.
    pub(super) lost: u64,
    /// In the counter, and sent by nobody.
    pub(super) doubled: u64,
    /// The longest wait for one reply.
    pub(super) slowest: Duration,
    /// The first error of one of them.
    pub(super) error: Option<String>,
}

/// So many keys in these slots. CLUSTER KEYSLOT finds some tags there, and the keys have them in turn: `{name:7}:0`.
pub(super) async fn keys_in(
    group: &Group,
    slots: RangeInclusive<u16>,
    name: &str,
    count: usize,
) -> Result<Vec<String>, BoxError> {
    let mut tags: Vec<String> = Vec::new();
    for batch in 0..BATCHES {
        let names: Vec<String> =
            (0..BATCH).map(|number| format!("{name}:{}", batch * BATCH + number)).collect();
        let mut pipeline = redis::pipe();
        for name in &names {
            pipeline.cmd("CLUSTER").arg("KEYSLOT").arg(name);
        }
        let found: Vec<u16> = pipeline.query_async(&mut group.nodes[0].connection.clone()).await?;
        let inside = names.into_iter().zip(found).filter(|(_, slot)| slots.contains(slot));
        tags.extend(inside.map(|(name, _)| name));
        if tags.len() >= TAGS.min(slots.len()) {
            return Ok((0..count).map(|key| format!("{{{}}}:{key}", tags[key % tags.len()])).collect());
        }
    }
    Err(format!("too few of {} names are in the slots {slots:?}", BATCH * BATCHES).into())
}

/// One client for each key raises it with INCR, over and over, until `work` is done.
pub(super) async fn count_during<C, T>(
    connection: &C,
    keys: &[String],
    work: impl Future<Output = Result<T, BoxError>>,
) -> Result<(Clients, T), BoxError>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for key in keys {
        clients.spawn(count(connection.clone(), key.clone(), Arc::clone(&over)));
    }
    let done = work.await;
    over.store(true, Ordering::Relaxed);
    let counts = clients.join_all().await;
    Ok((Clients(counts), done?))
}

/// What one client saw.
pub(super) struct Client {
    key: String,
    acknowledged: u64,
    errors: u64,
    error: Option<String>,
    slowest: Duration,
}

async fn count<C: ConnectionLike + Clone + Send + Sync>(
    mut connection: C,
    key: String,
    over: Arc<AtomicBool>,
) -> Client {
    let mut seen = Client { key, acknowledged: 0, errors: 0, error: None, slowest: Duration::ZERO };
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let mut incr = redis::cmd("INCR");
        match timeout(GRACE, incr.arg(&seen.key).exec_async(&mut connection)).await {
            Ok(Ok(())) => seen.acknowledged += 1,
            failed => {
                seen.errors += 1;
                let error = failed.map_or_else(
                    |late| late.to_string(),
                    |failed| failed.err().map_or_else(String::new, |error| error.to_string()),
                );
                seen.error.get_or_insert(error);
            }
        }
        seen.slowest = seen.slowest.max(begun.elapsed());
        sleep(PAUSE).await;
    }
    seen
}

/// What all of them saw.
pub(super) struct Clients(Vec<Client>);

impl Clients {
    /// Reads every counter back.
    pub(super) async fn read_back(&self, group: &Group) -> Result<Counted, BoxError> {
        let mut connection = group.connection();
        let mut counted = Counted::default();
        for client in &self.0 {
            // One by one, because the connection repeats single commands while the cluster changes.
            let stored: Option<u64> = redis::cmd("GET").arg(&client.key).query_async(&mut connection).await?;
            let stored = stored.unwrap_or(0);
            counted.acknowledged += client.acknowledged;
            counted.errors += client.errors;
            counted.lost += client.acknowledged.saturating_sub(stored);
            counted.doubled += stored.saturating_sub(client.acknowledged + client.errors);
        }
        counted.error = self.0.iter().find_map(|client| client.error.clone());
        counted.slowest = self.slowest_of(0..self.0.len());
        Ok(counted)
    }

    /// The longest wait among the clients of these numbers.
    pub(super) fn slowest_of(&self, clients: std::ops::Range<usize>) -> Duration {
        self.0[clients].iter().map(|client| client.slowest).max().unwrap_or_default()
    }
}
