//! The ways to write many records.

mod content;
mod input;
mod kind;

use std::ops::RangeInclusive;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_connection::{Connection, Transcript};
use lab_runner::{AnyConnection, Source, source};
use redis::{ErrorKind, Pipeline, RedisError, RedisResult};

pub use self::input::{INSERT_USERS, Input};
pub use self::kind::Kind;
use crate::Timed;
use crate::people::{FIELDS, Record};
use crate::stored::batches;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/insert.rs");
/// Pipelines in flight when they overlap. A third would only wait in the server's buffers.
const PIPELINES_IN_FLIGHT: usize = 2;

/// How to write many records. A size of 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertMany {
    /// Send a command, wait for its reply, send the next.
    OneByOne {
        /// Only the first so many records, because this takes long.
        at_most: u64,
    },
    /// Many callers share one connection, which sends what it gets without waiting.
    Concurrent {
        /// Commands that wait for their reply at the same time.
        in_flight: u64,
    },
    /// Workers, each one by one on its own connection.
    Pool {
        /// How many workers. The input has as many connections.
        connections: u64,
    },
    /// One pipeline after the other.
    Pipelined {
        /// Records in a pipeline.
        depth: u64,
    },
    /// The next pipeline is sent before the last is answered.
    Overlapped {
        /// Records in a pipeline.
        depth: u64,
    },
    /// MULTI, the commands, EXEC, in one pipeline. On a cluster, only within a slot.
    Transaction {
        /// Records in a transaction.
        size: u64,
    },
    /// A script that writes many Hashes. On a cluster, only within a slot.
    Script {
        /// Users that one call writes.
        size: u64,
    },
    /// Commands that take many values: MSET, and LPUSH, SADD, ZADD with many members.
    Variadic {
        /// Records in a command.
        size: u64,
    },
}

impl InsertMany {
    /// How many records a run writes.
    pub fn records(self, records: u64) -> u64 {
        match self {
            Self::OneByOne { at_most } => records.min(at_most),
            _ => records,
        }
    }

    /// Timed: writes the records.
    pub fn run(self, input: &Input) -> Timed<'_, RedisResult<()>> {
        Box::pin(self.write(input))
    }

    /// Writes the records over connections that record what they send.
    pub fn run_traced(self, input: &Input<Transcript<Connection>>) -> Timed<'_, RedisResult<()>> {
        Box::pin(self.write(input))
    }

    async fn write<C: AnyConnection>(self, input: &Input<C>) -> RedisResult<()> {
        let records = self.records(input.records);
        match self {
            Self::OneByOne { .. } => one_by_one(input, records).await,
            Self::Concurrent { in_flight } => concurrent(input, size(in_flight)).await,
            Self::Pool { connections } => pool(input, size(connections)).await,
            Self::Pipelined { depth } => pipelined(input, depth).await,
            Self::Overlapped { depth } => overlapped(input, depth).await,
            Self::Transaction { size } => transaction(input, size).await,
            Self::Script { size } if input.kind == Kind::Users => script(input, size).await,
            Self::Script { .. } => Err(impossible("The script writes only users.")),
            Self::Variadic { size } => variadic(input, size).await,
        }
    }
}

async fn one_by_one<C: AnyConnection>(input: &Input<C>, records: u64) -> RedisResult<()> {
    let mut redis = input.redis.clone();
    for number in 1..=records {
        for command in input.commands(number) {
            command.exec_async(&mut redis).await?;
        }
    }
    Ok(())
}

/// Bounded, because a caller for every record would hold all of them in memory.
async fn concurrent<C: AnyConnection>(input: &Input<C>, in_flight: usize) -> RedisResult<()> {
    let commands = (1..=input.records).flat_map(|number| input.commands(number));
    let calls = commands.map(|command| {
        let mut redis = input.redis.clone();
        async move { command.exec_async(&mut redis).await }
    });
    stream::iter(calls).buffer_unordered(in_flight).try_collect().await
}

async fn pool<C: AnyConnection>(input: &Input<C>, connections: usize) -> RedisResult<()> {
    let Some(pool) = input.pool.get(..connections) else {
        return Err(impossible("The input has fewer connections than the pool."));
    };
    let workers = (1..).zip(pool).map(async |(first, redis)| {
        let mut redis = redis.clone();
        for number in (first..=input.records).step_by(connections) {
            for command in input.commands(number) {
                command.exec_async(&mut redis).await?;
            }
        }
        Ok::<_, RedisError>(())
    });
    try_join_all(workers).await?;
    Ok(())
}

async fn pipelined<C: AnyConnection>(input: &Input<C>, depth: u64) -> RedisResult<()> {
    let mut redis = input.redis.clone();
    for numbers in batches(input.records, depth) {
        let pipeline = pipeline(input, numbers);
        pipeline.exec_async(&mut redis).await?;
    }
    Ok(())
}

fn pipeline<C: AnyConnection>(input: &Input<C>, numbers: RangeInclusive<u64>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for command in numbers.flat_map(|number| input.commands(number)) {
        pipeline.add_command(command).ignore();
    }
    pipeline
}

/// In order, because a List has to get its values in order.
async fn overlapped<C: AnyConnection>(input: &Input<C>, depth: u64) -> RedisResult<()> {
    let pipelines = batches(input.records, depth).map(|numbers| {
        let pipeline = pipeline(input, numbers);
        let mut redis = input.redis.clone();
        async move { pipeline.exec_async(&mut redis).await }
    });
    stream::iter(pipelines).buffered(PIPELINES_IN_FLIGHT).try_collect().await
}

async fn transaction<C: AnyConnection>(input: &Input<C>, size: u64) -> RedisResult<()> {
    let mut redis = input.redis.clone();
    for numbers in batches(input.records, size) {
        let mut pipeline = pipeline(input, numbers);
        pipeline.atomic().exec_async(&mut redis).await?;
    }
    Ok(())
}

async fn script<C: AnyConnection>(input: &Input<C>, size: u64) -> RedisResult<()> {
    let mut redis = input.redis.clone();
    let mut record = Record::default();
    for numbers in batches(input.records, size) {
        let mut call = INSERT_USERS.prepare_invoke();
        call.arg(&FIELDS);
        for number in numbers {
            record.write(&input.people.user(number));
            call.key(input.keys.user(number));
            call.arg(&record.values());
        }
        call.invoke_async::<u64>(&mut redis).await?;
    }
    Ok(())
}

async fn variadic<C: AnyConnection>(input: &Input<C>, size: u64) -> RedisResult<()> {
    let mut redis = input.redis.clone();
    for numbers in batches(input.records, size) {
        input.commands_of_many(numbers).exec_async(&mut redis).await?;
    }
    Ok(())
}

fn size(number: u64) -> usize {
    usize::try_from(number.max(1)).unwrap_or(usize::MAX)
}

fn impossible(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, why))
}
