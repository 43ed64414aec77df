//! Ways to read a few properties of many profiles.

use std::collections::HashMap;

use lab_runner::{AnyConnection, Approach, Keys, labeled};
use redis::aio::ConnectionLike;
use redis::{AsyncCommands, RedisResult};

/// What a list of profiles shows of each.
pub const WANTED: [&str; 3] = ["firstname", "lastname", "city"];

labeled! {
    /// How to read [`WANTED`] of many profiles.
    pub enum ReadFields {
        /// The whole Hash, most of which is thrown away.
        WholeHash => "HGETALL",
        /// One command for each profile, which names the fields.
        NamedFields => "HMGET",
        /// No Hash: each property is a key of its own.
        KeyPerProperty => "one key per property: MGET",
        /// One round trip.
        Pipeline => "pipeline of HMGETs",
    }
}

/// The wanted properties, profile by profile; `None` for a missing one.
type Rows = Vec<Vec<Option<String>>>;

impl Approach for ReadFields {
    type Input = Profiles;
    type Output = Rows;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, profiles: &Profiles) -> u64 {
        profiles.count() as u64
    }

    async fn reset<C: AnyConnection>(self, profiles: &Profiles, redis: &mut C) -> RedisResult<()> {
        match self {
            Self::KeyPerProperty => profiles.write_properties(redis).await,
            Self::WholeHash | Self::NamedFields | Self::Pipeline => profiles.write_hashes(redis).await,
        }
    }

    async fn run<C: AnyConnection>(self, profiles: &Profiles, redis: &mut C) -> RedisResult<Rows> {
        match self {
            Self::WholeHash => hgetall_each(redis, &profiles.hash_keys()).await,
            Self::NamedFields => hmget_each(redis, &profiles.hash_keys()).await,
            Self::KeyPerProperty => mget_each(redis, &profiles.property_keys(&WANTED)).await,
            Self::Pipeline => hmget_pipeline(redis, &profiles.hash_keys()).await,
        }
    }
}

async fn hgetall_each<C: AnyConnection>(redis: &mut C, keys: &[String]) -> RedisResult<Rows> {
    let mut rows = Vec::new();
    for key in keys {
        let mut all: HashMap<String, String> = redis.hgetall(key).await?;
        rows.push(WANTED.map(|field| all.remove(field)).to_vec());
    }
    Ok(rows)
}

async fn hmget_each<C: AnyConnection>(redis: &mut C, keys: &[String]) -> RedisResult<Rows> {
    let mut rows = Vec::new();
    for key in keys {
        rows.push(redis.hmget(key, &WANTED).await?);
    }
    Ok(rows)
}

async fn hmget_pipeline<C: AnyConnection>(redis: &mut C, keys: &[String]) -> RedisResult<Rows> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.hmget(key, &WANTED);
    }
    pipeline.query_async(redis).await
}

async fn mget_each<C: AnyConnection>(redis: &mut C, keys: &[String]) -> RedisResult<Rows> {
    let mut rows = Vec::new();
    for properties in keys.chunks(WANTED.len()) {
        rows.push(redis.mget(properties).await?);
    }
    Ok(rows)
}

/// Field and value, in the order in which they are written.
type Fields = Vec<(&'static str, String)>;

/// Made-up customers, numbered from 1001: the key of the Hash of each, and its fields.
#[derive(Clone, Debug)]
pub struct Profiles(Vec<(String, Fields)>);

impl Profiles {
    /// This many customers.
    pub fn new(count: usize, keys: &Keys) -> Self {
        Self((1_001..).take(count).map(|id| (keys.key(format!("profile:{id}")), profile(id))).collect())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The keys of their Hashes, in order.
    pub fn hash_keys(&self) -> Vec<String> {
        self.0.iter().map(|(hash, _)| hash.clone()).collect()
    }

    /// The keys of these properties, customer by customer.
    pub fn property_keys(&self, properties: &[&str]) -> Vec<String> {
        let of = |hash| properties.iter().map(move |property| format!("{hash}:{property}"));
        self.0.iter().flat_map(|(hash, _)| of(hash)).collect()
    }

    /// Writes each profile as one Hash.
    pub async fn write_hashes(&self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (hash, fields) in &self.0 {
            pipeline.cmd("HSET").arg(hash).arg(fields).ignore();
        }
        pipeline.exec_async(redis).await
    }

    /// Writes each property of each profile as a key.
    pub async fn write_properties(&self, redis: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (hash, fields) in &self.0 {
            for (property, value) in fields {
                pipeline.set(format!("{hash}:{property}"), value).ignore();
            }
        }
        pipeline.exec_async(redis).await
    }
}

/// The profile of the customer with this number, the same on every run. No value is longer than 64 bytes, so the
/// server keeps its Hash in a listpack.
pub fn profile(id: usize) -> Fields {
    let firstname = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita"][id % 7];
    let lastname = ["Keller", "Lopez", "Meyer", "Novak", "Okafor"][id % 5];
    vec![
        ("firstname", firstname.to_owned()),
        ("lastname", lastname.to_owned()),
        ("email", format!("{firstname}.{lastname}.{id}@example.com").to_lowercase()),
        ("age", (18 + id % 63).to_string()),
        ("street", format!("{id} Main Street")),
        ("city", ["Austin", "Boston", "Chicago", "Denver"][id % 4].to_owned()),
        ("department", ["audio", "garden", "kitchen"][id % 3].to_owned()),
        ("signup", format!("2024-{:02}-{:02}", 1 + id % 12, 1 + id % 28)),
        ("visits", (1 + id % 499).to_string()),
        ("about", format!("Likes to shop for the {} on weekends.", ["garden", "house"][id % 2])),
    ]
}
