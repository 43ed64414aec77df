use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, Script, ScriptInvocation, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::shared::Call;
use super::statistics::count;
use super::{Cache, CacheError, CacheKey, error};
use crate::script;
use crate::store::{Reply, StoreError};

static GET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/get.lua")));

/// The first pause of somebody who waits, in milliseconds, and the longest; each is twice the one before.
const FIRST_PAUSE: u64 = 4;
const LONGEST_PAUSE: u64 = 128;

/// What Redis says to a call.
enum Answer {
    Fresh(Vec<u8>),
    /// There is something, too old, and somebody else refreshes it.
    Stale(Vec<u8>),
    /// It is ours to load; what there is of old.
    Load(Option<Vec<u8>>),
    Wait,
}

impl<C: ConnectionLike + Clone> Cache<C> {
    /// The document, `None` if there is none: from Redis, or else loaded, by one caller at a time however many ask in however
    /// many processes.
    ///
    /// - A hit is one round trip. A load takes two, and what it costs. Who waits asks again after pauses of 4 ms, 8, 16 and
    ///   so on up to 128, each shortened at random by half of it at most.
    /// - A loader that fails lets the next one try; one that panics, never returns or is dropped on the way (by a timeout, or
    ///   by a client that hangs up) is replaced when its [load time](Cache::with_load_time) is over. So a loader may run
    ///   again, but never two of them in their time. Where callers hang up, spawn the call as a task of its own.
    /// - The loaded document is returned even if it could not be stored.
    ///
    /// `T` must not be a type whose own JSON is `null` (as `()` and `Option` have): it would read as `None`.
    pub async fn get_or_load<T, E, L, F>(&self, key: &CacheKey, load: L) -> Result<Option<T>, CacheError<E>>
    where
        T: Serialize + DeserializeOwned,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let call = self.shared.call();
        let counters = &self.shared.counters;
        let (mut unreadable, mut waited, mut pause) = (Vec::new(), 0, FIRST_PAUSE);
        loop {
            let (stored, at_once) = match self.ask(key, &call, &unreadable).await? {
                Answer::Fresh(stored) => (stored, &counters.hits),
                Answer::Stale(stored) => (stored, &counters.stale),
                Answer::Load(old) => return self.load(key, &call, old, load).await,
                Answer::Wait => {
                    if waited >= self.settings.wait {
                        count(&counters.gave_up);
                        return Err(CacheError::GaveUp { waited: Duration::from_millis(waited) });
                    }
                    count(&counters.pauses);
                    let one = call.some_of(pause);
                    (self.pause)(Duration::from_millis(one)).await;
                    waited += one;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                    continue;
                }
            };
            if let Ok(document) = serde_json::from_slice(&stored) {
                count(if waited == 0 { at_once } else { &counters.shared });
                return Ok(document);
            }
            count(&counters.unreadable);
            // Somebody keeps writing what we cannot read.
            if !unreadable.is_empty() {
                return Err(StoreError::malformed(&key.value, "the document").into());
            }
            unreadable = stored;
        }
    }

    async fn load<T, E, L, F>(
        &self,
        key: &CacheKey,
        call: &Call,
        old: Option<Vec<u8>>,
        load: L,
    ) -> Result<Option<T>, CacheError<E>>
    where
        T: Serialize + DeserializeOwned,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let counters = &self.shared.counters;
        count(&counters.loads);
        let document = match load().await {
            Ok(document) => document,
            Err(error) => {
                count(&counters.failed);
                self.release(key, call).await;
                // Old is better than nothing.
                let old = old.and_then(|old| serde_json::from_slice(&old).ok());
                return old.ok_or(CacheError::Load(error));
            }
        };
        let json = match serde_json::to_vec(&document) {
            Ok(json) => json,
            Err(error) => {
                self.release(key, call).await;
                return Err(error.into());
            }
        };
        let life = self.settings.life(document.is_some(), call.chance);
        match self.store(key, call, &json, life).await {
            Ok(true) => {}
            Ok(false) => count(&counters.late),
            Err(_) => {
                count(&counters.not_stored);
                // There may be no room for the document, and yet for this: the others need not wait in vain.
                self.release(key, call).await;
            }
        }
        Ok(document)
    }

    async fn ask(&self, key: &CacheKey, call: &Call, unreadable: &[u8]) -> Result<Answer, StoreError> {
        let mut get = GET.key(&key.value);
        get.key(&key.load)
            .arg(&call.token)
            .arg(self.settings.lock)
            .arg(self.settings.stale_for)
            .arg(unreadable);
        let value: Value = self.invoke(&get, key).await?;
        if let Value::BulkString(document) = value {
            return Ok(Answer::Fresh(document));
        }
        let mut reply = Reply::from_redis_value(value).map_err(|error| StoreError::Redis(error.into()))?;
        let old: Option<Vec<u8>> = reply.next()?;
        match (reply.outcome.as_str(), old) {
            ("LOAD", old) => Ok(Answer::Load(old)),
            ("WAIT", Some(old)) => Ok(Answer::Stale(old)),
            ("WAIT", None) => Ok(Answer::Wait),
            _ => Err(reply.into_error()),
        }
    }

    /// Runs a script; a second time if the connection broke. Each does the same for the same token, whether or not the first
    /// one arrived. (Of what was stored the first time, the second says that it came too late: one more in the statistics.)
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        key: &CacheKey,
    ) -> Result<T, StoreError> {
        let end = match script::run(call, &self.connection).await {
            Err(error) if error.is_io_error() && !error.is_timeout() => {
                script::run(call, &self.connection).await
            }
            end => end,
        };
        end.map_err(|error| error::of_redis(error, &key.value))
    }
}
