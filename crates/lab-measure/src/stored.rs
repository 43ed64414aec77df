//! Users as they stand in Redis: written plainly, read back, and summed up so that two ways of writing can be compared.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_connection::Connection;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, RedisResult};

use crate::Timed;
use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, FIELDS, People, Record};

/// Records read or removed in one pipeline.
const BATCH: u64 = 1_000;

/// How many records there are, and what is in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Content {
    /// Records found.
    pub records: u64,
    /// The sum of the hashes of all records: the same for the same content, in whatever order it was written. Only
    /// comparable between runs of the same program.
    pub digest: u64,
}

impl Content {
    /// Adds a record: its number and its values in the order of [`FIELDS`].
    pub fn add<V: AsRef<[u8]>>(&mut self, number: u64, values: &[V]) {
        let mut hasher = DefaultHasher::new();
        number.hash(&mut hasher);
        for value in values {
            value.as_ref().hash(&mut hasher);
        }
        self.records += 1;
        self.digest = self.digest.wrapping_add(hasher.finish());
    }

    /// What users 1 to `records` look like when nothing is wrong.
    pub fn expected(people: &People, records: u64) -> Self {
        let mut content = Self::default();
        let mut record = Record::default();
        for number in 1..=records {
            record.write(&people.user(number));
            content.add(number, &record.values());
        }
        content
    }

    /// What the Hashes of users 1 to `records` hold. A missing field counts as empty, a missing user not at all; a field that
    /// does not belong there changes the digest too. One pipeline is on its way while the last one is added up.
    pub fn of_users<'a>(
        keys: &'a Keys,
        records: u64,
        connection: &'a Connection,
    ) -> Timed<'a, RedisResult<Self>> {
        Box::pin(async move {
            let batches = batches(records, BATCH).map(|numbers| {
                let mut pipeline = redis::pipe();
                for number in numbers.clone() {
                    pipeline.cmd("HGETALL").arg(keys.user(number));
                }
                let mut connection = connection.clone();
                async move {
                    let users: Vec<Fields> = pipeline.query_async(&mut connection).await?;
                    Ok::<_, RedisError>((numbers, users))
                }
            });
            let mut batches = stream::iter(batches).buffered(2);
            let mut content = Self::default();
            while let Some((numbers, users)) = batches.try_next().await? {
                for (number, user) in numbers.zip(users).filter(|(_, user)| !user.is_empty()) {
                    content.add(number, &in_order(user));
                }
            }
            Ok(content)
        })
    }
}

/// The fields of a Hash by their names.
type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

/// The values in the order of [`FIELDS`], then fields that do not belong there.
fn in_order(mut user: Fields) -> Vec<Vec<u8>> {
    let ours = FIELDS.map(|field| user.remove(field.as_bytes()).unwrap_or_default());
    ours.into_iter().chain(user.into_iter().flat_map(|(name, value)| [name, value])).collect()
}

/// The command that writes a user as a Hash.
pub fn hset(keys: &Keys, people: &People, number: u64) -> Cmd {
    let mut command = redis::cmd("HSET");
    command.arg(keys.user(number));
    let mut record = Record::default();
    record.write(&people.user(number));
    for (field, value) in FIELDS.iter().zip(record.values()) {
        command.arg(field).arg(value);
    }
    command
}

/// Writes users 1 to `records` plainly, in pipelines.
pub async fn write_users(
    keys: &Keys,
    people: &People,
    records: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    in_batches(records, connection, |number, pipeline| {
        pipeline.add_command(hset(keys, people, number)).ignore();
    })
    .await
}

/// Writes the indexes of users 1 to `records`: cities, departments, salaries.
pub async fn write_indexes(
    keys: &Keys,
    people: &People,
    records: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    in_batches(records, connection, |number, pipeline| {
        let user = people.user(number);
        pipeline.cmd("SADD").arg(keys.city(CITIES[user.city])).arg(number).ignore();
        pipeline.cmd("SADD").arg(keys.department(DEPARTMENTS[user.department])).arg(number).ignore();
        pipeline.cmd("ZADD").arg(keys.users_by_salary()).arg(user.salary).arg(number).ignore();
    })
    .await
}

/// Removes users 1 to `records`.
pub async fn remove_users(
    keys: &Keys,
    records: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    in_batches(records, connection, |number, pipeline| {
        pipeline.cmd("UNLINK").arg(keys.user(number)).ignore();
    })
    .await
}

/// The keys of all indexes.
pub fn index_keys(keys: &Keys) -> Vec<String> {
    let cities = CITIES.iter().map(|city| keys.city(city));
    let departments = DEPARTMENTS.iter().map(|department| keys.department(department));
    cities.chain(departments).chain([keys.users_by_salary()]).collect()
}

/// How many records of a kind a command of this crate has written, or begun to write.
pub async fn noted(
    keys: &Keys,
    kind: &str,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<u64> {
    let noted: Option<u64> =
        redis::cmd("HGET").arg(keys.loaded(kind)).arg("records").query_async(connection).await?;
    Ok(noted.unwrap_or(0))
}

/// Notes how many are going to be written. After this, an interrupted load of that kind cannot be resumed.
pub async fn note(
    keys: &Keys,
    kind: &str,
    records: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    let mut command = redis::cmd("HSET");
    command.arg(keys.loaded(kind)).arg("records").arg(records).arg("state").arg("done");
    command.exec_async(connection).await
}

/// Sends what `add` adds for each of the numbers 1 to `records`, in pipelines.
pub(crate) async fn in_batches(
    records: u64,
    connection: &mut (impl ConnectionLike + Send),
    add: impl Fn(u64, &mut redis::Pipeline),
) -> RedisResult<()> {
    for numbers in batches(records, BATCH) {
        let mut pipeline = redis::pipe();
        numbers.for_each(|number| add(number, &mut pipeline));
        pipeline.exec_async(connection).await?;
    }
    Ok(())
}

/// The numbers 1 to `records` in batches of `size`, at least one; the last may be smaller.
pub(crate) fn batches(records: u64, size: u64) -> impl Iterator<Item = RangeInclusive<u64>> {
    let size = size.clamp(1, records.max(1));
    let step = usize::try_from(size).unwrap_or(usize::MAX);
    (1..=records).step_by(step).map(move |first| first..=records.min(first + size - 1))
}
