//! Reading back and removing what a peer wrote: after every turn, so it must not take longer than the turns. One pipeline
//! is on the way while the last one is added up.

use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisError, RedisResult, Value};
use tokio::task::JoinHandle;

use crate::keys::Keys;
use crate::peers::fixtures::BATCH;
use crate::people::FIELDS;
use crate::stored::Content;

type Batch = JoinHandle<RedisResult<Vec<Value>>>;

/// The same as [`Content::of_users`].
pub(crate) async fn content<C>(keys: &Keys, records: u64, connection: &C) -> RedisResult<Content>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    let mut content = Content::default();
    let mut asked: Option<(u64, Batch)> = None;
    for first in (1..=records).step_by(BATCH) {
        let mut pipeline = Pipeline::with_capacity(BATCH);
        for number in first..=records.min(first + BATCH as u64 - 1) {
            pipeline.cmd("HGETALL").arg(keys.user(number));
        }
        let mut shared = connection.clone();
        let batch = tokio::spawn(async move { pipeline.query_async(&mut shared).await });
        if let Some(answered) = asked.replace((first, batch)) {
            add(&mut content, answered).await?;
        }
    }
    if let Some(answered) = asked {
        add(&mut content, answered).await?;
    }
    Ok(content)
}

async fn add(content: &mut Content, (first, batch): (u64, Batch)) -> RedisResult<()> {
    let users = batch.await.unwrap_or_else(|error| Err(RedisError::from(std::io::Error::other(error))))?;
    for (number, user) in (first..).zip(&users) {
        let pairs = pairs(user);
        if !pairs.is_empty() {
            content.add(number, &in_order(pairs));
        }
    }
    Ok(())
}

/// A missing field counts as empty; a field that does not belong there comes behind the others.
fn in_order<'a>(pairs: Vec<(&'a [u8], &'a [u8])>) -> Vec<&'a [u8]> {
    if pairs.len() == FIELDS.len()
        && pairs.iter().zip(FIELDS).all(|((name, _), field)| *name == field.as_bytes())
    {
        return pairs.into_iter().map(|(_, value)| value).collect();
    }
    let value = |field: &&str| {
        pairs.iter().find(|(name, _)| *name == field.as_bytes()).map_or(&b""[..], |pair| pair.1)
    };
    let mut values: Vec<&[u8]> = FIELDS.iter().map(value).collect();
    let mut foreign: Vec<_> =
        pairs.iter().filter(|(name, _)| FIELDS.iter().all(|field| *name != field.as_bytes())).collect();
    foreign.sort();
    values.extend(foreign.into_iter().flat_map(|(name, value)| [*name, *value]));
    values
}

/// HGETALL answers with a list in RESP2 and with a map in RESP3.
fn pairs(user: &Value) -> Vec<(&[u8], &[u8])> {
    match user {
        Value::Array(items) => items.chunks_exact(2).map(|pair| (bytes(&pair[0]), bytes(&pair[1]))).collect(),
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (bytes(name), bytes(value))).collect(),
        _ => Vec::new(),
    }
}

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use lab_connection::TargetArgs;

    use super::*;
    use crate::people::People;
    use crate::stored::write_users;

    #[tokio::test(flavor = "multi_thread")]
    async fn it_reads_what_the_plain_way_reads() {
        const RECORDS: u64 = 2_500;
        let (keys, people) = (Keys::new("lab:"), People::new());
        for cluster in [false, true] {
            let target = TargetArgs { cluster, ..TargetArgs::private() }.open().await.unwrap();
            let mut connection = target.connection();
            write_users(&keys, &people, RECORDS, &mut connection).await.unwrap();
            let all = content(&keys, RECORDS, &connection).await.unwrap();
            assert_eq!(all, Content::expected(&people, RECORDS));

            let mut change = redis::pipe();
            // Gone; a field less; two more, in the wrong order; the same fields in another order; another's values.
            change.del(keys.user(1)).hdel(keys.user(2), "age").del(keys.user(4)).del(keys.user(2_500));
            change.hset(keys.user(3), "z", "1").hset(keys.user(3), "nickname", "2");
            for (field, value) in FIELDS.iter().zip(people.user(4).values()).rev() {
                change.hset(keys.user(4), *field, value);
            }
            for (field, value) in FIELDS.iter().zip(people.user(6).values()) {
                change.hset(keys.user(5), *field, value);
            }
            change.exec_async(&mut connection).await.unwrap();

            let changed = content(&keys, RECORDS, &connection).await.unwrap();
            assert_eq!(changed, Content::of_users(&keys, RECORDS, &mut connection).await.unwrap());
            assert_eq!(changed.records, RECORDS - 2);
            assert_ne!(changed.digest, all.digest);
        }
    }
}
