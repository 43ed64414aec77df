//! Caching: cache-aside with one loader at a time, among all processes and within each.
//!
//! Cache-aside is three lines: GET; if there is nothing, ask the database; SET with a TTL. These three lines bring shops down:
//!
//! - *Stampede.* When a hot entry expires, everybody misses at once and asks the database. Here a miss takes a lease, so one
//!   caller loads. The others of its process wait for its result, and other processes ask again after growing pauses.
//! - *A load that comes too late.* A row is read, then changed and its entry deleted, and then the old row is stored and stays.
//!   Here only the holder of the lease's token may store, and [`Cache::invalidate`] deletes the lease together with the entry.
//! - *All entries expire at once* because they were stored at once. Here TTLs are shortened at random.
//! - *What does not exist* is asked for again and again. Here that is cached too, for a shorter time.
//! - *Each refresh is felt.* With [`Cache::with_stale_for`], an old entry is served while one caller refreshes it.
//! - *A loader that disappears* holds up all others until its lock expires. Here the lease lasts two seconds, and the loader
//!   renews it. If a caller is canceled while it loads, another of its process takes over at once.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `product:123` | String | the value, in the codec's format: JSON, and `null` for what does not exist |
//! | `product:{product:123}:load` | String | the token of the caller that loads it now |
//!
//! - **Promise**: a call never returns what was loaded before an [`Cache::invalidate`] that had returned when the call began. One
//!   caller loads an entry at a time, unless a process or the lease is lost, or a load takes longer than its
//!   [load time](Cache::with_load_time).
//! - **Cost**: a hit is one round trip: GET, and with a stale time PTTL in the same pipeline. A load takes three.
//! - **Memory**: what the entries take until their TTL, and a token for each load that is under way.
//! - **Faults**: everything here may be lost at any time, so the server may evict (`allkeys-lru`); a lost entry is loaded again,
//!   and a lost lease means that its load is not stored. If a failover loses an invalidation, the old entry is back until its TTL:
//!   keep TTLs short. If the clock is set back, entries live longer by as much. If Redis cannot be reached, the caller gets the
//!   error, because otherwise the database would get all its traffic at once.
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
use crate::script::{Reply, Script, StoreError, first_refusal, join_all, milliseconds, quote, send};

/// How long a lease lasts. A loader renews it three times in that time.
pub const LEASE: Duration = Duration::from_secs(2);
/// The first pause of a process that waits for another one's load, and the longest; each is twice the one before.
const FIRST_PAUSE_MS: u64 = 4;
const LONGEST_PAUSE_MS: u64 = 128;
/// With so many turns, those that nobody takes any more are cleared away.
const MANY_TURNS: usize = 1_000;

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
    vec![("ask", &ASK), ("renew", &RENEW), ("store", &STORE), ("release", &RELEASE), ("put", &PUT)]
}

/// How values become bytes. Any format of serde's will do that tells `None` from `Some`.
pub trait Codec {
    /// The bytes of a value.
    fn encode<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, CodecError>;
    /// The value of these bytes.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError>;
}

/// What a codec's own error becomes.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// JSON, so that everybody can read what is cached. A type whose own JSON is `null`, as that of `()`, reads as `None`.
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

/// A cache of one kind of values, such as products. Clones share their [`Statistics`] and their loads, so clone one cache
/// instead of making a second one. All clients must use the same [`Cache::with_stale_for`].
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

    /// How long a value is fresh: a millisecond to a year, 5 minutes if not set.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// How long it is known that there is nothing: a millisecond to a year, 30 seconds if not set. Keep it short: code that
    /// creates the row may forget the cache.
    #[must_use]
    pub fn with_absent_ttl(self, absent_ttl: Duration) -> Self {
        Self { absent_ttl, ..self }
    }

    /// By what share of itself a TTL is shortened at random: 0 to 0.9, a tenth if not set. A TTL of 100 s with 0.1 becomes 90 to
    /// 100 s.
    #[must_use]
    pub fn with_jitter(self, share: f64) -> Self {
        Self { jitter: if share.is_nan() { 0.0 } else { share.clamp(0.0, 0.9) }, ..self }
    }

    /// How long after its TTL a value may still be served while one caller loads it again: up to a year, not at all if not set. If
    /// that load fails, its caller gets the stale value too.
    #[must_use]
    pub fn with_stale_for(self, stale_for: Duration) -> Self {
        Self { stale_for, ..self }
    }

    /// How long a load may take, 10 seconds if not set. After that, another caller loads, and what the slow one brings is given to
    /// its own caller only.
    #[must_use]
    pub fn with_load_time(self, load_time: Duration) -> Self {
        Self { load_time, ..self }
    }

    /// How long a call waits for somebody else's load before it ends with [`CacheError::GaveUp`]: 15 seconds if not set. Make it
    /// longer than the load time, so that a caller that waits can take over.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The value; `None` if there is none. It is read from Redis, or else loaded.
    ///
    /// A loader that fails, panics, or is canceled lets the next caller try. What was loaded is returned even if it could not be
    /// stored. One round trip for a hit, three and the load for a miss.
    pub async fn get_or_load<T, E, L, R>(&self, ids: &[&str], load: L) -> Result<Option<T>, CacheError<E>>
    where
        T: Serialize + DeserializeOwned,
        L: FnOnce() -> R,
        R: Future<Output = Result<Option<T>, E>>,
    {
        let mut fetch = Fetch::new(self, vec![self.key(ids)?]);
        if !fetch.until_it_is_our_turn().await?.is_empty() {
            let loaded = fetch.renewing(load()).await;
            fetch.settle(loaded.map(|value| vec![value])).await?;
        }
        Ok(fetch.answers().pop().flatten())
    }

    /// The values with these IDs, in the same order. Those that are missing are loaded together: `load` gets their IDs and returns
    /// what exists, by ID. It is called again only for those that another caller began to load and did not bring.
    ///
    /// One round trip for hits, whose commands are under way at once, and three and the load for misses.
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
            let ours = fetch.until_it_is_our_turn().await?;
            if ours.is_empty() {
                return Ok(fetch.answers());
            }
            let wanted: Vec<String> = ours.into_iter().map(|at| ids[at].to_owned()).collect();
            let loaded = fetch.renewing(load(wanted.clone())).await;
            fetch.settle(loaded.map(|mut found| wanted.iter().map(|id| found.remove(id)).collect())).await?;
        }
    }

    /// Forgets a value. Call it *after* the row has been written: a load that begins later reads the new row, and one that began
    /// earlier can no longer store the old one. One round trip.
    ///
    /// If it fails, the old value may be served until its TTL ends: try again.
    pub async fn invalidate(&self, ids: &[&str]) -> Result<(), StoreError> {
        let key = self.key(ids)?;
        send(&self.connection, redis::cmd("UNLINK").arg(key.as_str()).arg(key.companion("load"))).await
    }

    /// Stores a value that the caller has just written elsewhere; `None` for a row that was deleted. Two writers at a time may store
    /// in another order than they wrote the row; where that matters, use [`Cache::invalidate`]. One round trip.
    pub async fn put<T: Serialize>(
        &self,
        ids: &[&str],
        value: Option<&T>,
    ) -> Result<(), CacheError<std::convert::Infallible>> {
        let key = self.key(ids)?;
        let bytes = self.codec.encode(&value).map_err(CacheError::Codec)?;
        let life = self.life_ms(value.is_some());
        let call = PUT.call(&[key.as_str(), &key.companion("load")]).arg(bytes).arg(life);
        let reply: Reply = call.run(&self.connection).await?;
        if reply.outcome == "PUT" { Ok(()) } else { Err(reply.unexpected().into()) }
    }

    /// The key of a value: the name and the IDs. Use the same number of IDs in each call.
    pub fn key(&self, ids: &[&str]) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, &self.name, ids)?)
    }

    /// What has happened so far, in this cache and its clones.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        *self.shared.statistics()
    }

    /// What is stored, and whether it is fresh.
    async fn look(&self, key: &Key) -> Result<Option<(Vec<u8>, bool)>, StoreError> {
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
    fn life_ms(&self, is_there: bool) -> u64 {
        let ttl = milliseconds(if is_there { self.ttl } else { self.absent_ttl });
        let less = (ttl as f64 * self.jitter * self.shared.chance()) as u64;
        (ttl - less).max(1) + self.stale_ms()
    }
}

/// One call's way to its values.
struct Fetch<'a, C, F, T> {
    cache: &'a Cache<C, F>,
    began: Instant,
    pause_ms: u64,
    wants: Vec<Want<T>>,
}

/// A value that a call wants.
struct Want<T> {
    key: Key,
    state: State<T>,
    stale: Option<Stored<T>>,
    /// Stored bytes that are no value of ours; none of ours is empty.
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
    /// Another caller of this process asks for it or loads it.
    Waiting(Waiting),
    /// It is our turn in this process, and another process loads it, or nobody.
    Asking(OwnedMutexGuard<Turn>),
    /// We load it.
    Loading(OwnedMutexGuard<Turn>),
    Answered(Option<T>),
}

impl<'a, C: ConnectionLike + Clone, F: Codec, T: Serialize + DeserializeOwned> Fetch<'a, C, F, T> {
    fn new(cache: &'a Cache<C, F>, keys: Vec<Key>) -> Self {
        let want =
            |key| Want { key, state: State::New, stale: None, unreadable: Vec::new(), has_waited: false };
        let wants = keys.into_iter().map(want).collect();
        Self { cache, began: Instant::now(), pause_ms: FIRST_PAUSE_MS, wants }
    }

    fn answers(self) -> Vec<Option<T>> {
        let answer = |want: Want<T>| if let State::Answered(answer) = want.state { answer } else { None };
        self.wants.into_iter().map(answer).collect()
    }

    /// Looks and waits until all is answered, and returns nothing; or until there are values that we have to load, and returns
    /// where they are.
    async fn until_it_is_our_turn<E>(&mut self) -> Result<Vec<usize>, CacheError<E>> {
        loop {
            self.look().await?;
            self.wait_or_take_turns()?;
            self.ask().await?;
            let is_ours = |at: &usize| matches!(self.wants[*at].state, State::Loading(_));
            let ours: Vec<usize> = (0..self.wants.len()).filter(is_ours).collect();
            if !ours.is_empty() || self.wants.iter().all(Want::is_answered) {
                return Ok(ours);
            }
            if self.began.elapsed() >= self.cache.wait {
                self.cache.count(|seen| seen.gave_up += 1);
                return Err(CacheError::GaveUp { waited: self.began.elapsed() });
            }
            self.pause().await?;
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let new = |want: &&mut Want<T>| matches!(want.state, State::New);
        let wants: Vec<&mut Want<T>> = self.wants.iter_mut().filter(new).collect();
        let found = join_all(wants.iter().map(|want| self.cache.look(&want.key))).await;
        for (want, found) in wants.into_iter().zip(found) {
            want.state = State::Missing;
            match found? {
                Some((bytes, true)) => want.take(self.cache, &bytes, false)?,
                Some((bytes, false)) => want.stale = want.decode(self.cache, &bytes)?,
                None => {}
            }
        }
        Ok(())
    }

    /// One caller of this process asks for each value, and the others wait for it. A stale value is served instead.
    fn wait_or_take_turns(&mut self) -> Result<(), StoreError> {
        for want in &mut self.wants {
            if matches!(want.state, State::Missing) {
                want.state = State::Waiting(self.cache.shared.wait(want.key.as_str()));
            }
            let State::Waiting(waiting) = &want.state else { continue };
            if let Ok(turn) = Arc::clone(&waiting.turn).try_lock_owned() {
                want.enter(self.cache, turn)?;
            } else if let Some(Stored(value)) = want.stale.take() {
                self.cache.count(|seen| seen.stale += 1);
                want.state = State::Answered(value);
            } else {
                want.waits(self.cache);
            }
        }
        Ok(())
    }

    /// Asks Redis who loads.
    async fn ask(&mut self) -> Result<(), StoreError> {
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
                    want.take(cache, &bytes, false)?;
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
                    want.take(cache, &bytes, true)?;
                }
                ("WAIT", None) => {
                    want.waits(cache);
                    want.state = State::Asking(turn);
                }
                _ => return Err(reply.unexpected()),
            }
        }
        Ok(())
    }

    /// Waits for our turn in this process, or a while for another process.
    async fn pause(&mut self) -> Result<(), StoreError> {
        let mut open = self.wants.iter_mut().filter(|want| !want.is_answered());
        if let (Some(want), None) = (open.next(), open.next())
            && let State::Waiting(waiting) = &want.state
        {
            let rest = self.cache.wait.saturating_sub(self.began.elapsed());
            let turn = Arc::clone(&waiting.turn).lock_owned();
            if let Ok(turn) = timeout(rest.min(self.cache.load_time), turn).await {
                return want.enter(self.cache, turn);
            }
            if rest > self.cache.load_time {
                // The caller that loads takes longer than a load may take.
                self.cache.shared.forget(want.key.as_str(), &waiting.turn);
                want.state = State::New;
            }
        } else {
            sleep(self.cache.shared.some_of(self.pause_ms)).await;
            self.pause_ms = (2 * self.pause_ms).min(LONGEST_PAUSE_MS);
        }
        Ok(())
    }

    /// Awaits the load, and renews the leases meanwhile until the load time is over.
    async fn renewing<O>(&self, load: impl Future<Output = O>) -> O {
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
                    // If it does not arrive, somebody else loads, and this load is late.
                    let _ = timeout(lease / 3, join_all(renewals)).await;
                }
            }
        }
    }

    /// Stores what was loaded; if that failed, lets somebody else load.
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
                        // Old is better than nothing.
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
            cache.store(&want.key, turn, bytes, cache.life_ms(value.is_some()))
        });
        let outcomes = join_all(stores).await;
        for ((((want, turn), bytes), value), is_stored) in
            turns.into_iter().zip(&encoded).zip(values).zip(outcomes)
        {
            // Nobody else gets what was not stored: an invalidation may have come in between.
            cache.shared.end(want.key.as_str(), turn, is_stored.map(|sent| (sent, bytes)));
            want.state = State::Answered(value);
        }
        Ok(())
    }
}

impl<C: ConnectionLike + Clone, F: Codec> Cache<C, F> {
    /// Which command stored the value, if any did.
    async fn store(&self, key: &Key, turn: &Turn, bytes: &[u8], life_ms: u64) -> Option<u64> {
        let sent = self.shared.next();
        let call = STORE.call(&[key.as_str(), &key.companion("load")]).arg(&turn.token);
        match call.arg(bytes).arg(life_ms).run::<Reply>(&self.connection).await {
            Ok(reply) if reply.outcome == "STORED" => Some(sent),
            Ok(_) => {
                self.count(|seen| seen.late += 1);
                None
            }
            Err(_) => {
                self.count(|seen| seen.not_stored += 1);
                // There may be no room for the value, and yet for this: the others need not wait in vain.
                self.release(key, turn).await;
                None
            }
        }
    }

    /// Lets somebody else load. If this does not arrive, the lease ends by itself.
    async fn release(&self, key: &Key, turn: &Turn) {
        let call = RELEASE.call(&[key.companion("load")]).arg(&turn.token);
        let _: Result<Reply, _> = call.run(&self.connection).await;
    }

    fn count(&self, add: impl FnOnce(&mut Statistics)) {
        add(&mut self.shared.statistics());
    }
}

impl<T: DeserializeOwned> Want<T> {
    fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered(_))
    }

    /// Answers with stored bytes. If they cannot be read, the value counts as missing.
    fn take<C: ConnectionLike + Clone, F: Codec>(
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
                // Somebody keeps writing what we cannot read.
                return Err(StoreError::Malformed(quote(self.key.as_str())));
            }
            self.unreadable = bytes.to_vec();
        }
        Ok(None)
    }

    /// It is our turn in this process. What the one before us brought may be all we need.
    fn enter<C: ConnectionLike + Clone, F: Codec>(
        &mut self,
        cache: &Cache<C, F>,
        mut turn: OwnedMutexGuard<Turn>,
    ) -> Result<(), StoreError> {
        let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::New) else { return Ok(()) };
        let brought = turn.loaded.clone().filter(|(sent, _)| *sent > waiting.since);
        drop(waiting);
        if let Some((_, bytes)) = brought {
            cache.shared.leave(self.key.as_str(), turn);
            return self.take(cache, &bytes, false);
        }
        turn.canceled = std::mem::replace(&mut turn.token, cache.shared.token());
        self.state = State::Asking(turn);
        Ok(())
    }

    fn waits<C: ConnectionLike + Clone, F: Codec>(&mut self, cache: &Cache<C, F>) {
        if !self.has_waited {
            self.has_waited = true;
            cache.count(|seen| seen.waits += 1);
        }
    }
}

/// What the clones of a cache have in common.
#[derive(Debug, Default)]
struct Shared {
    statistics: Mutex<Statistics>,
    numbers: AtomicU64,
    /// Seeded by the system, differently in each process and for each cache.
    random: RandomState,
    /// For each value that a caller of this process asks for, whose turn it is.
    turns: Mutex<HashMap<String, Arc<TurnLock<Turn>>>>,
}

/// One caller of this process at a time asks for a value and loads it. If that caller is canceled, the next one has its token.
#[derive(Debug, Default)]
struct Turn {
    /// Of the caller whose turn it is, or of one that was canceled. It has to differ from all others, not to be secret:
    /// a client that can read it can delete the lease as well.
    token: String,
    /// Of a canceled caller whose lease we take over, or empty.
    canceled: String,
    /// The bytes that the last command stored or found, and the number of that command.
    loaded: Option<(u64, Arc<[u8]>)>,
}

/// A place among those who wait for their turn.
struct Waiting {
    turn: Arc<TurnLock<Turn>>,
    /// What a command with a higher number stored or found is new enough for us: an invalidation that we know of came before it.
    since: u64,
}

impl Shared {
    fn wait(&self, key: &str) -> Waiting {
        let mut turns = self.turns();
        if turns.len() >= MANY_TURNS {
            // Those that canceled callers left.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        let turn = Arc::clone(turns.entry(key.to_owned()).or_default());
        Waiting { turn, since: self.next() }
    }

    /// Ends a turn, with what is in Redis for those who wait, or to let them try.
    fn end(&self, key: &str, mut turn: OwnedMutexGuard<Turn>, loaded: Option<(u64, &Vec<u8>)>) {
        turn.token.clear();
        if let Some((sent, bytes)) = loaded {
            turn.loaded = Some((sent, bytes.as_slice().into()));
        }
        self.leave(key, turn);
    }

    /// The last one to leave clears up.
    fn leave(&self, key: &str, turn: OwnedMutexGuard<Turn>) {
        let mut turns = self.turns();
        drop(turn);
        if turns.get(key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(key);
        }
    }

    /// Lets the next callers begin anew.
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

    /// From 0 to 1.
    fn chance(&self) -> f64 {
        self.random() as f64 / u64::MAX as f64
    }

    /// Half of a time to all of it, so that those who began to wait together do not ask again together.
    fn some_of(&self, ms: u64) -> Duration {
        Duration::from_millis(ms).mul_f64(1.0 - self.chance() / 2.0)
    }
}

/// What has happened since a cache was made, in this process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Values that were there and fresh, or known not to exist.
    pub hits: u64,
    /// Stale values that were served while somebody else refreshed them.
    pub stale: u64,
    /// Values that somebody else loaded while the call waited.
    pub shared: u64,
    /// Values that a call of this process began to load.
    pub loads: u64,
    /// Calls whose loader failed.
    pub failed: u64,
    /// Loaded values that were not stored: too slow, or invalidated meanwhile.
    pub late: u64,
    /// Loaded values that were not stored because Redis refused or could not be reached.
    pub not_stored: u64,
    /// Stored values that could not be read, and were loaded again.
    pub unreadable: u64,
    /// Values that a call had to wait for, because another call or another process loads them.
    pub waits: u64,
    /// Calls that gave up waiting.
    pub gave_up: u64,
}

impl Statistics {
    /// The share of values that were answered at once, 0 to 1; 0 before the first call.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let at_once = self.hits + self.stale;
        let calls = at_once + self.shared + self.loads + self.gave_up;
        if calls == 0 { 0.0 } else { at_once as f64 / calls as f64 }
    }
}

/// Why there is no answer. `E` is the loader's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError<E> {
    /// The loader failed, and there was no stale value to serve. Those who wait try in turn.
    #[error("the load failed: {0}")]
    Load(E),
    /// Somebody else has been loading for all the time that this call would wait.
    #[error("somebody else has been loading for {} ms", waited.as_millis())]
    GaveUp {
        /// How long the call waited.
        waited: Duration,
    },
    /// What was loaded cannot be written in the codec's format.
    #[error("what was loaded cannot be encoded: {0}")]
    Codec(CodecError),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
