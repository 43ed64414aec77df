//! redis-rs: pipelines of several depths, made while they are sent.

use redis::{Pipeline, RedisError, RedisResult};

use crate::peers::fixtures::Fixtures;
use crate::people::{FIELDS, Record};

/// One pipeline after the other: the next is made when the last is answered.
pub(crate) async fn pipelines(fixtures: &Fixtures, depth: u64) -> RedisResult<()> {
    let mut connection = fixtures.target.dedicated().await?;
    let mut first = 1;
    while first <= fixtures.records {
        pipeline(fixtures, first, depth).exec_async(&mut connection).await?;
        first += depth;
    }
    Ok(())
}

/// The next pipeline is made and sent before the last is answered, so that neither side waits for the other.
pub(crate) async fn overlapped(fixtures: &Fixtures, depth: u64) -> RedisResult<()> {
    let connection = fixtures.target.dedicated().await?;
    let mut last = None;
    let mut first = 1;
    while first <= fixtures.records {
        let pipeline = pipeline(fixtures, first, depth);
        let mut shared = connection.clone();
        let sent = tokio::spawn(async move { pipeline.exec_async(&mut shared).await });
        if let Some(last) = last.replace(sent) {
            answered(last).await?;
        }
        first += depth;
    }
    match last {
        Some(last) => answered(last).await,
        None => Ok(()),
    }
}

async fn answered(sent: tokio::task::JoinHandle<RedisResult<()>>) -> RedisResult<()> {
    sent.await.unwrap_or_else(|error| Err(RedisError::from(std::io::Error::other(error))))
}

fn pipeline(fixtures: &Fixtures, first: u64, depth: u64) -> Pipeline {
    let commands = depth.min(fixtures.records + 1 - first);
    let mut pipeline = Pipeline::with_capacity(usize::try_from(commands).unwrap_or_default());
    let mut record = Record::default();
    let mut key = Vec::new();
    for number in first..first + commands {
        record.write(&fixtures.people.user(number));
        key.clear();
        fixtures.keys.push_user(&mut key, number);
        let command = pipeline.cmd("HSET").arg(&key[..]);
        for (field, value) in FIELDS.iter().zip(record.values()) {
            command.arg(field).arg(value);
        }
        command.ignore();
    }
    pipeline
}
