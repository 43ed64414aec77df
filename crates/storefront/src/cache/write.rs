use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionLike;
use serde::Serialize;

use super::shared::Call;
use super::{Cache, CacheError, CacheKey, error};
use crate::script;
use crate::store::StoreError;

static STORE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/store.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));
static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/put.lua")));

impl<C: ConnectionLike + Clone> Cache<C> {
    /// Forgets a document. Call it *after* the row has been written: whoever loads from then on reads the new row, and
    /// whoever began before has lost the right to store the old one. One round trip.
    ///
    /// If it fails, the old document may be served until its TTL ends: try again.
    pub async fn invalidate(&self, key: &CacheKey) -> Result<(), StoreError> {
        let unlink = redis::cmd("UNLINK").arg(&key.value).arg(&key.load).to_owned();
        Ok(unlink.exec_async(&mut self.connection.clone()).await?)
    }

    /// Stores a document that the caller has just written elsewhere; `None` for one that does not exist any more. Two writers
    /// at a time may store in another order than they wrote the row; where that matters, [`Cache::invalidate`] is right. One
    /// round trip.
    pub async fn put<T: Serialize>(
        &self,
        key: &CacheKey,
        document: Option<&T>,
    ) -> Result<(), CacheError<std::convert::Infallible>> {
        let json = serde_json::to_vec(&document)?;
        let life = self.settings.life(document.is_some(), self.shared.call().chance);
        let mut call = PUT.key(&key.value);
        call.key(&key.load).arg(json).arg(life);
        script::run(&call, &self.connection).await.map_err(|error| error::of_redis(error, &key.value).into())
    }

    /// Stores what was loaded; false if somebody else has the right to by now.
    pub(super) async fn store(
        &self,
        key: &CacheKey,
        call: &Call,
        json: &[u8],
        life: u64,
    ) -> Result<bool, StoreError> {
        let mut store = STORE.key(&key.value);
        store.key(&key.load).arg(&call.token).arg(json).arg(life);
        self.invoke(&store, key).await
    }

    /// Lets somebody else load. If this does not arrive the lock ends by itself.
    pub(super) async fn release(&self, key: &CacheKey, call: &Call) {
        let mut release = RELEASE.key(&key.load);
        release.arg(&call.token);
        let _: Result<(), _> = self.invoke(&release, key).await;
    }
}
