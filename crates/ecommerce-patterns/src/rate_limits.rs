//! How often may somebody do something, and what does each limiter let through?
//!
//! `cargo ecommerce rate-limits`

mod all_at_once;
mod endless;
mod first_window;
mod guess;
mod limiting;
mod logins;
mod traffic;

use lab_runner::{Comparison, Lesson, LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::limits::{Counting, Window};
use storefront::{Keys, StoreError};

pub use self::all_at_once::CountRequests;
pub use self::endless::StartWindow;
pub use self::guess::GuardLogin;
pub use self::limiting::{Limiting, Requests};
pub use self::traffic::{Measure, Traffic};
use crate::keys_on;

/// Four limiters on the same traffic, and failed logins.
pub static LESSON: Lesson = Lesson {
    name: "rate-limits",
    title: "Rate limits",
    asks: "How often may somebody do something, and what does each limiter let through?",
    teaches: &["INCR", "EXPIRE", "PTTL", "EVALSHA"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// Callers and requests of the comparison, so ten requests each.
const CALLERS: usize = 50;
const REQUESTS: usize = 500;
/// Seconds for which keys are left that would soon be gone.
const A_WHILE: i64 = 3_600;

async fn teach(page: &mut Page) -> Outcome {
    let keys = keys_on(page.target());
    let requests = Requests::new(&keys, CALLERS, REQUESTS);
    page.start_clean(&requests.keys()).await?;
    page.start_clean(&first_window::keys_of(&keys)).await?;
    page.start_clean(&all_at_once::keys_of(&keys)).await?;
    page.start_clean(&endless::keys_of(&keys)).await?;
    page.start_clean(&traffic::keys_of(&keys)).await?;
    page.start_clean(&logins::keys_of(&keys)).await?;

    all_at_once::ask_together(page, &keys).await?;
    endless::die_between(page, &keys).await?;
    first_window::use_up(page, &keys).await?;
    traffic::through_all(page, &keys).await?;
    compare(page, &requests).await?;
    logins::guess_passwords(page, &keys).await?;
    leave_for_insight(page, &keys).await
}

async fn leave_for_insight(page: &mut Page, keys: &Keys) -> Outcome {
    let window = keys.rate_limit(&first_window::caller(), &Window::minute());
    let (failed, block) = (keys.failed_login(logins::ADDRESS), keys.blocked_ip(logins::ADDRESS));
    page.say(
        "A minute's window and a block of four minutes end before one has opened Redis Insight. So that you find them there, \
         both get an hour.",
    );
    let mut redis = page.redis();
    // Again, should the machine be so slow that it is over already.
    page.quietly().set_nx(&window, 3).await?;
    let mut given = true;
    for key in [&window, &block] {
        given &= redis.expire(key, A_WHILE).await?;
    }
    page.keys([window, failed, block]);
    page.check("both are there for an hour", given)
}

async fn compare(page: &Page, requests: &Requests) -> Outcome {
    let counting = Counting::of_server(&mut page.quietly()).await?;
    page.say(format!(
        "What does it cost? {REQUESTS} requests of {CALLERS} callers, 50 at a time on one connection, all admitted, so that each \
         of them writes. The first row does nothing but count: the least that any limiter has to do. The second counts too, in \
         a script of one line: what it loses, any script loses before it has decided anything.",
    ));
    let approaches = Limiting::all(counting);
    page.compare(Comparison { title: "Limiters", approaches: &approaches, subject: requests }).await?;
    page.start_clean(&requests.keys()).await?;
    page.say(
        "So many at a time keep the server busy, and show what it works: INCR is cheaper than even an empty script, and each \
         command in a script costs about as much as INCR. A fixed window calls two, a counter and a bucket three, the log five. \
         One request by itself spends most of its time on the way, and there they are all alike: one round trip.",
    );
    page.say(
        "Rule: a fixed window where twice the limit at an edge does no harm; a token bucket for most else, as it is as small \
         and lets you choose the burst; the log where the promise is 'never more than N in any minute', and N is small.",
    );
    Ok(())
}

/// What a lesson ends with when the storefront could not do its work.
fn failed(error: StoreError) -> LessonError {
    match error {
        StoreError::Redis(error) => error.into(),
        other => LessonError::Check(other.to_string()),
    }
}

/// A limit that cannot be, which none of this lesson's is.
fn refused(error: &storefront::limits::LimitError) -> LessonError {
    LessonError::Check(error.to_string())
}
