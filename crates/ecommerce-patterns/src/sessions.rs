//! How does a shop remember a visitor, for how long, and how does it forget one everywhere?
//!
//! `cargo ecommerce sessions`

mod damage;
mod login;
mod read;

use std::fmt::Display;
use std::time::Duration;

use crate::names::known;
use lab_runner::{Comparison, Lesson, LessonError, Outcome, Page};
use storefront::session::{FieldName, Sessions};
use storefront::{ItemExpiry, Keys, SessionId, UserId};

pub use self::read::{ReadSession, Visitors};

/// Sessions that slide, rotate and end everywhere.
pub static LESSON: Lesson = Lesson {
    name: "sessions",
    title: "Sessions",
    asks: "How does a shop remember a visitor, for how long, and how does it forget one everywhere?",
    teaches: &["EVALSHA", "HGETALL", "TTL", "ZRANGE", "ZCARD"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// How many sessions the comparison reads, and how many of them at a time.
const READS: usize = 200;
const AT_A_TIME: usize = 50;

async fn teach(page: &mut Page) -> Outcome {
    let keys = crate::keys_on(page.target());
    let visitors = Visitors::of(READS, AT_A_TIME, &keys);
    let abc123: SessionId = known("abc123");
    page.start_clean(&[keys.session(&abc123)]).await?;
    page.start_clean(&login::keys_of(&keys)).await?;
    login::clear(page, &keys).await?;
    page.start_clean(&damage::keys_of(&keys)).await?;
    page.start_clean(&visitors.keys()).await?;

    begin(page, &keys, &abc123).await?;
    damage::count(page, &keys).await?;
    login::log_in(page, &keys, &abc123).await?;
    login::log_out_everywhere(page, &keys).await?;
    compare(page, &visitors).await?;

    page.start_clean(&visitors.keys()).await?;
    page.keys([keys.session(&abc123), login::cart_of(&keys, &abc123), keys.user_sessions(login::user(1))]);
    Ok(())
}

async fn begin(page: &Page, keys: &Keys, abc123: &SessionId) -> Outcome {
    let mut redis = page.redis();
    let sudo: FieldName = known("sudo");
    let fields = [(known("currency"), "EUR"), (known("theme"), "dark")];
    let quiet = Sessions::new(page.quietly(), keys.clone());
    // So that the page shows what a call costs every day, not the first one, in which the server learns the script.
    quiet.begin_as(abc123, None, &fields).await.map_err(told)?;
    quiet.read(abc123).await.map_err(told)?;
    quiet.set(abc123, &sudo, "").await.map_err(told)?;
    quiet.log_out(abc123).await.map_err(told)?;

    page.say(
        "A session is a Hash that ends by itself. It begins with its TTL in one step, one script: first how many \
         keys and which, then the id, whose it is (nobody's yet: a guest), the idle time and the highest age in milliseconds, \
         two numbers that matter only for sessions of users, the fields. An id is 128 random bits, made by the shop's own program; only this one is called abc123, so that you find it.",
    );
    let sessions = Sessions::new(page.redis(), keys.clone()).with_field_expiry(field_expiry(page).await?);
    sessions.begin_as(abc123, None, &fields).await.map_err(told)?;
    let key = keys.session(abc123);
    let stored: Vec<(String, String)> = redis::cmd("HGETALL").arg(&key).query_async(&mut redis).await?;
    let ttl: i64 = redis::cmd("TTL").arg(&key).query_async(&mut redis).await?;
    page.check("four fields, and half an hour to live", stored.len() == 4 && (1_700..=1_800).contains(&ttl))?;

    page.say(
        "Every read lets it live on for the idle time: it slides. Up to ends_ms, when it is over however busy it is; a \
         session that is stolen is not stolen for ever. Looking and sliding is one round trip.",
    );
    redis::cmd("EXPIRE").arg(&key).arg(60).exec_async(&mut page.quietly()).await?;
    let read = sessions.read(abc123).await.map_err(told)?;
    let read = read.ok_or_else(|| LessonError::Check("the session is there".into()))?;
    page.check(
        "a minute was left, now it is half an hour again",
        read.expires_in > Duration::from_mins(29) && read.fields["theme"] == "dark",
    )?;

    page.say(
        "Some things should be forgotten earlier: that the password was entered a moment ago. A field of its own with a \
         deadline beside it; where the server can let single fields expire (HPEXPIREAT), it also frees them.",
    );
    sessions.set_for(abc123, &sudo, "yes", Duration::from_millis(20)).await.map_err(told)?;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let later = sessions.peek(abc123).await.map_err(told)?;
    page.check(
        "30 ms later the mark is over, the session is not",
        later.is_some_and(|session| !session.fields.contains_key("sudo") && session.fields.len() == 2),
    )
}

async fn compare(page: &Page, visitors: &Visitors) -> Outcome {
    page.say(format!(
        "What does it cost? {READS} reads, {AT_A_TIME} at a time over one connection. The floor is a plain GET. HGETALL \
         alone reads a session and lets it die; HGETALL and PEXPIRE slide it, and would make it live for ever. The script \
         does both and knows the highest age and the index.",
    ));
    let title = format!("Reading {READS} sessions, {AT_A_TIME} at a time");
    page.compare(Comparison { title: &title, approaches: &ReadSession::ALL, subject: visitors }).await
}

async fn field_expiry(page: &Page) -> Result<ItemExpiry, LessonError> {
    Ok(ItemExpiry::of_server(&mut page.quietly()).await?)
}

/// What went wrong, as the end of the lesson.
fn told(error: impl Display) -> LessonError {
    LessonError::Check(error.to_string())
}

fn user_id(number: u64) -> UserId {
    known(&number.to_string())
}
