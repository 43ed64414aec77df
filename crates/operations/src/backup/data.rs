//! Keys of every type and encoding.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};

use crate::private::knows;

/// What the names of all these keys begin with.
pub const PREFIX: &str = "shop:";
/// Keys in a pipeline.
const BATCH: usize = 1_000;
/// Kinds of keys that [`add`] knows.
const KINDS: usize = 11;

/// Writes so many keys, of every type in turn. Every third key has a TTL.
pub async fn write(redis: &mut MultiplexedConnection, keys: usize) -> RedisResult<()> {
    let field_ttl = knows("HPEXPIRE", redis).await?;
    let numbers: Vec<usize> = (0..keys).collect();
    for numbers in numbers.chunks(BATCH) {
        let mut pipe = redis::pipe();
        for &number in numbers {
            let key = format!("{PREFIX}{number}");
            add(&mut pipe, &key, number, field_ttl);
            if number % 3 == 0 {
                pipe.expire(&key, 1_000 + i64::try_from(number).unwrap_or(0)).ignore();
            }
        }
        pipe.exec_async(redis).await?;
    }
    Ok(())
}

/// One key in fifty is too large for the packed encoding of its type.
fn add(pipe: &mut Pipeline, key: &str, number: usize, field_ttl: bool) {
    let elements = if (number / KINDS).is_multiple_of(50) { 600 } else { 5 };
    let texts = || (0..elements).map(move |element| format!("element {element} of {number}"));
    let pairs = || texts().map(|text| (text, number)).collect::<Vec<_>>();
    match number % KINDS {
        0 => pipe.set(key, number),
        1 => pipe.set(key, format!("a text that is longer than forty-four bytes: {number}")),
        2 => pipe.rpush(key, texts().collect::<Vec<_>>()),
        3 => pipe.sadd(key, (0..elements).collect::<Vec<_>>()),
        4 => pipe.sadd(key, texts().collect::<Vec<_>>()),
        5 => pipe.hset_multiple(key, &pairs()),
        6 => {
            pipe.zadd_multiple(key, &texts().zip(0..).map(|(text, score)| (score, text)).collect::<Vec<_>>())
        }
        7 => stream(pipe, key, elements),
        8 => pipe.pfadd(key, texts().collect::<Vec<_>>()),
        9 => pipe.setbit(key, number % 5_000, true),
        _ => {
            pipe.hset_multiple(key, &[("user", number), ("items", 3)]);
            if field_ttl {
                let fields = pipe.cmd("HPEXPIRE").arg(key).arg(3_600_000);
                fields.arg("FIELDS").arg(1).arg("items");
            }
            pipe
        }
    };
}

/// A Stream with a consumer group, of which one consumer has an entry that is not acknowledged.
fn stream<'a>(pipe: &'a mut Pipeline, key: &str, entries: usize) -> &'a mut Pipeline {
    for entry in 1..=entries {
        pipe.cmd("XADD").arg(key).arg(format!("1-{entry}")).arg("event").arg("paid");
    }
    pipe.cmd("XGROUP").arg("CREATE").arg(key).arg("workers").arg(0);
    pipe.cmd("XREADGROUP").arg("GROUP").arg("workers").arg("worker 1").arg("COUNT").arg(1);
    pipe.arg("STREAMS").arg(key).arg(">")
}
