//! The keys of one queue, and what its reaper does.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Script};

use crate::keys::Keys;

/// How the reaper gives back what a dead worker had taken.
pub(super) const GIVE_BACK_SOURCE: &str = include_str!("scripts/give_back.lua");
pub(super) static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(GIVE_BACK_SOURCE));

/// A worker that has not been heard of for this long counts as dead.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(250);

/// A queue, by the name within its keys.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    name: &'static str,
    keys: Keys,
}

impl Queue {
    pub(super) fn new(name: &'static str, keys: &Keys) -> Self {
        Self { name, keys: keys.clone() }
    }

    pub(super) fn jobs(&self) -> String {
        self.keys.jobs(self.name)
    }

    pub(super) fn processing(&self, worker: &str) -> String {
        self.keys.processing(self.name, worker)
    }

    pub(super) fn workers(&self) -> String {
        self.keys.workers(self.name)
    }

    pub(super) fn heartbeat(&self, worker: &str) -> String {
        self.keys.heartbeat(self.name, worker)
    }

    pub(super) fn work_done(&self) -> String {
        self.keys.work_done(self.name)
    }

    pub(super) fn receipts(&self) -> String {
        self.keys.receipts(self.name)
    }

    /// Removes the keys of an earlier run, those of the workers it knew included.
    pub(super) async fn start_clean(&self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        let workers: Vec<String> = redis::cmd("SMEMBERS").arg(self.workers()).query_async(redis).await?;
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(&[self.jobs(), self.workers(), self.work_done(), self.receipts()]);
        for worker in workers {
            unlink.arg(self.processing(&worker)).arg(self.heartbeat(&worker));
        }
        unlink.exec_async(redis).await
    }

    /// A worker says that it is alive, and that it exists. It stays in the Set when it dies, so that none of its jobs is
    /// ever out of sight.
    pub(super) async fn beat(&self, worker: &str, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut both = Pipeline::new();
        both.atomic().cmd("SADD").arg(self.workers()).arg(worker).ignore();
        both.cmd("SET").arg(self.heartbeat(worker)).arg("alive");
        both.arg("PX").arg(u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX)).ignore();
        both.exec_async(redis).await
    }

    /// Does one job. Two effects, on purpose: one that counts every time it is worked on, one that is there once.
    pub(super) async fn handle(
        &self,
        job: &str,
        worker: &str,
        redis: &mut impl ConnectionLike,
    ) -> RedisResult<()> {
        let mut both = Pipeline::new();
        both.atomic().cmd("INCR").arg(self.work_done()).ignore();
        both.cmd("HSETNX").arg(self.receipts()).arg(job).arg(worker).ignore();
        both.exec_async(redis).await
    }

    /// Gives back the jobs of all dead workers; returns how many.
    pub(super) async fn reap(&self, redis: &mut impl ConnectionLike) -> RedisResult<u64> {
        let workers: Vec<String> = redis::cmd("SMEMBERS").arg(self.workers()).query_async(redis).await?;
        let mut given_back = 0;
        for worker in workers {
            let mut call = GIVE_BACK.key(self.heartbeat(&worker));
            call.key(self.processing(&worker)).key(self.jobs());
            given_back += call.invoke_async::<u64>(redis).await?;
        }
        Ok(given_back)
    }

    /// Jobs that wait or that somebody, dead or alive, has taken.
    pub(super) async fn open(&self, redis: &mut impl ConnectionLike) -> RedisResult<u64> {
        let workers: Vec<String> = redis::cmd("SMEMBERS").arg(self.workers()).query_async(redis).await?;
        // In a transaction, so that no job is between two lists when they are counted.
        let mut lengths = Pipeline::new();
        lengths.atomic().cmd("LLEN").arg(self.jobs());
        for worker in workers {
            lengths.cmd("LLEN").arg(self.processing(&worker));
        }
        Ok(lengths.query_async::<Vec<u64>>(redis).await?.into_iter().sum())
    }
}
