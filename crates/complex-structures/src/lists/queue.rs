//! A queue whose jobs move from list to list. All its names share a hash tag such as `{queue:orders}`, so on a cluster BLMOVE
//! and the script find them in one slot.

use std::sync::LazyLock;
use std::time::Duration;

use lab_connection::Connection;
use lab_runner::{LuaScript, Source, source};
use redis::{AsyncTypedCommands, RedisResult, Script, ScriptInvocation};

use crate::keys::Keys;

static SOURCE: Source = source!("src/lists/give_back.lua");
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(SOURCE.text));

/// The script that gives jobs back, as the lesson shows it.
pub(super) fn give_back_script() -> LuaScript<'static> {
    let Source { path, text } = SOURCE;
    LuaScript { name: "give_back.lua", path, line: 1, text, source: text, hash: GIVE_BACK.get_hash() }
}

/// The keys of one queue.
#[derive(Clone, Debug)]
pub struct Queue {
    name: String,
    keys: Keys,
}

impl Queue {
    /// The queue of this name.
    pub fn new(name: &str, keys: &Keys) -> Self {
        Self { name: name.to_owned(), keys: keys.clone() }
    }

    /// One of its keys.
    pub(super) fn key(&self, name: &str) -> String {
        self.keys.key(format!("{{queue:{}}}:{name}", self.name))
    }

    /// List: the jobs that no worker has taken yet.
    pub fn jobs(&self) -> String {
        self.key("jobs")
    }

    /// List: the jobs that a worker has taken and not finished.
    pub fn taken_by(&self, worker: &str) -> String {
        self.key(&format!("processing:{worker}"))
    }

    /// String with a TTL: exists as long as the worker is alive.
    pub fn heartbeat(&self, worker: &str) -> String {
        self.key(&format!("alive:{worker}"))
    }

    /// Set: the names of all workers. A worker stays in it when it dies, so that none of its jobs is overlooked.
    pub fn workers(&self) -> String {
        self.key("workers")
    }

    /// Hash: from each job to the worker that finished it first.
    pub fn receipts(&self) -> String {
        self.key("receipts")
    }

    /// All keys of the queue and of these workers.
    pub(super) fn keys(&self, workers: &[impl AsRef<str>]) -> Vec<String> {
        let of_worker = |worker: &str| [self.taken_by(worker), self.heartbeat(worker)];
        let of_workers = workers.iter().flat_map(|worker| of_worker(worker.as_ref()));
        [self.jobs(), self.workers(), self.key("work_done"), self.receipts()]
            .into_iter()
            .chain(of_workers)
            .collect()
    }

    /// A call of the script for one worker.
    pub(super) fn give_back(&self, worker: &str) -> ScriptInvocation<'static> {
        let mut call = GIVE_BACK.key(self.heartbeat(worker));
        call.key(self.taken_by(worker)).key(self.jobs());
        call
    }

    /// Removes the keys of an earlier run, fills the queue, and loads the script.
    pub(super) async fn start(&self, jobs: &[String], redis: &mut Connection) -> RedisResult<()> {
        let workers: Vec<String> = redis.smembers(self.workers()).await?.into_iter().collect();
        redis.unlink(self.keys(&workers)).await?;
        redis.lpush(self.jobs(), jobs).await?;
        GIVE_BACK.load_async(redis).await.map(drop)
    }

    /// A worker says that it exists and is alive.
    pub(super) async fn beat(&self, worker: &str, ttl: Duration, redis: &mut Connection) -> RedisResult<()> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let mut both = redis::pipe();
        both.atomic().sadd(self.workers(), worker).ignore();
        both.pset_ex(self.heartbeat(worker), "alive", ttl).ignore();
        both.exec_async(redis).await
    }

    /// Does a job. One effect counts every time that it is done, and one happens only once.
    pub(super) async fn handle(&self, job: &str, worker: &str, redis: &mut Connection) -> RedisResult<()> {
        let mut both = redis::pipe();
        both.atomic().incr(self.key("work_done"), 1).ignore();
        both.hset_nx(self.receipts(), job, worker).ignore();
        both.exec_async(redis).await
    }

    /// Gives the jobs of all dead workers back. Returns how many it gave back, and how many jobs are still waiting or taken. One
    /// transaction, so that no job moves from list to list while they are counted.
    pub(super) async fn reap(&self, redis: &mut Connection) -> RedisResult<(usize, usize)> {
        let workers = redis.smembers(self.workers()).await?;
        let mut transaction = redis::pipe();
        transaction.atomic();
        for worker in &workers {
            transaction.invoke_script(&self.give_back(worker));
        }
        transaction.llen(self.jobs());
        for worker in &workers {
            transaction.llen(self.taken_by(worker));
        }
        let mut given_back: Vec<usize> = transaction.query_async(redis).await?;
        let open = given_back.split_off(workers.len());
        Ok((given_back.into_iter().sum(), open.into_iter().sum()))
    }
}
