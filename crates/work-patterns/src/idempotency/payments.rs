//! Copies of a payment at the same moment, and a payment whose worker dies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::{BoxError, labeled};
use patterns::once::{Begun, Once, Token};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

const REQUEST: &[u8] = b"pay 25.00 EUR";
/// How long a worker may take that dies.
const LEASE: Duration = Duration::from_millis(50);

labeled! {
    /// How a repeated request for a payment is recognized.
    pub enum Way {
        /// GET, and SET after the charge.
        GetAndSet => "GET, charge, SET",
        /// SET NX before the charge, without an answer.
        SetNx => "SET NX, charge",
        /// [`Once`].
        Record => "record with a lease",
    }
}

/// What became of the copies of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payments {
    /// How often the customer was charged.
    pub charges: usize,
    /// How many copies got the number of a charge.
    pub answers: usize,
}

/// The provider that charges, and counts.
#[derive(Default)]
struct Provider(AtomicUsize);

impl Provider {
    fn charge(&self) -> String {
        format!("charge {}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn key(target: &Target) -> Result<String, BoxError> {
    Ok(Once::new(target.connection(), target.prefix()).key("copies")?.as_str().to_owned())
}

/// Every key that this file writes.
pub(super) fn keys(target: &Target) -> Result<Vec<String>, BoxError> {
    Ok(vec![key(target)?])
}

/// Pays with so many copies at the same moment.
pub async fn pay_at_once(way: Way, target: &Target, copies: usize) -> Result<Payments, BoxError> {
    let (provider, barrier, key) = (Provider::default(), Barrier::new(copies), key(target)?);
    let once = Once::new(target.connection(), target.prefix());
    let pay = (0..copies).map(async |_| -> Result<Option<String>, BoxError> {
        let redis = target.connection();
        Ok(match way {
            Way::GetAndSet => Some(by_get_and_set(redis, &key, &provider, &barrier).await?),
            Way::SetNx => by_set_nx(redis, &key, &provider).await?,
            Way::Record => Some(by_record(&once, &provider).await?),
        })
    });
    let answers = try_join_all(pay.collect::<Vec<_>>()).await?;
    own_keys::unlink(&mut target.connection(), &keys(target)?).await?;
    let answers = answers.into_iter().flatten().count();
    Ok(Payments { charges: provider.0.into_inner(), answers })
}

/// A worker dies before it charges. The payment is sent again, and this returns how often the customer is charged.
pub async fn after_a_crash(way: Way, target: &Target) -> Result<usize, BoxError> {
    let (provider, key, mut redis) = (Provider::default(), key(target)?, target.connection());
    let once = Once::new(target.connection(), target.prefix());
    match way {
        Way::GetAndSet => drop(redis.get(&key).await?),
        Way::SetNx => drop(set_nx(&mut redis, &key).await?),
        Way::Record => {
            once.clone().with_lease(LEASE).begin("copies", &Token::random()?, REQUEST).await?;
        }
    }
    // The worker is dead. Here comes the retry.
    match way {
        Way::GetAndSet => drop(by_get_and_set(redis, &key, &provider, &Barrier::new(1)).await?),
        Way::SetNx => drop(by_set_nx(redis, &key, &provider).await?),
        Way::Record => drop(by_record(&once, &provider).await?),
    }
    own_keys::unlink(&mut target.connection(), &keys(target)?).await?;
    Ok(provider.0.into_inner())
}

async fn by_get_and_set(
    mut redis: Connection,
    key: &str,
    provider: &Provider,
    barrier: &Barrier,
) -> RedisResult<String> {
    let known = redis.get(key).await?;
    // All copies have read when the barrier opens.
    barrier.wait().await;
    if let Some(answer) = known {
        return Ok(answer);
    }
    let answer = provider.charge();
    redis.set(key, &answer).await?;
    Ok(answer)
}

/// `None` for a copy: there is no answer.
async fn by_set_nx(mut redis: Connection, key: &str, provider: &Provider) -> RedisResult<Option<String>> {
    let first = set_nx(&mut redis, key).await?;
    Ok(first.then(|| provider.charge()))
}

async fn set_nx(redis: &mut Connection, key: &str) -> RedisResult<bool> {
    let mut set = redis::cmd("SET");
    set.arg(key).arg("seen").arg("NX").arg("EX").arg(86_400);
    Ok(set.query_async::<Option<String>>(redis).await?.is_some())
}

async fn by_record(once: &Once<Connection>, provider: &Provider) -> Result<String, BoxError> {
    let token = Token::random()?;
    loop {
        match once.begin("copies", &token, REQUEST).await? {
            Begun::Started { .. } => {
                let answer = provider.charge();
                once.finish("copies", &token, REQUEST, answer.as_bytes()).await?;
                return Ok(answer);
            }
            Begun::InProgress { retry_in } => {
                tokio::time::sleep(retry_in.min(Duration::from_millis(10))).await;
            }
            Begun::Done(answer) => return Ok(String::from_utf8(answer)?),
        }
    }
}
