//! Users written, read, and changed in every encoding.

use std::sync::Arc;

use lab_connection::Connection;
use lab_runner::AnyConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::columns::{Buckets, Cell, Code, text};
use super::document::{Values, unreadable};
use super::{Encoding, Layout, Zstd};
use crate::Timed;
use crate::keys::Keys;
use crate::people::{FIELDS, People};
use crate::stored::Content;

/// Users in one pipeline, or all of a bucket if that is more.
const BATCH: u64 = 1_000;

/// Users 1 to `records`, and where each encoding keeps them.
#[derive(Clone, Debug)]
pub struct Store {
    /// How many users there are.
    pub records: u64,
    /// The data set.
    pub people: People,
    buckets: Buckets,
    zstd: Option<Arc<Zstd>>,
}

impl Store {
    /// Users 1 to `records`, in buckets of `bucket` users, at least one. Without `zstd`, the encodings that need it fail.
    pub fn new(keys: Keys, records: u64, bucket: u64, zstd: Option<Arc<Zstd>>) -> Self {
        Self { buckets: Buckets { keys, size: bucket.max(1) }, people: People::new(), records, zstd }
    }

    /// The same places for other users: 1 to `records`.
    #[must_use]
    pub fn with_records(&self, records: u64) -> Self {
        Self { records, ..self.clone() }
    }

    /// How many users are in a bucket.
    pub fn bucket(&self) -> u64 {
        self.buckets.size
    }

    /// The key names.
    pub fn keys(&self) -> &Keys {
        &self.buckets.keys
    }

    /// Every key of an encoding, a dictionary included.
    pub fn keys_of(&self, encoding: Encoding) -> Vec<String> {
        let (keys, name) = (self.keys(), encoding.name());
        let buckets = self.buckets.place(1).0..=self.buckets.place(self.records).0;
        let mut names: Vec<String> = match encoding.layout() {
            Layout::Strings(_) | Layout::Hashes(_) => {
                (1..=self.records).map(|number| keys.memory_user(name, number)).collect()
            }
            Layout::Buckets(_) => buckets.map(|bucket| keys.memory_bucket(name, bucket)).collect(),
            Layout::Columns(columns) => {
                buckets.flat_map(|bucket| columns.keys_of_bucket(&self.buckets, name, bucket)).collect()
            }
        };
        names.extend(encoding.needs_dictionary().then(|| keys.memory_dictionary(name)));
        names
    }

    /// Writes all users where none are.
    pub fn write<'a>(&'a self, encoding: Encoding, redis: &'a mut Connection) -> Timed<'a, RedisResult<()>> {
        Box::pin(async move {
            if let (true, Some(zstd)) = (encoding.needs_dictionary(), &self.zstd) {
                // Without it, the users cannot be read. So it is kept beside them, and weighed.
                let key = self.keys().memory_dictionary(encoding.name());
                redis::cmd("SET").arg(key).arg(zstd.dictionary()).exec_async(redis).await?;
            }
            for numbers in self.batches() {
                let users: Vec<(u64, Values)> =
                    numbers.map(|number| (number, self.people.user(number).values())).collect();
                let mut pipeline = redis::pipe();
                for bucket in users.chunk_by(|(one, _), (next, _)| self.place(*one).0 == self.place(*next).0)
                {
                    self.write_bucket(encoding, bucket, &mut pipeline)?;
                }
                pipeline.exec_async(redis).await?;
            }
            Ok(())
        })
    }

    /// What the server really holds.
    pub fn content<'a>(
        &'a self,
        encoding: Encoding,
        redis: &'a mut Connection,
    ) -> Timed<'a, RedisResult<Content>> {
        Box::pin(async move {
            let mut content = Content::default();
            for numbers in self.batches() {
                let numbers: Vec<u64> = numbers.collect();
                for (number, values) in numbers.iter().zip(self.load(encoding, &numbers, redis).await?) {
                    content.add(*number, &values);
                }
            }
            Ok(content)
        })
    }

    /// Reads whole users in one pipeline. A missing user is an error.
    pub async fn load(
        &self,
        encoding: Encoding,
        numbers: &[u64],
        redis: &mut impl AnyConnection,
    ) -> RedisResult<Vec<Values>> {
        match encoding.layout() {
            Layout::Strings(codec) | Layout::Buckets(codec) => {
                let read = |&number| self.document_cell(encoding, number).read();
                let documents = send(numbers.iter().map(read), redis).await?;
                let decode = |document| {
                    let bytes: Vec<u8> = redis::from_redis_value(document)?;
                    codec.decode(&bytes, self.zstd.as_deref())
                };
                documents.into_iter().map(decode).collect()
            }
            Layout::Hashes(names) => {
                let read = |&number| {
                    let mut command = redis::cmd("HMGET");
                    command.arg(self.keys().memory_user(encoding.name(), number)).arg(names);
                    command
                };
                let users = send(numbers.iter().map(read), redis).await?;
                users.into_iter().map(|user| Ok(redis::from_redis_value(user)?)).collect()
            }
            Layout::Columns(_) => {
                let cells =
                    |&number| (0..FIELDS.len()).map(move |field| self.field_cell(encoding, field, number));
                let values = read_cells(numbers.iter().flat_map(cells).collect(), redis).await?;
                let users = values.chunks_exact(FIELDS.len());
                Ok(users.filter_map(|user| user.to_vec().try_into().ok()).collect())
            }
        }
    }

    /// Reads one field of these users in one pipeline. Without field access, it reads the whole users.
    pub async fn read_field(
        &self,
        encoding: Encoding,
        field: usize,
        numbers: &[u64],
        redis: &mut impl AnyConnection,
    ) -> RedisResult<Vec<String>> {
        if !encoding.has_field_access() {
            let users = self.load(encoding, numbers, redis).await?;
            return Ok(users.into_iter().map(|mut values| std::mem::take(&mut values[field])).collect());
        }
        let cells = numbers.iter().map(|&number| self.field_cell(encoding, field, number));
        read_cells(cells.collect(), redis).await
    }

    /// Changes one field of these users in one pipeline. Without field access, it reads the whole users and writes them back
    /// in a second pipeline, which undoes what another client changed in between.
    pub async fn change_field(
        &self,
        encoding: Encoding,
        field: usize,
        changes: &[(u64, String)],
        redis: &mut impl AnyConnection,
    ) -> RedisResult<()> {
        let commands: Vec<Cmd> = match encoding.layout() {
            Layout::Strings(codec) | Layout::Buckets(codec) => {
                let numbers: Vec<u64> = changes.iter().map(|(number, _)| *number).collect();
                let users = self.load(encoding, &numbers, redis).await?;
                let rewrite = |(mut values, (number, value)): (Values, &(u64, String))| {
                    values[field].clone_from(value);
                    let document = codec.encode(&values, self.zstd.as_deref())?;
                    Ok(self.document_cell(encoding, *number).change(document))
                };
                users.into_iter().zip(changes).map(rewrite).collect::<RedisResult<_>>()?
            }
            Layout::Hashes(_) | Layout::Columns(_) => {
                let change = |(number, value): &(u64, String)| {
                    let (cell, code) = self.field_cell(encoding, field, *number);
                    Ok(cell.change(code.encode(value)?))
                };
                changes.iter().map(change).collect::<RedisResult<_>>()?
            }
        };
        let replies = send(commands.into_iter(), redis).await?;
        // BITFIELD answers so if the number needs more bits than there are.
        let refused = |reply: &Value| matches!(reply, Value::Array(parts) if parts.contains(&Value::Nil));
        if replies.iter().any(refused) {
            return Err(unreadable("a number does not fit into its bits"));
        }
        Ok(())
    }

    /// The bucket of a user, and its place in it.
    pub fn place(&self, number: u64) -> (u64, u64) {
        self.buckets.place(number)
    }

    /// Whole buckets, so that a bucket is written at once.
    fn batches(&self) -> impl Iterator<Item = std::ops::RangeInclusive<u64>> {
        let step = self.bucket() * (BATCH / self.bucket()).max(1);
        let last = self.records;
        (0..=last / step).map(move |part| (part * step).max(1)..=last.min(part * step + (step - 1)))
    }

    fn write_bucket(
        &self,
        encoding: Encoding,
        users: &[(u64, Values)],
        pipeline: &mut Pipeline,
    ) -> RedisResult<()> {
        let (keys, name, zstd) = (self.keys(), encoding.name(), self.zstd.as_deref());
        match encoding.layout() {
            Layout::Strings(codec) => {
                for (number, values) in users {
                    let document = codec.encode(values, zstd)?;
                    pipeline.add_command(self.document_cell(encoding, *number).change(document)).ignore();
                }
            }
            Layout::Buckets(codec) => {
                let Some((first, _)) = users.first() else { return Ok(()) };
                let command = pipeline.cmd("HSET").arg(keys.memory_bucket(name, self.place(*first).0));
                for (number, values) in users {
                    command.arg(self.place(*number).1).arg(codec.encode(values, zstd)?);
                }
                command.ignore();
            }
            Layout::Hashes(names) => {
                for (number, values) in users {
                    let fields: Vec<_> = names.iter().zip(values).collect();
                    pipeline.cmd("HSET").arg(keys.memory_user(name, *number)).arg(&fields).ignore();
                }
            }
            Layout::Columns(columns) => columns.write_bucket(&self.buckets, name, users, pipeline)?,
        }
        Ok(())
    }

    /// Where a whole user is, if it is one value.
    fn document_cell(&self, encoding: Encoding, number: u64) -> Cell {
        let (keys, name) = (self.keys(), encoding.name());
        match encoding.layout() {
            Layout::Buckets(_) => {
                let (bucket, place) = self.place(number);
                Cell::HashField(keys.memory_bucket(name, bucket), place.to_string())
            }
            _ => Cell::String(keys.memory_user(name, number)),
        }
    }

    /// Where a field is, if each is a value of its own.
    fn field_cell(&self, encoding: Encoding, field: usize, number: u64) -> (Cell, Code) {
        let key = || self.keys().memory_user(encoding.name(), number);
        match encoding.layout() {
            Layout::Columns(columns) => columns.cell(&self.buckets, encoding.name(), field, number),
            Layout::Hashes(names) => (Cell::HashField(key(), names[field].to_owned()), Code::Plain),
            _ => (Cell::HashField(key(), FIELDS[field].to_owned()), Code::Plain),
        }
    }
}

async fn read_cells(cells: Vec<(Cell, Code)>, redis: &mut impl AnyConnection) -> RedisResult<Vec<String>> {
    let (cells, codes): (Vec<Cell>, Vec<Code>) = cells.into_iter().unzip();
    let replies = send(cells.into_iter().map(Cell::read), redis).await?;
    replies.into_iter().zip(codes).map(|(reply, code)| code.decode(text(reply)?)).collect()
}

async fn send(
    commands: impl Iterator<Item = Cmd>,
    redis: &mut impl AnyConnection,
) -> RedisResult<Vec<Value>> {
    let mut pipeline = redis::pipe();
    commands.for_each(|command| _ = pipeline.add_command(command));
    if pipeline.is_empty() {
        return Ok(Vec::new());
    }
    pipeline.query_async(redis).await
}
