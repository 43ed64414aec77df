//! Server B: reads a list from its tail in chunks, checks every number, and holds only a few chunks at a time.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::LessonError;
use lab_runner::table::thousands;
use redis::aio::ConnectionLike;
use redis::{RedisError, RedisResult};

use crate::keys::Keys;

/// Numbers in one reply.
pub const CHUNK: u64 = 1_000;
/// While one chunk is checked, the next ones are on their way.
const CHUNKS_IN_FLIGHT: usize = 4;
/// How many numbers Server B shows.
const SHOWN: usize = 10;

/// What Server B found: the numbers 1 to `length`, newest first, each in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many numbers there are.
    pub length: u64,
    /// The first ten, or fewer.
    pub first: Vec<u64>,
    /// How many Server A wrote, if it is done.
    pub promised: Option<u64>,
}

impl Found {
    /// Whether Server A is done, and all of the list is here.
    pub fn is_complete(&self) -> bool {
        self.promised == Some(self.length)
    }

    /// The first numbers as Python prints a list of strings.
    pub fn as_python(&self) -> String {
        let quoted: Vec<String> = self.first.iter().map(|number| format!("'{number}'")).collect();
        format!("[{}]", quoted.join(", "))
    }
}

/// Whether there is enough to read: Server A is done, or the list is as long as `expected`, or the key holds something else.
pub async fn is_ready(
    keys: &Keys,
    expected: Option<u64>,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<bool> {
    let count: Option<String> = redis::cmd("GET").arg(keys.biglist_count()).query_async(redis).await?;
    match redis::cmd("LLEN").arg(keys.biglist()).query_async::<u64>(redis).await {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(true),
        Ok(0) => Ok(false),
        length => {
            let length = length?;
            Ok(count.is_some() || expected.is_some_and(|expected| length >= expected))
        }
    }
}

/// Reads the whole list and checks it. It reads the count first: a replica receives the writes in order, so if the count is
/// there, the list is.
pub async fn read(
    keys: &Keys,
    redis: &mut (impl ConnectionLike + Clone + Send),
) -> Result<Found, LessonError> {
    let key = keys.biglist();
    let promised = redis::cmd("GET").arg(keys.biglist_count()).query_async(redis).await?;
    let length: u64 = match redis::cmd("LLEN").arg(&key).query_async(redis).await {
        Err(error) if error.code() == Some("WRONGTYPE") => {
            let kind: String = redis::cmd("TYPE").arg(&key).query_async(redis).await?;
            return Err(no_list(&key, &kind).into());
        }
        length => length?,
    };
    let chunks = (0..length.div_ceil(CHUNK)).map(|chunk| {
        let (key, mut redis, done) = (key.clone(), redis.clone(), chunk * CHUNK);
        async move {
            let numbers = from_tail(&key, done, CHUNK.min(length - done), &mut redis).await?;
            Ok::<_, RedisError>((done, numbers))
        }
    });
    let mut chunks = stream::iter(chunks).buffered(CHUNKS_IN_FLIGHT);
    let (mut found, mut newest) = (0, Vec::new());
    while let Some((done, numbers)) = chunks.try_next().await? {
        if let Some((place, &number)) = (done + 1..).zip(&numbers).find(|(place, number)| place != *number) {
            return Err(out_of_order(&key, place, number).into());
        }
        found += numbers.len() as u64;
        newest.extend(numbers);
        newest.drain(..newest.len().saturating_sub(SHOWN));
    }
    if length == 0 || found < length {
        return Err(missing(&key).into());
    }
    newest.reverse();
    Ok(Found { length, first: newest, promised })
}

/// The next `size` numbers after the `done` numbers that were read from the tail, oldest first. Indexes from the tail stay the
/// same when somebody pushes to the head.
pub async fn from_tail(
    key: &str,
    done: u64,
    size: u64,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<u64>> {
    let mut lrange = redis::cmd("LRANGE");
    lrange.arg(key).arg(format!("-{}", done + size)).arg(format!("-{}", done + 1));
    let mut numbers: Vec<u64> = lrange.query_async(redis).await?;
    numbers.reverse();
    Ok(numbers)
}

/// All numbers of a list, the oldest first, read in chunks.
pub async fn all(key: &str, redis: &mut (impl ConnectionLike + Send)) -> RedisResult<Vec<u64>> {
    let mut numbers = Vec::new();
    loop {
        let chunk = from_tail(key, numbers.len() as u64, CHUNK, redis).await?;
        let is_last = (chunk.len() as u64) < CHUNK;
        numbers.extend(chunk);
        if is_last {
            return Ok(numbers);
        }
    }
}

/// The failure of a list that is not complete; none if it is. `expected` comes from `--count`.
pub fn incomplete(key: &str, found: &Found, expected: Option<u64>) -> Option<Failure> {
    let length = thousands(found.length as f64);
    let why = match (found.promised, expected) {
        (Some(promised), _) if promised != found.length => {
            format!("It holds {length} numbers, and Server A wrote {}.", thousands(promised as f64))
        }
        (_, Some(expected)) if expected != found.length => {
            format!("It holds {length} numbers, and {} are expected.", thousands(expected as f64))
        }
        (None, None) => {
            format!("It holds {length} numbers so far, and Server A is not done.")
        }
        _ => return None,
    };
    let failure = Failure::new(Class::Declined, format!("'{key}' is not complete."), why)
        .try_next("wait for the end of server-a, then run server-b again")
        .try_next("INFO replication on a replica: master_link_status, and how far it is behind");
    Some(failure)
}

fn missing(key: &str) -> Failure {
    Failure::new(
        Class::Declined,
        format!("There is no list '{key}' here."),
        "Server A has not written it yet, or it wrote to another server, database, or prefix, or the replica has not received it.",
    )
    .try_next("biglist server-a, with this URL or that of its primary")
}

fn no_list(key: &str, kind: &str) -> Failure {
    Failure::new(
        Class::WrongType,
        format!("'{key}' is a {kind}, not a list."),
        "LRANGE reads only lists (WRONGTYPE). Somebody has put another value there.",
    )
    .try_next("biglist server-a, which removes it and writes the list")
    .try_next("another database with -n N, or --prefix NAME:")
}

fn out_of_order(key: &str, place: u64, number: u64) -> Failure {
    let (place, number) = (thousands(place as f64), thousands(number as f64));
    Failure::new(
        Class::CheckFailed,
        format!("'{key}' is out of order."),
        format!("Number {place} from the end is {number}; somebody else has written to the list."),
    )
    .try_next("biglist server-a, which writes it again")
}
