//! How does a shop remember a visitor, for how long, and how does it forget one everywhere?
//!
//! `cargo ecommerce sessions`

mod damage;
mod login;
mod read;

use std::fmt::Display;
use std::time::Duration;

use lab_runner::{Comparison, Lesson, LessonContext, LessonError, Outcome};
use patterns::sessions::{self, Sessions};
use redis::aio::ConnectionLike;

pub use self::read::{ReadSession, Visitors};

/// Sessions that slide, rotate and end everywhere.
pub static LESSON: Lesson = Lesson {
    name: "sessions",
    title: "Sessions",
    question: "How does a shop remember a visitor, for how long, and how does it forget one everywhere?",
    commands: &["EVALSHA", "HGETALL", "PEXPIRE", "TTL", "ZRANGE", "ZCARD"],
    needs: &[],
    sources: &[lab_runner::source!("src/sessions.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// The guest whose session and cart stay to be looked at.
const ABC123: &str = "abc123";

/// How many sessions the comparison reads, and how many of them at a time.
const READS: usize = 200;
const MAX_IN_FLIGHT: usize = 50;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let quiet = Sessions::new(ctx.untraced("TODO"), ctx.prefix());
    let abc123 = key_of(&quiet, ABC123)?;
    let visitors = Visitors::of(READS, MAX_IN_FLIGHT, ctx.prefix())?;
    ctx.start_clean(std::slice::from_ref(&abc123)).await?;
    quiet.end_everywhere(login::USER).await.map_err(failed)?;
    ctx.start_clean(&login::keys(ctx)?).await?;
    ctx.start_clean(&damage::keys(ctx)?).await?;
    ctx.start_clean(visitors.keys()).await?;

    begin(ctx, &abc123).await?;
    damage::count(ctx).await?;
    login::log_in(ctx).await?;
    let last = login::log_out_everywhere(ctx).await?;
    compare(ctx, &visitors).await?;

    ctx.start_clean(visitors.keys()).await?;
    ctx.keys([abc123, login::cart_of_abc123(ctx)?, last]);
    Ok(())
}

async fn begin(ctx: &LessonContext, abc123: &str) -> Outcome {
    let mut redis = ctx.redis();
    let fields = [("currency", "EUR"), ("theme", "dark")];
    // So that the page shows what a call costs every day, not the first one, in which the server learns the script.
    let quiet = Sessions::new(ctx.untraced("TODO"), ctx.prefix());
    quiet.begin_as(ABC123, &fields).await.map_err(failed)?;
    quiet.set(ABC123, &[("sudo", "")]).await.map_err(failed)?;
    quiet.end(ABC123).await.map_err(failed)?;

    ctx.step(
        "A session is a Hash that ends by itself. It begins with its TTL in one step, so no crash can leave a session without \
         one. That takes a script:",
    ).await?;
    show(ctx, "begin_guest", "");
    ctx.step(
        "The token that names a session is 130 random bits from the shop's own program. Only this one is called abc123, so that \
         you find it. The field :ends says when the session is over, however busy it is.",
    ).await?;
    let sessions = Sessions::new(ctx.redis(), ctx.prefix());
    sessions.begin_as(ABC123, &fields).await.map_err(failed)?;
    let stored: Vec<(String, String)> = redis::cmd("HGETALL").arg(abc123).query_async(&mut redis).await?;
    let ttl: i64 = redis::cmd("TTL").arg(abc123).query_async(&mut redis).await?;
    ctx.check("three fields, and half an hour to live", stored.len() == 3 && (1_700..=1_800).contains(&ttl))?;

    ctx.step(
        "Every read lets the session live on for the idle time: it slides, up to :ends. So a stolen session is not stolen \
         forever. Reading and sliding are plain commands in one pipeline. Once in ten seconds, the pipeline also asks for the \
         time of the server, whose clock decides.",
    ).await?;
    redis::cmd("EXPIRE").arg(abc123).arg(60).exec_async(&mut ctx.untraced("TODO")).await?;
    let read = sessions.read(ABC123).await.map_err(failed)?;
    let read = read.ok_or_else(|| LessonError::Check("the session is there".into()))?;
    ctx.check(
        "a minute was left, now it is half an hour again",
        read.expires_in > Duration::from_mins(29) && read.fields["theme"] == "dark",
    )?;

    ctx.step(
        "Some things should be forgotten earlier, such as that the password was entered a moment ago. Such a field has its \
         deadline beside it, and the next change of the session frees what is over.",
    ).await?;
    sessions.set_for(ABC123, "sudo", "yes", Duration::from_millis(20)).await.map_err(failed)?;
    tokio::time::sleep(Duration::from_millis(40)).await;
    let later = sessions.peek(ABC123).await.map_err(failed)?;
    ctx.check(
        "40 ms later the mark is over, the session is not",
        later.is_some_and(|session| !session.fields.contains_key("sudo") && session.fields.len() == 2),
    )
}

async fn compare(ctx: &LessonContext, visitors: &Visitors) -> Outcome {
    ctx.step(format!(
        "What does it cost? {READS} reads, {MAX_IN_FLIGHT} at a time over one connection. The baseline is a plain GET. HGETALL alone \
         reads a session and lets it die. HGETALL and PEXPIRE slide it, but by hand they would let it live forever. \
         Sessions::read sends the same two commands, and compares :ends with the time.",
    )).await?;
    let title = format!("Reading {READS} sessions, {MAX_IN_FLIGHT} at a time");
    ctx.compare(Comparison { title: &title, approaches: &ReadSession::ALL, input: visitors }).await
}

/// Shows the source of a script, from these words on: the page needs what the scripts share only once.
fn show(ctx: &LessonContext, script: &str, from: &str) {
    if let Some((_, script)) = sessions::scripts().into_iter().find(|(name, _)| *name == script) {
        let source = script.source();
        ctx.listing(source.find(from).map_or(source, |start| &source[start..]));
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
