//! How often may somebody do something, and what does each limiter let through?
//!
//! `cargo ecommerce rate-limits`

mod all_at_once;
mod endless;
mod first_window;
mod guess;
mod limiting;
mod logins;
mod recorded_clock;
mod traffic;

use std::time::Duration;

use lab_connection::Target;
use lab_runner::{Comparison, Lesson, LessonContext, LessonError, Outcome};
use patterns::limit::{Algorithm, Decision, IfUnreachable, Limit, LimitError, Limiter};
use patterns::script::StoreError;
use redis::aio::ConnectionLike;
use redis::{AsyncTypedCommands, RedisResult, Value};

pub use self::all_at_once::CountRequests;
pub use self::endless::StartWindow;
pub use self::guess::GuardLogin;
pub use self::limiting::{Limiting, Requests};
pub use self::traffic::{Measure, Replayed, Traffic};

/// Four limiters on the same traffic, and failed logins.
pub static LESSON: Lesson = Lesson {
    name: "rate-limits",
    title: "Rate limits",
    question: "How often may somebody do something, and what does each limiter let through?",
    commands: &["INCR", "EXPIRE", "PTTL", "EVALSHA"],
    needs: &[],
    sources: &[lab_runner::source!("src/rate_limits.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

const MINUTE: Duration = Duration::from_mins(1);
/// Callers and requests of the comparison, so ten requests each.
const CALLERS: usize = 50;
const REQUESTS: usize = 500;
/// Seconds for which keys are left that would soon be gone.
const A_WHILE: i64 = 3_600;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let target = ctx.target().clone();
    let requests = Requests::new(target.prefix(), CALLERS, REQUESTS);
    ctx.start_clean(&requests.keys()).await?;
    ctx.start_clean(&first_window::keys_of(&target)).await?;
    ctx.start_clean(&all_at_once::keys_of(&target)).await?;
    ctx.start_clean(&endless::keys_of(&target)).await?;
    ctx.start_clean(&traffic::keys_of(&target)).await?;
    ctx.start_clean(&logins::keys_of(&target)?).await?;

    all_at_once::ask_together(ctx, &target).await?;
    endless::die_between(ctx, &target).await?;
    first_window::use_up(ctx, &target).await?;
    traffic::through_all(ctx, &target).await?;
    compare(ctx, &requests).await?;
    logins::guess_passwords(ctx, &target).await?;
    leave_for_insight(ctx, &target).await
}

async fn leave_for_insight(ctx: &LessonContext, target: &Target) -> Outcome {
    let window = key_of(target.prefix(), first_window::CALLER, "minute");
    let guard = logins::keys_of_address(target)?;
    ctx.step(
        "A minute's window and a pause of four minutes end before you have opened Redis Insight. So that you find them there, \
         they get an hour.",
    ).await?;
    let mut redis = ctx.redis();
    // Again, should the machine be so slow that it is over already.
    ctx.untraced("TODO").set_nx(&window, 3).await?;
    let mut given = true;
    for key in [&window, &guard.block, &guard.published] {
        given &= redis.expire(key, A_WHILE).await?;
    }
    ctx.keys([window, guard.attempts, guard.block, guard.published]);
    ctx.check("all are there for an hour", given)
}

async fn compare(ctx: &LessonContext, requests: &Requests) -> Outcome {
    let increx = has_increx(&mut ctx.untraced("TODO")).await?;
    ctx.step(format!(
        "What does it cost? {REQUESTS} requests of {CALLERS} callers, 50 at a time on one connection, all admitted, so that each \
         of them writes. The first row only counts: the least that any limiter has to do. The second counts in a script of one \
         line: what it loses, every script loses before it has decided anything.",
    )).await?;
    let approaches = Limiting::all(increx);
    ctx.compare(Comparison { title: "Limiters", approaches: &approaches, input: requests }).await?;
    ctx.start_clean(&requests.keys()).await?;
    ctx.step(
        "So many at a time keep the server busy, and show what it works. INCR is cheaper than even an empty script, and each \
         command in a script costs about as much as INCR. A fixed window, a counter, and a bucket call three, the log some \
         more. A single request spends most of its time on the way, and there they are all alike: one round trip.",
    ).await?;
    ctx.step(
        "Rule: a fixed window where twice the limit at an edge does no harm; a token bucket for most else, as it is as small \
         and lets you choose the burst; the log where the promise is 'never more than N in any minute', and N is small.",
    ).await?;
    Ok(())
}

/// Whether the server has INCREX. One round trip.
async fn has_increx(redis: &mut impl ConnectionLike) -> RedisResult<bool> {
    let known: Vec<Value> = redis::cmd("COMMAND").arg("INFO").arg("INCREX").query_async(redis).await?;
    Ok(known.first().is_some_and(|info| !matches!(info, Value::Nil)))
}

/// The key of a limit that is its limiter's first.
fn key_of(prefix: &str, caller: &str, limit: &str) -> String {
    let key = patterns::key::Key::new(prefix, "rate_limit", &[caller, limit]);
    // The command line takes no prefix with braces, and all callers and limits are written in this lesson.
    key.map_or_else(|error| unreachable!("{error}"), |key| key.as_str().to_owned())
}

/// A limiter with one limit. The lesson needs Redis, so nothing is admitted without it.
fn limiter<C: ConnectionLike + Clone, A: Algorithm>(
    connection: C,
    prefix: &str,
    limit: Limit,
) -> Result<Limiter<C, A>, LessonError> {
    Limiter::new(connection, prefix, &[limit], IfUnreachable::Refuse).map_err(|error| refused(&error))
}

/// A request of this caller.
async fn admit<C: ConnectionLike + Clone, A: Algorithm>(
    limiter: &Limiter<C, A>,
    caller: &str,
) -> Result<Decision, LessonError> {
    let decision = limiter.admit(caller).await.map_err(failed)?;
    match decision.unreachable {
        Some(error) => Err(error.into()),
        None => Ok(decision),
    }
}

/// What a lesson ends with when a pattern could not do its work.
fn failed(error: StoreError) -> LessonError {
    match error {
        StoreError::Redis(error) => error.into(),
        other => LessonError::Check(other.to_string()),
    }
}

/// A limit that cannot be, which none of this lesson's is.
fn refused(error: &LimitError) -> LessonError {
    LessonError::Check(error.to_string())
}
