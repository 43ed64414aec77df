//! How does a shop remember a visitor, for how long, and how does it forget one everywhere?
//!
//! `cargo ecommerce sessions`

mod damage;
mod login;
mod read;

use std::fmt::Display;
use std::time::Duration;

use lab_runner::{Comparison, Lesson, LessonError, Outcome, Page};
use patterns::sessions::{self, Sessions};
use redis::aio::ConnectionLike;

pub use self::read::{ReadSession, Visitors};

/// Sessions that slide, rotate and end everywhere.
pub static LESSON: Lesson = Lesson {
    name: "sessions",
    title: "Sessions",
    asks: "How does a shop remember a visitor, for how long, and how does it forget one everywhere?",
    teaches: &["EVALSHA", "HGETALL", "PEXPIRE", "TTL", "ZRANGE", "ZCARD"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// The guest whose session and cart stay to be looked at.
const ABC123: &str = "abc123";

/// How many sessions the comparison reads, and how many of them at a time.
const READS: usize = 200;
const AT_A_TIME: usize = 50;

async fn teach(page: &mut Page) -> Outcome {
    let quiet = Sessions::new(page.quietly(), page.prefix());
    let abc123 = key_of(&quiet, ABC123)?;
    let visitors = Visitors::of(READS, AT_A_TIME, page.prefix())?;
    page.start_clean(std::slice::from_ref(&abc123)).await?;
    quiet.end_everywhere(login::USER).await.map_err(failed)?;
    page.start_clean(&login::keys(page)?).await?;
    page.start_clean(&damage::keys(page)?).await?;
    page.start_clean(visitors.keys()).await?;

    begin(page, &abc123).await?;
    damage::count(page).await?;
    login::log_in(page).await?;
    let last = login::log_out_everywhere(page).await?;
    compare(page, &visitors).await?;

    page.start_clean(visitors.keys()).await?;
    page.keys([abc123, login::cart_of_abc123(page)?, last]);
    Ok(())
}

async fn begin(page: &Page, abc123: &str) -> Outcome {
    let mut redis = page.redis();
    let fields = [("currency", "EUR"), ("theme", "dark")];
    // So that the page shows what a call costs every day, not the first one, in which the server learns the script.
    let quiet = Sessions::new(page.quietly(), page.prefix());
    quiet.begin_as(ABC123, &fields).await.map_err(failed)?;
    quiet.set(ABC123, &[("sudo", "")]).await.map_err(failed)?;
    quiet.end(ABC123).await.map_err(failed)?;

    page.say(
        "A session is a Hash that ends by itself. It begins with its TTL in one step, so no crash can leave a session without \
         one. That takes a script:",
    );
    show(page, "begin_guest", "");
    page.say(
        "The token that names a session is 130 random bits from the shop's own program. Only this one is called abc123, so that \
         you find it. The field :ends says when the session is over, however busy it is.",
    );
    let sessions = Sessions::new(page.redis(), page.prefix());
    sessions.begin_as(ABC123, &fields).await.map_err(failed)?;
    let stored: Vec<(String, String)> = redis::cmd("HGETALL").arg(abc123).query_async(&mut redis).await?;
    let ttl: i64 = redis::cmd("TTL").arg(abc123).query_async(&mut redis).await?;
    page.check(
        "three fields, and half an hour to live",
        stored.len() == 3 && (1_700..=1_800).contains(&ttl),
    )?;

    page.say(
        "Every read lets the session live on for the idle time: it slides, up to :ends. So a stolen session is not stolen \
         forever. Reading and sliding are plain commands in one pipeline. Once in ten seconds, the pipeline also asks for the \
         time of the server, whose clock decides.",
    );
    redis::cmd("EXPIRE").arg(abc123).arg(60).exec_async(&mut page.quietly()).await?;
    let read = sessions.read(ABC123).await.map_err(failed)?;
    let read = read.ok_or_else(|| LessonError::Check("the session is there".into()))?;
    page.check(
        "a minute was left, now it is half an hour again",
        read.expires_in > Duration::from_mins(29) && read.fields["theme"] == "dark",
    )?;

    page.say(
        "Some things should be forgotten earlier, such as that the password was entered a moment ago. Such a field has its \
         deadline beside it, and the next change of the session frees what is over.",
    );
    sessions.set_for(ABC123, "sudo", "yes", Duration::from_millis(20)).await.map_err(failed)?;
    tokio::time::sleep(Duration::from_millis(40)).await;
    let later = sessions.peek(ABC123).await.map_err(failed)?;
    page.check(
        "40 ms later the mark is over, the session is not",
        later.is_some_and(|session| !session.fields.contains_key("sudo") && session.fields.len() == 2),
    )
}

async fn compare(page: &Page, visitors: &Visitors) -> Outcome {
    page.say(format!(
        "What does it cost? {READS} reads, {AT_A_TIME} at a time over one connection. The baseline is a plain GET. HGETALL alone \
         reads a session and lets it die. HGETALL and PEXPIRE slide it, but by hand they would let it live forever. \
         Sessions::read sends the same two commands, and compares :ends with the time.",
    ));
    let title = format!("Reading {READS} sessions, {AT_A_TIME} at a time");
    page.compare(Comparison { title: &title, approaches: &ReadSession::ALL, subject: visitors }).await
}

/// Shows the source of a script, from these words on: the page needs what the scripts share only once.
fn show(page: &Page, script: &str, from: &str) {
    if let Some((_, script)) = sessions::scripts().into_iter().find(|(name, _)| *name == script) {
        let source = script.source();
        page.listing(source.find(from).map_or(source, |start| &source[start..]));
    }
}

/// The key of a session.
fn key_of<C: ConnectionLike + Clone>(sessions: &Sessions<C>, token: &str) -> Result<String, LessonError> {
    sessions.key(token).map_err(failed)?.ok_or_else(|| LessonError::Check("it is a token".into()))
}

/// What went wrong, as the end of the lesson.
fn failed(error: impl Display) -> LessonError {
    LessonError::Check(error.to_string())
}
