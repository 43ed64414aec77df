//! Caching: cache-aside with one loader at a time, among all processes and within each.
//!
//! Cache-aside is three lines: GET; if there is nothing, ask the database; SET with a TTL. These three lines can take a shop
//! down:
//!
//! - *Stampede.* When a hot entry expires, all callers miss at once and query the database. Here a miss takes a lease, so one
//!   caller loads. The other callers in its process wait for its result, and other processes check again after growing pauses.
//! - *A late load.* A row is read. Then the row is changed and its entry deleted. Then the old row is stored and stays. Here
//!   only the holder of the lease may store, and [`Cache::invalidate`] deletes the lease together with the entry.
//! - *Entries that were stored together expire together.* Here TTLs are shortened at random.
//! - *A row that does not exist* is queried again and again. Here that is cached too, for a shorter time.
//! - *Each refresh is slow for its caller.* With [`Cache::with_stale_for`], an old entry is served while one caller refreshes
//!   it.
//! - *A loader that crashes* blocks all others until its lock expires. Here the lease lasts two seconds, and the loader renews
//!   it. If a caller is canceled while it loads, another caller in its process takes over at once.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `product:123` | String | the value, in the codec's format: JSON, and `null` for what does not exist |
//! | `product:{product:123}:load` | String | the lease: the token of the caller that loads it now |
//!
//! - **Promise**: after [`Cache::invalidate`] has returned, no new call returns what was loaded before it. One caller loads an
//!   entry at a time, unless a process or the lease is lost, or a load takes longer than its [load
//!   time](Cache::with_load_time).
//! - **Cost**: a hit is one round trip: GET, and with a stale time, PTTL in the same pipeline. A load takes three.
//! - **Memory**: the entries until their TTL, and a token for each load in progress.
//! - **Faults**: everything here may be lost at any time, so the server may evict (`allkeys-lru`). A lost entry is loaded
//!   again, and with a lost lease, the load is not stored. If a failover loses an invalidation, the old entry is back until its
//!   TTL: keep TTLs short. If the clock is set back, entries live longer by as much. If Redis cannot be reached, the caller
//!   gets the error. Otherwise, the database would get all the traffic at once.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use patterns::cache::Cache;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let products = Cache::new(connection, "", "product");
//!
//! let from_database = async || Ok::<_, Infallible>(Some("a mug".to_owned()));
//! assert_eq!(products.get_or_load(&["123"], from_database).await?.as_deref(), Some("a mug"));
//! assert_eq!(products.get_or_load(&["123"], from_database).await?.as_deref(), Some("a mug"));
//! assert_eq!((products.statistics().loads, products.statistics().hits), (1, 1));
//!
//! // The row has changed: after the write, delete.
//! products.invalidate(&["123"]).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex as TurnLock, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use crate::key::Key;
use crate::script::{
    Reply, Script, StoreError, by_operation, first_refusal, join_all, milliseconds, quote, send,
};

/// How long a lease lasts. The loader renews it three times in that time.
pub const LEASE: Duration = Duration::from_secs(2);
/// The first and the longest pause of a process that waits for another one's load. Each pause is twice the one before.
const FIRST_PAUSE_MS: u64 = 4;
const LONGEST_PAUSE_MS: u64 = 128;
/// When there are this many turns, unused ones are removed.
const MAX_IDLE_TURNS: usize = 1_000;

const FILE: &str = include_str!("cache.lua");

/// Decides who loads a value that is missing or stale.
pub static ASK: Script = Script::new("cache.lua: ask", FILE, &["ask"]);
/// Renews the lease while the loader is still at work.
pub static RENEW: Script = Script::new("cache.lua: renew", FILE, &["renew"]);
/// Stores what was loaded, if this client still holds the lease.
pub static STORE: Script = Script::new("cache.lua: store", FILE, &["store"]);
/// Gives the lease back, so that another client can load.
pub static RELEASE: Script = Script::new("cache.lua: release", FILE, &["release"]);
/// Stores a value, and takes the lease from a client that is loading an older one.
pub static PUT: Script = Script::new("cache.lua: put", FILE, &["put"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&ASK, &RENEW, &STORE, &RELEASE, &PUT])
}

/// How values become bytes. You can use any serde format that tells `None` from `Some`.
pub trait Codec {
    /// The bytes of a value.
    fn encode<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, CodecError>;
    /// The value of these bytes.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError>;
}

/// The error of a codec.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// JSON, so that any program can read what is cached. A type whose own JSON is `null`, such as `()`, reads as `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Codec for Json {
    fn encode<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        Ok(serde_json::to_vec(value)?)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// A cache of one kind of value, such as products. Clones share their [`Statistics`] and their loads, so clone a cache instead
/// of making a second one. All clients must use the same [`Cache::with_stale_for`].
#[derive(Clone, Debug)]
pub struct Cache<C, F = Json> {
    connection: C,
    prefix: String,
    name: String,
    codec: F,
    ttl: Duration,
    absent_ttl: Duration,
    stale_for: Duration,
    jitter: f64,
    load_time: Duration,
    wait: Duration,
    shared: Arc<Shared>,
}

impl<C: ConnectionLike + Clone> Cache<C> {
    /// A cache of JSON values whose keys begin with `name`.
    pub fn new(connection: C, prefix: &str, name: &str) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
            name: name.to_owned(),
            codec: Json,
            ttl: Duration::from_mins(5),
            absent_ttl: Duration::from_secs(30),
            stale_for: Duration::ZERO,
            jitter: 0.1,
            load_time: Duration::from_secs(10),
            wait: Duration::from_secs(15),
            shared: Arc::default(),
        }
    }
}

impl<C: ConnectionLike + Clone, F: Codec> Cache<C, F> {
    /// Stores values in another format than JSON.
    #[must_use]
    pub fn with_codec<G: Codec>(self, codec: G) -> Cache<C, G> {
        let Self {
            connection,
            prefix,
            name,
            codec: _,
            ttl,
            absent_ttl,
            stale_for,
            jitter,
            load_time,
            wait,
            shared,
        } = self;
        Cache { connection, prefix, name, codec, ttl, absent_ttl, stale_for, jitter, load_time, wait, shared }
    }

    /// How long a value is fresh: a millisecond to a year, 5 minutes by default.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// How long a missing row is cached: a millisecond to a year, 30 seconds by default. Keep it short: code that creates the
    /// row may not invalidate it.
    #[must_use]
    pub fn with_absent_ttl(self, absent_ttl: Duration) -> Self {
        Self { absent_ttl, ..self }
    }

    /// The part by which a TTL is shortened at random: 0 to 0.9, a tenth by default. With 0.1, a TTL of 100 s becomes 90 to 100
    /// s.
    #[must_use]
    pub fn with_jitter(self, share: f64) -> Self {
        Self { jitter: if share.is_nan() { 0.0 } else { share.clamp(0.0, 0.9) }, ..self }
    }

    /// How long after its TTL a stale value may be served while one caller loads it again: up to a year, 0 by default. If that
    /// load fails, its caller gets the stale value too.
    #[must_use]
    pub fn with_stale_for(self, stale_for: Duration) -> Self {
        Self { stale_for, ..self }
    }

    /// How long a load may take, 10 seconds by default. After that, another caller loads, and only the slow loader's own caller
    /// gets its result.
    #[must_use]
    pub fn with_load_time(self, load_time: Duration) -> Self {
        Self { load_time, ..self }
    }

    /// How long a call waits for another caller's load before it returns [`CacheError::GaveUp`]: 15 seconds by default. Make it
    /// longer than the load time, so that a waiting caller can take over.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The value, read from Redis or else loaded; `None` if there is none.
    ///
    /// If a loader fails, panics, or is canceled, the next caller tries. What was loaded is returned even if it could not be
    /// stored. One round trip for a hit, three and the load for a miss.
    pub async fn get_or_load<T, E, L, R>(&self, ids: &[&str], load: L) -> Result<Option<T>, CacheError<E>>
    where
        T: Serialize + DeserializeOwned,
        L: FnOnce() -> R,
        R: Future<Output = Result<Option<T>, E>>,
    {
        let mut fetch = Fetch::new(self, vec![self.key(ids)?]);
        if !fetch.wait_for_turn().await?.is_empty() {
            let loaded = fetch.load_and_renew(load()).await;
            fetch.settle(loaded.map(|value| vec![value])).await?;
        }
        Ok(fetch.answers().pop().flatten())
    }

    /// The values with these IDs, in the same order. Missing values are loaded together: `load` gets their IDs and returns the
    /// values that exist, by ID. It is called again only for values that another caller began to load but did not store.
    ///
    /// One round trip for hits, all at once, and three and the load for misses.
    pub async fn get_or_load_many<T, E, L, R>(
        &self,
        ids: &[&str],
        mut load: L,
    ) -> Result<Vec<Option<T>>, CacheError<E>>
    where
        T: Serialize + DeserializeOwned,
        L: FnMut(Vec<String>) -> R,
        R: Future<Output = Result<HashMap<String, T>, E>>,
    {
        let keys: Result<Vec<Key>, StoreError> = ids.iter().map(|id| self.key(&[id])).collect();
        let mut fetch = Fetch::new(self, keys?);
        loop {
            let ours = fetch.wait_for_turn().await?;
            if ours.is_empty() {
                return Ok(fetch.answers());
            }
            let wanted: Vec<String> = ours.into_iter().map(|at| ids[at].to_owned()).collect();
            let loaded = fetch.load_and_renew(load(wanted.clone())).await;
            fetch.settle(loaded.map(|mut found| wanted.iter().map(|id| found.remove(id)).collect())).await?;
        }
    }

    /// Deletes a value. Call it *after* you have written the row: a load that begins later reads the new row, and a load that
    /// began earlier can no longer store the old row. One round trip.
    ///
    /// If it fails, the old value may be served until its TTL ends: try again.
    pub async fn invalidate(&self, ids: &[&str]) -> Result<(), StoreError> {
        let key = self.key(ids)?;
        send(&self.connection, redis::cmd("UNLINK").arg(key.as_str()).arg(key.companion("load"))).await
    }

    /// Stores a value that the caller has just written to the database; `None` for a deleted row. Two writers at once may store
    /// in another order than they wrote the row. If that matters, use [`Cache::invalidate`]. One round trip.
    pub async fn put<T: Serialize>(
        &self,
        ids: &[&str],
        value: Option<&T>,
    ) -> Result<(), CacheError<std::convert::Infallible>> {
        let key = self.key(ids)?;
        let bytes = self.codec.encode(&value).map_err(CacheError::Codec)?;
        let life = self.ttl_ms(value.is_some());
        let call = PUT.call(&[key.as_str(), &key.companion("load")]).arg(bytes).arg(life);
        Ok(call.run::<Reply>(&self.connection).await?.must_be("PUT")?)
    }

    /// The key of a value: the name and the IDs. Use the same number of IDs in each call.
    pub fn key(&self, ids: &[&str]) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, &self.name, ids)?)
    }

    /// The counters of this cache and its clones.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        *self.shared.statistics()
    }

    /// What is stored, and whether it is fresh.
    async fn read(&self, key: &Key) -> Result<Option<(Vec<u8>, bool)>, StoreError> {
        let get = redis::cmd("GET").arg(key.as_str()).clone();
        let mut connection = self.connection.clone();
        let refused = |error| first_refusal(error, key.as_str());
        if self.stale_for.is_zero() {
            let found: Option<Vec<u8>> = get.query_async(&mut connection).await.map_err(refused)?;
            return Ok(found.map(|found| (found, true)));
        }
        let mut both = redis::pipe();
        both.add_command(get).cmd("PTTL").arg(key.as_str());
        let (found, left): (Option<Vec<u8>>, i64) =
            both.query_async(&mut connection).await.map_err(refused)?;
        let is_fresh = u64::try_from(left).is_ok_and(|left| left >= self.stale_ms());
        Ok(found.map(|found| (found, is_fresh)))
    }

    fn lease(&self) -> Duration {
        LEASE.min(self.load_time).max(Duration::from_millis(1))
    }

    fn stale_ms(&self) -> u64 {
        if self.stale_for.is_zero() { 0 } else { milliseconds(self.stale_for) }
    }

    /// How long a value lives in Redis.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a year, at least 0")]
    fn ttl_ms(&self, is_there: bool) -> u64 {
        let ttl = milliseconds(if is_there { self.ttl } else { self.absent_ttl });
        let less = (ttl as f64 * self.jitter * self.shared.random_fraction()) as u64;
        (ttl - less).max(1) + self.stale_ms()
    }
}

/// One call, from its keys to its values.
struct Fetch<'a, C, F, T> {
    cache: &'a Cache<C, F>,
    began: Instant,
    pause_ms: u64,
    wants: Vec<Wanted<T>>,
}

/// A value that a call wants.
struct Wanted<T> {
    key: Key,
    state: State<T>,
    stale: Option<Stored<T>>,
    /// Stored bytes that could not be decoded. No encoded value is empty.
    unreadable: Vec<u8>,
    has_waited: bool,
}

/// What a stored entry says, which may be that there is nothing.
struct Stored<T>(Option<T>);

enum State<T> {
    /// To look for in Redis.
    New,
    /// Not in Redis, or stale.
    Missing,
    /// Another caller in this process asks for it or loads it.
    Waiting(Waiting),
    /// It is our turn in this process. Another process may load it.
    Asking(OwnedMutexGuard<Turn>),
    /// We load it.
    Loading(OwnedMutexGuard<Turn>),
    Answered(Option<T>),
}

impl<'a, C: ConnectionLike + Clone, F: Codec, T: Serialize + DeserializeOwned> Fetch<'a, C, F, T> {
    fn new(cache: &'a Cache<C, F>, keys: Vec<Key>) -> Self {
        let want =
            |key| Wanted { key, state: State::New, stale: None, unreadable: Vec::new(), has_waited: false };
        let wants = keys.into_iter().map(want).collect();
        Self { cache, began: Instant::now(), pause_ms: FIRST_PAUSE_MS, wants }
    }

    fn answers(self) -> Vec<Option<T>> {
        let answer = |want: Wanted<T>| if let State::Answered(answer) = want.state { answer } else { None };
        self.wants.into_iter().map(answer).collect()
    }

    /// Reads and waits until all values are found, and returns nothing. Or until this caller has to load values, and returns
    /// their positions.
    async fn wait_for_turn<E>(&mut self) -> Result<Vec<usize>, CacheError<E>> {
        loop {
            self.read_new().await?;
            self.join_turns()?;
            self.ask_who_loads().await?;
            let is_ours = |at: &usize| matches!(self.wants[*at].state, State::Loading(_));
            let ours: Vec<usize> = (0..self.wants.len()).filter(is_ours).collect();
            if !ours.is_empty() || self.wants.iter().all(Wanted::is_answered) {
                return Ok(ours);
            }
            if self.began.elapsed() >= self.cache.wait {
                self.cache.count(|seen| seen.gave_up += 1);
                return Err(CacheError::GaveUp { waited: self.began.elapsed() });
            }
            self.pause().await?;
        }
    }

    async fn read_new(&mut self) -> Result<(), StoreError> {
        let new = |want: &&mut Wanted<T>| matches!(want.state, State::New);
        let wants: Vec<&mut Wanted<T>> = self.wants.iter_mut().filter(new).collect();
        let found = join_all(wants.iter().map(|want| self.cache.read(&want.key))).await;
        for (want, found) in wants.into_iter().zip(found) {
            want.state = State::Missing;
            match found? {
                Some((bytes, true)) => want.answer_with(self.cache, &bytes, false)?,
                Some((bytes, false)) => want.stale = want.decode(self.cache, &bytes)?,
                None => {}
            }
        }
        Ok(())
    }

    /// One caller in this process asks for each value, and the others wait for it or serve a stale value.
    fn join_turns(&mut self) -> Result<(), StoreError> {
        for want in &mut self.wants {
            if matches!(want.state, State::Missing) {
                want.state = State::Waiting(self.cache.shared.wait(want.key.as_str()));
            }
            let State::Waiting(waiting) = &want.state else { continue };
            if let Ok(turn) = Arc::clone(&waiting.turn).try_lock_owned() {
                want.take_turn(self.cache, turn)?;
            } else if let Some(Stored(value)) = want.stale.take() {
                self.cache.count(|seen| seen.stale += 1);
                want.state = State::Answered(value);
            } else {
                want.count_wait(self.cache);
            }
        }
        Ok(())
    }

    /// Asks Redis which caller loads.
    async fn ask_who_loads(&mut self) -> Result<(), StoreError> {
        let cache = self.cache;
        let asked = self.wants.iter().enumerate().filter_map(|(at, want)| match &want.state {
            State::Asking(turn) => Some(async move {
                let sent = cache.shared.next();
                let call = ASK.call(&[want.key.as_str(), &want.key.companion("load")]);
                let call = call.arg(&turn.token).arg(&turn.canceled).arg(milliseconds(cache.lease()));
                let call = call.arg(cache.stale_ms()).arg(&want.unreadable);
                (at, sent, call.run(&cache.connection).await)
            }),
            _ => None,
        });
        let asked: Vec<(usize, u64, Result<Reply, StoreError>)> = join_all(asked).await;
        for (at, sent, reply) in asked {
            let (want, mut reply) = (&mut self.wants[at], reply?);
            let found: Option<Vec<u8>> = reply.next()?;
            let State::Asking(turn) = std::mem::replace(&mut want.state, State::Missing) else { continue };
            match (reply.outcome.as_str(), found) {
                ("FRESH", Some(bytes)) => {
                    cache.shared.end(want.key.as_str(), turn, Some((sent, &bytes)));
                    want.answer_with(cache, &bytes, false)?;
                }
                ("LOAD", found) => {
                    if let Some(bytes) = found {
                        want.stale = want.decode(cache, &bytes)?;
                    }
                    cache.count(|seen| seen.loads += 1);
                    want.state = State::Loading(turn);
                }
                ("WAIT", Some(bytes)) => {
                    cache.shared.end(want.key.as_str(), turn, None);
                    want.answer_with(cache, &bytes, true)?;
                }
                ("WAIT", None) => {
                    want.count_wait(cache);
                    want.state = State::Asking(turn);
                }
                _ => return Err(reply.unexpected()),
            }
        }
        Ok(())
    }

    /// Waits for our turn in this process, or a pause for another process.
    async fn pause(&mut self) -> Result<(), StoreError> {
        let mut open = self.wants.iter_mut().filter(|want| !want.is_answered());
        if let (Some(want), None) = (open.next(), open.next())
            && let State::Waiting(waiting) = &want.state
        {
            let rest = self.cache.wait.saturating_sub(self.began.elapsed());
            let turn = Arc::clone(&waiting.turn).lock_owned();
            if let Ok(turn) = timeout(rest.min(self.cache.load_time), turn).await {
                return want.take_turn(self.cache, turn);
            }
            if rest > self.cache.load_time {
                // The load takes longer than allowed.
                self.cache.shared.forget(want.key.as_str(), &waiting.turn);
                want.state = State::New;
            }
        } else {
            sleep(self.cache.shared.jittered(self.pause_ms)).await;
            self.pause_ms = (2 * self.pause_ms).min(LONGEST_PAUSE_MS);
        }
        Ok(())
    }

    /// Awaits the load, and renews the leases until the load time is over.
    async fn load_and_renew<O>(&self, load: impl Future<Output = O>) -> O {
        let (mut load, began, lease) = (pin!(load), Instant::now(), self.cache.lease());
        loop {
            match timeout(lease / 3, load.as_mut()).await {
                Ok(loaded) => return loaded,
                Err(_) if began.elapsed() + lease > self.cache.load_time => return load.await,
                Err(_) => {
                    let renewals = self.wants.iter().filter_map(|want| match &want.state {
                        State::Loading(turn) => {
                            let call = RENEW.call(&[want.key.companion("load")]).arg(&turn.token);
                            Some((call, milliseconds(lease)))
                        }
                        _ => None,
                    });
                    let renewals = renewals
                        .map(async |(call, ms)| call.arg(ms).run::<Reply>(&self.cache.connection).await);
                    // If this does not arrive, another caller loads, and this load is too late.
                    let _ = timeout(lease / 3, join_all(renewals)).await;
                }
            }
        }
    }

    /// Stores what was loaded. If the load failed, lets another caller load.
    async fn settle<E>(&mut self, loaded: Result<Vec<Option<T>>, E>) -> Result<(), CacheError<E>> {
        let cache = self.cache;
        let ours = self.wants.iter_mut().filter(|want| matches!(want.state, State::Loading(_)));
        let mut turns = Vec::new();
        for want in ours {
            let State::Loading(turn) = std::mem::replace(&mut want.state, State::Missing) else { continue };
            turns.push((want, turn));
        }
        let values = match loaded {
            Ok(values) => values,
            Err(error) => {
                cache.count(|seen| seen.failed += 1);
                let mut all_stale = true;
                join_all(turns.iter().map(|(want, turn)| cache.release(&want.key, turn))).await;
                for (want, turn) in turns {
                    cache.shared.end(want.key.as_str(), turn, None);
                    match want.stale.take() {
                        // A stale value is better than none.
                        Some(Stored(value)) => want.state = State::Answered(value),
                        None => all_stale = false,
                    }
                }
                return if all_stale { Ok(()) } else { Err(CacheError::Load(error)) };
            }
        };
        let encoded: Result<Vec<Vec<u8>>, CodecError> =
            values.iter().map(|value| cache.codec.encode(value)).collect();
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(error) => {
                join_all(turns.iter().map(|(want, turn)| cache.release(&want.key, turn))).await;
                return Err(CacheError::Codec(error));
            }
        };
        let stores = turns.iter().zip(&encoded).zip(&values).map(|(((want, turn), bytes), value)| {
            cache.store(&want.key, turn, bytes, cache.ttl_ms(value.is_some()))
        });
        let outcomes = join_all(stores).await;
        for ((((want, turn), bytes), value), is_stored) in
            turns.into_iter().zip(&encoded).zip(values).zip(outcomes)
        {
            // No other caller gets what was not stored: an invalidation may have come in between.
            cache.shared.end(want.key.as_str(), turn, is_stored.map(|sent| (sent, bytes)));
            want.state = State::Answered(value);
        }
        Ok(())
    }
}

impl<C: ConnectionLike + Clone, F: Codec> Cache<C, F> {
    /// Which command stored the value, if any did.
    async fn store(&self, key: &Key, turn: &Turn, bytes: &[u8], ttl_ms: u64) -> Option<u64> {
        let sent = self.shared.next();
        let call = STORE.call(&[key.as_str(), &key.companion("load")]).arg(&turn.token);
        match call.arg(bytes).arg(ttl_ms).run::<Reply>(&self.connection).await {
            Ok(reply) if reply.outcome == "STORED" => Some(sent),
            Ok(_) => {
                self.count(|seen| seen.late += 1);
                None
            }
            Err(_) => {
                self.count(|seen| seen.not_stored += 1);
                // Even if there is no room for the value, this may work, and the others need not wait.
                self.release(key, turn).await;
                None
            }
        }
    }

    /// Lets another caller load. If this does not arrive, the lease expires.
    async fn release(&self, key: &Key, turn: &Turn) {
        let call = RELEASE.call(&[key.companion("load")]).arg(&turn.token);
        let _: Result<Reply, _> = call.run(&self.connection).await;
    }

    fn count(&self, add: impl FnOnce(&mut Statistics)) {
        add(&mut self.shared.statistics());
    }
}

impl<T: DeserializeOwned> Wanted<T> {
    fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered(_))
    }

    /// Answers with stored bytes. If they cannot be decoded, the value counts as missing.
    fn answer_with<C: ConnectionLike + Clone, F: Codec>(
        &mut self,
        cache: &Cache<C, F>,
        bytes: &[u8],
        is_stale: bool,
    ) -> Result<(), StoreError> {
        if let Some(Stored(value)) = self.decode(cache, bytes)? {
            let waited = self.has_waited;
            cache.count(|seen| match (is_stale, waited) {
                (true, _) => seen.stale += 1,
                (false, true) => seen.shared += 1,
                (false, false) => seen.hits += 1,
            });
            self.state = State::Answered(value);
        }
        Ok(())
    }

    fn decode<C: ConnectionLike + Clone, F: Codec>(
        &mut self,
        cache: &Cache<C, F>,
        bytes: &[u8],
    ) -> Result<Option<Stored<T>>, StoreError> {
        if let Ok(value) = cache.codec.decode(bytes) {
            return Ok(Some(Stored(value)));
        }
        if self.unreadable != bytes {
            cache.count(|seen| seen.unreadable += 1);
            if !self.unreadable.is_empty() {
                // Another program keeps writing what we cannot decode.
                return Err(StoreError::Malformed(quote(self.key.as_str())));
            }
            self.unreadable = bytes.to_vec();
        }
        Ok(None)
    }

    /// It is our turn in this process. The caller before us may have found the value.
    fn take_turn<C: ConnectionLike + Clone, F: Codec>(
        &mut self,
        cache: &Cache<C, F>,
        mut turn: OwnedMutexGuard<Turn>,
    ) -> Result<(), StoreError> {
        let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::New) else { return Ok(()) };
        let found = turn.loaded.clone().filter(|(sent, _)| *sent > waiting.since);
        drop(waiting);
        if let Some((_, bytes)) = found {
            cache.shared.leave(self.key.as_str(), turn);
            return self.answer_with(cache, &bytes, false);
        }
        turn.canceled = std::mem::replace(&mut turn.token, cache.shared.token());
        self.state = State::Asking(turn);
        Ok(())
    }

    fn count_wait<C: ConnectionLike + Clone, F: Codec>(&mut self, cache: &Cache<C, F>) {
        if !self.has_waited {
            self.has_waited = true;
            cache.count(|seen| seen.waits += 1);
        }
    }
}

/// What the clones of a cache share.
#[derive(Debug, Default)]
struct Shared {
    statistics: Mutex<Statistics>,
    numbers: AtomicU64,
    /// Seeded by the system, differently for each process and cache.
    random: RandomState,
    /// The turns of the values that callers in this process are asking for.
    turns: Mutex<HashMap<String, Arc<TurnLock<Turn>>>>,
}

/// One caller in this process at a time asks for a value and loads it. If that caller is canceled, the next caller takes over
/// its token.
#[derive(Debug, Default)]
struct Turn {
    /// The token of the caller whose turn it is, or of a canceled one. It must be unique, but it is no secret: a client that
    /// can read it can also delete the lease.
    token: String,
    /// The token of a canceled caller whose lease we take over, or empty.
    canceled: String,
    /// The bytes that the last command stored or found, and the number of that command.
    loaded: Option<(u64, Arc<[u8]>)>,
}

/// A place in the queue for a turn.
struct Waiting {
    turn: Arc<TurnLock<Turn>>,
    /// The number of the last command when this caller joined. What a later command found is new enough: no invalidation that
    /// this caller knows of came after it.
    since: u64,
}

impl Shared {
    fn wait(&self, key: &str) -> Waiting {
        let mut turns = self.turns();
        if turns.len() >= MAX_IDLE_TURNS {
            // Turns that canceled callers left.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        let turn = Arc::clone(turns.entry(key.to_owned()).or_default());
        Waiting { turn, since: self.next() }
    }

    /// Ends a turn, with the value in Redis for the waiting callers, or without one so that the next caller tries.
    fn end(&self, key: &str, mut turn: OwnedMutexGuard<Turn>, loaded: Option<(u64, &Vec<u8>)>) {
        turn.token.clear();
        if let Some((sent, bytes)) = loaded {
            turn.loaded = Some((sent, bytes.as_slice().into()));
        }
        self.leave(key, turn);
    }

    /// The last caller removes the turn.
    fn leave(&self, key: &str, turn: OwnedMutexGuard<Turn>) {
        let mut turns = self.turns();
        drop(turn);
        if turns.get(key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(key);
        }
    }

    /// Lets the next callers start over.
    fn forget(&self, key: &str, turn: &Arc<TurnLock<Turn>>) {
        let mut turns = self.turns();
        if turns.get(key).is_some_and(|current| Arc::ptr_eq(current, turn)) {
            turns.remove(key);
        }
    }

    fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, Arc<TurnLock<Turn>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        self.random.hash_one(self.next())
    }

    fn token(&self) -> String {
        format!("{:016x}{:016x}", self.random(), self.random())
    }

    /// A random number from 0 to 1.
    fn random_fraction(&self) -> f64 {
        self.random() as f64 / u64::MAX as f64
    }

    /// Half of a time to all of it, so that callers who began to wait together do not retry together.
    fn jittered(&self, ms: u64) -> Duration {
        Duration::from_millis(ms).mul_f64(1.0 - self.random_fraction() / 2.0)
    }
}

/// Counters since the cache was made, in this process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Values found fresh, or cached as missing.
    pub hits: u64,
    /// Stale values served while another caller refreshed them.
    pub stale: u64,
    /// Values that another caller loaded while the call waited.
    pub shared: u64,
    /// Values that a call in this process began to load.
    pub loads: u64,
    /// Calls whose loader failed.
    pub failed: u64,
    /// Loaded values that were not stored, because the load was too slow or the value was invalidated.
    pub late: u64,
    /// Loaded values that were not stored, because Redis refused or could not be reached.
    pub not_stored: u64,
    /// Stored values that could not be decoded, and were loaded again.
    pub unreadable: u64,
    /// Values that a call had to wait for, because another call or process loaded them.
    pub waits: u64,
    /// Calls that gave up waiting.
    pub gave_up: u64,
}

impl Statistics {
    /// The fraction of values answered at once, 0 to 1; 0 before the first call.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let at_once = self.hits + self.stale;
        let calls = at_once + self.shared + self.loads + self.gave_up;
        if calls == 0 { 0.0 } else { at_once as f64 / calls as f64 }
    }
}

/// Why there is no value. `E` is the loader's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError<E> {
    /// The loader failed, and there was no stale value to serve. The next waiting caller tries.
    #[error("the load failed: {0}")]
    Load(E),
    /// Another caller has been loading for longer than this call waits.
    #[error("another caller has been loading for {} ms", waited.as_millis())]
    GaveUp {
        /// How long the call waited.
        waited: Duration,
    },
    /// What was loaded cannot be encoded.
    #[error("what was loaded cannot be encoded: {0}")]
    Codec(CodecError),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
