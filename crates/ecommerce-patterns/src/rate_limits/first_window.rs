//! A fixed window, command by command.

use lab_runner::{LessonError, Need, Outcome, Page};
use redis::AsyncTypedCommands;
use redis::aio::ConnectionLike;
use storefront::limits::{Algorithm, Counting, Limit, Limiter, Window};
use storefront::{ApiKey, Keys};

use super::{failed, refused};
use crate::names::known;

/// The requests that the caller has in a minute.
const MOST: u32 = 3;

const INCREX: Need = Need { command: "INCREX", had_by: "Redis 8.8 or Valkey 9.2" };

/// The caller of the seeds' key `rate_limit:api_key:minute`.
pub(super) fn caller() -> ApiKey {
    known("api_key")
}

fn other_caller() -> ApiKey {
    known("other_key")
}

/// The keys that this part writes.
pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    [caller(), other_caller()].map(|caller| keys.rate_limit(&caller, &Window::minute())).to_vec()
}

fn limiter<C: ConnectionLike + Clone>(connection: C, keys: &Keys) -> Result<Limiter<C>, LessonError> {
    Limit::new(MOST, Window::minute())
        .and_then(|limit| Limiter::new(connection, keys.clone(), limit, Algorithm::FixedWindow))
        .map_err(|error| refused(&error))
}

pub(super) async fn use_up(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "So a limiter is one script: it reads the counter, refuses or counts, and the SET that makes the counter gives it its \
         TTL. It answers with what remains. The window begins with the first request and ends with the key; nobody's clock but \
         the server's has a say. Here somebody may ask {MOST} times a minute:",
    ));
    // The server learns the script, so that the page shows one command for each request.
    let quiet = limiter(page.quietly(), keys)?;
    let _ = quiet.admit(&other_caller()).await.map_err(failed)?;
    page.start_clean(&keys_of(keys)).await?;

    let traced = limiter(page.redis(), keys)?;
    let mut admissions = Vec::new();
    for _ in 0..=MOST {
        admissions.push(traced.admit(&caller()).await.map_err(failed)?);
    }
    let remaining: Vec<u32> = admissions.iter().map(|admission| admission.remaining).collect();
    page.check_eq("two more, one more, none, refused", &remaining, &vec![2, 1, 0, 0])?;
    page.say(
        "The refusal says how many microseconds are left of the window. The header Retry-After takes whole seconds: divide, \
         and round up. It has written nothing: who keeps knocking makes his wait no longer, and costs no replication.",
    );
    let told = admissions.last().is_some_and(|last| !last.admitted && last.retry_after.is_some());
    page.check("the fourth is refused, and told how long to wait", told)?;
    let key = keys.rate_limit(&caller(), &Window::minute());
    let mut redis = page.redis();
    let counted = redis.get(&key).await?;
    let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await?;
    page.check("three were counted, and most of the minute is left", counted.as_deref() == Some("3"))?;
    page.check("the key ends with its window", (50_000..=60_000).contains(&left))?;
    increx(page, keys).await
}

/// The same in one command, where there is one.
async fn increx(page: &Page, keys: &Keys) -> Outcome {
    page.say(
        "INCREX does the same in one command: INCREX key BYINT 1 UBOUND 3 PX 60000 ENX counts up to a bound, and gives a TTL to a key \
         that has none. The limiter asks the server with COMMAND INFO and uses it where it can.",
    );
    let counting = Counting::of_server(&mut page.redis()).await?;
    if counting == Counting::Script {
        page.skip(INCREX);
        return Ok(());
    }
    let limiter = limiter(page.redis(), keys)?.with_counting(counting);
    let admission = limiter.admit(&other_caller()).await.map_err(failed)?;
    page.check(
        "INCREX admits the first as the script does",
        (admission.admitted, admission.remaining) == (true, MOST - 1),
    )?;
    page.start_clean(&[keys.rate_limit(&other_caller(), &Window::minute())]).await
}
