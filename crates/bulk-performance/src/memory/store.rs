//! Users written, read and changed in every encoding.

use std::ops::RangeInclusive;
use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value};

use super::buckets::Buckets;
use super::codec::Codec;
use super::columns;
use super::compression::Zstd;
use super::document::{Values, unreadable};
use super::encoding::{Encoding, Layout};
use crate::keys::Keys;
use crate::people::{FIELDS, People};
use crate::stored::Content;

/// Users in one pipeline, or all of a bucket if that is more.
const BATCH: u64 = 1_000;

/// Users 1 to `records`, and where each encoding keeps them.
#[derive(Clone, Debug)]
pub struct Store {
    buckets: Buckets,
    people: People,
    records: u64,
    zstd: Option<Arc<Zstd>>,
}

impl Store {
    /// Users 1 to `records`, in buckets of `bucket` (at least one). Without `zstd` the encodings that need it fail.
    #[must_use]
    pub fn new(keys: Keys, records: u64, bucket: u64, zstd: Option<Arc<Zstd>>) -> Self {
        let buckets = Buckets { keys, size: bucket.max(1) };
        Self { buckets, people: People::new(), records, zstd }
    }

    /// The same places for other users: 1 to `records`.
    #[must_use]
    pub fn with_records(&self, records: u64) -> Self {
        Self { records, ..self.clone() }
    }

    /// How many users.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many users a bucket holds.
    #[must_use]
    pub fn bucket(&self) -> u64 {
        self.buckets.size
    }

    /// The names of keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.buckets.keys
    }

    /// The data set.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Every key of an encoding, a dictionary included.
    #[must_use]
    pub fn keys_of(&self, encoding: Encoding) -> Vec<String> {
        let name = encoding.name();
        let mut keys: Vec<String> = match encoding.layout() {
            Layout::Strings(_) | Layout::Hashes(_) => {
                (1..=self.records).map(|number| self.buckets.keys.memory_user(name, number)).collect()
            }
            Layout::Buckets(_) => self
                .buckets
                .of_records(self.records)
                .map(|bucket| self.buckets.keys.memory_bucket(name, bucket))
                .collect(),
            Layout::Columns(column) => self
                .buckets
                .of_records(self.records)
                .flat_map(|bucket| columns::keys_of_bucket(&self.buckets, name, column, bucket))
                .collect(),
        };
        keys.extend(encoding.uses_dictionary().then(|| self.buckets.keys.memory_dictionary(name)));
        keys
    }

    /// Writes all users where none are.
    pub async fn write(
        &self,
        encoding: Encoding,
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<()> {
        if let (true, Some(zstd)) = (encoding.uses_dictionary(), &self.zstd) {
            // Whoever loses it loses the users with it; so it is kept beside them, and counted.
            let key = self.buckets.keys.memory_dictionary(encoding.name());
            redis::cmd("SET").arg(key).arg(zstd.dictionary()).exec_async(connection).await?;
        }
        for batch in self.batches() {
            let users: Vec<(u64, Values)> =
                batch.map(|number| (number, self.people.user(number).values())).collect();
            let mut pipeline = redis::pipe();
            for bucket in users.chunk_by(|(one, _), (next, _)| self.place(*one).0 == self.place(*next).0) {
                self.write_bucket(encoding, bucket, &mut pipeline)?;
            }
            pipeline.exec_async(connection).await?;
        }
        Ok(())
    }

    /// What is really there.
    pub async fn content(
        &self,
        encoding: Encoding,
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<Content> {
        let mut content = Content::default();
        for batch in self.batches() {
            let numbers: Vec<u64> = batch.collect();
            for (number, values) in numbers.iter().zip(self.load(encoding, &numbers, connection).await?) {
                content.add(*number, &values);
            }
        }
        Ok(content)
    }

    /// Reads whole users in one pipeline. A missing user is an error.
    pub async fn load(
        &self,
        encoding: Encoding,
        numbers: &[u64],
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<Vec<Values>> {
        match encoding.layout() {
            Layout::Strings(codec) | Layout::Buckets(codec) => {
                let values: Vec<Vec<u8>> =
                    self.ask(numbers.iter().map(|&number| self.get(encoding, number)), connection).await?;
                values.iter().map(|bytes| codec.decode(bytes, self.zstd.as_deref())).collect()
            }
            Layout::Hashes(names) => {
                let commands = numbers.iter().map(|&number| {
                    let mut command = redis::cmd("HMGET");
                    command.arg(self.buckets.keys.memory_user(encoding.name(), number)).arg(names);
                    command
                });
                self.ask(commands, connection).await
            }
            Layout::Columns(column) => {
                let commands = numbers.iter().flat_map(|&number| {
                    (0..FIELDS.len())
                        .map(move |field| column(field).read(&self.buckets, encoding.name(), field, number))
                });
                let mut replies = self.ask::<Value>(commands, connection).await?.into_iter();
                let mut values = || -> RedisResult<Values> {
                    let mut values = Values::default();
                    for (field, value) in values.iter_mut().enumerate() {
                        *value = column(field).value(replies.next().unwrap_or(Value::Nil))?;
                    }
                    Ok(values)
                };
                numbers.iter().map(|_| values()).collect()
            }
        }
    }

    /// Reads the field with this index (of [`FIELDS`]) of these users in one pipeline; without field access, by
    /// reading them whole.
    pub async fn read_field(
        &self,
        encoding: Encoding,
        field: usize,
        numbers: &[u64],
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<Vec<String>> {
        match encoding.layout() {
            Layout::Strings(_) | Layout::Buckets(_) => {
                let users = self.load(encoding, numbers, connection).await?;
                Ok(users.into_iter().map(|mut values| std::mem::take(&mut values[field])).collect())
            }
            Layout::Hashes(names) => {
                let commands = numbers.iter().map(|&number| {
                    let mut command = redis::cmd("HGET");
                    command.arg(self.buckets.keys.memory_user(encoding.name(), number)).arg(names[field]);
                    command
                });
                self.ask(commands, connection).await
            }
            Layout::Columns(column) => {
                let column = column(field);
                let commands =
                    numbers.iter().map(|&number| column.read(&self.buckets, encoding.name(), field, number));
                let replies: Vec<Value> = self.ask(commands, connection).await?;
                replies.into_iter().map(|reply| column.value(reply)).collect()
            }
        }
    }

    /// Changes the field with this index of these users in one pipeline; without field access, by reading them whole,
    /// and writing them whole in a second one, which undoes what another client changed in between.
    pub async fn change_field(
        &self,
        encoding: Encoding,
        field: usize,
        changes: &[(u64, String)],
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<()> {
        let commands: Vec<Cmd> = match encoding.layout() {
            Layout::Strings(codec) | Layout::Buckets(codec) => {
                let numbers: Vec<u64> = changes.iter().map(|(number, _)| *number).collect();
                let users = self.load(encoding, &numbers, connection).await?;
                let rewritten = users.into_iter().zip(changes).map(|(mut values, (number, value))| {
                    values[field].clone_from(value);
                    self.set(encoding, codec, *number, &values)
                });
                rewritten.collect::<RedisResult<_>>()?
            }
            Layout::Hashes(names) => changes
                .iter()
                .map(|(number, value)| {
                    let mut command = redis::cmd("HSET");
                    command
                        .arg(self.buckets.keys.memory_user(encoding.name(), *number))
                        .arg(names[field])
                        .arg(value);
                    command
                })
                .collect(),
            Layout::Columns(column) => changes
                .iter()
                .map(|(number, value)| {
                    column(field).change(&self.buckets, encoding.name(), field, *number, value)
                })
                .collect::<RedisResult<_>>()?,
        };
        let replies: Vec<Value> = self.ask(commands.into_iter(), connection).await?;
        // BITFIELD answers so where the number needs more bits than there are.
        let refused = |reply: &Value| matches!(reply, Value::Array(parts) if parts.contains(&Value::Nil));
        if replies.iter().any(refused) {
            return Err(unreadable("a number does not fit into its bits"));
        }
        Ok(())
    }

    /// The bucket of a user, and its place in it.
    pub(crate) fn place(&self, number: u64) -> (u64, u64) {
        self.buckets.place(number)
    }

    /// Whole buckets, so that a bucket is written at once.
    fn batches(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let step = self.buckets.size * (BATCH / self.buckets.size).max(1);
        let last = self.records;
        (0..=last / step).map(move |part| (part * step).max(1)..=last.min(part * step + (step - 1)))
    }

    fn write_bucket(
        &self,
        encoding: Encoding,
        users: &[(u64, Values)],
        pipeline: &mut Pipeline,
    ) -> RedisResult<()> {
        match encoding.layout() {
            Layout::Strings(codec) => {
                for (number, values) in users {
                    pipeline.add_command(self.set(encoding, codec, *number, values)?).ignore();
                }
            }
            Layout::Buckets(codec) => {
                let Some((first, _)) = users.first() else { return Ok(()) };
                let key = self.buckets.keys.memory_bucket(encoding.name(), self.place(*first).0);
                let command = pipeline.cmd("HSET").arg(key);
                for (number, values) in users {
                    command.arg(self.place(*number).1).arg(codec.encode(values, self.zstd.as_deref())?);
                }
                command.ignore();
            }
            Layout::Hashes(names) => {
                for (number, values) in users {
                    let key = self.buckets.keys.memory_user(encoding.name(), *number);
                    let command = pipeline.cmd("HSET").arg(key);
                    for (name, value) in names.iter().zip(values) {
                        command.arg(name).arg(value);
                    }
                    command.ignore();
                }
            }
            Layout::Columns(column) => {
                columns::write_bucket(&self.buckets, encoding.name(), column, users, pipeline)?;
            }
        }
        Ok(())
    }

    /// Reads a whole user that is one value.
    fn get(&self, encoding: Encoding, number: u64) -> Cmd {
        let mut command = Cmd::new();
        let name = encoding.name();
        match encoding.layout() {
            Layout::Buckets(_) => {
                let (bucket, place) = self.place(number);
                command.arg("HGET").arg(self.buckets.keys.memory_bucket(name, bucket)).arg(place)
            }
            _ => command.arg("GET").arg(self.buckets.keys.memory_user(name, number)),
        };
        command
    }

    /// Writes a whole user that is one value.
    fn set(&self, encoding: Encoding, codec: Codec, number: u64, values: &Values) -> RedisResult<Cmd> {
        let mut command = Cmd::new();
        let name = encoding.name();
        match encoding.layout() {
            Layout::Buckets(_) => {
                let (bucket, place) = self.place(number);
                command.arg("HSET").arg(self.buckets.keys.memory_bucket(name, bucket)).arg(place)
            }
            _ => command.arg("SET").arg(self.buckets.keys.memory_user(name, number)),
        };
        command.arg(codec.encode(values, self.zstd.as_deref())?);
        Ok(command)
    }

    async fn ask<T: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
        connection: &mut (impl ConnectionLike + Send),
    ) -> RedisResult<Vec<T>> {
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command);
        }
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        pipeline.query_async(connection).await
    }
}
