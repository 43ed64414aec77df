//! What happens to a run that was suspended for so long that its lock expired.

#![expect(clippy::unwrap_used, reason = "functions of a test, which clippy does not take for one")]

use std::future::pending;
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Target, TargetArgs};
use lab_runner::course::{self, LessonReport, OutputArgs};
use lab_runner::report::ReportArgs;
use lab_runner::{Lesson, LessonContext, LessonFuture, Outcome, Retry};
use redis::AsyncCommands;

const LOCK: &str = "redis-lab:run-lock";
const OUTPUT: OutputArgs = OutputArgs {
    list: false,
    json: true,
    no_pause: true,
    report: ReportArgs { report: None, compare: None },
};
const LIMIT: Duration = Duration::from_mins(1);

static OVERTAKEN: Lesson =
    lesson("overtaken", "What if another run has begun?", |ctx| Box::pin(overtaken(ctx)));
static FORGOTTEN: Lesson =
    lesson("forgotten", "What if the lock has expired, and nobody took it?", |ctx| Box::pin(forgotten(ctx)));
static NEXT: Lesson = lesson("next", "Does the next lesson run?", |ctx| Box::pin(next(ctx)));

const fn lesson(
    name: &'static str,
    question: &'static str,
    run: for<'a> fn(&'a mut LessonContext) -> LessonFuture<'a>,
) -> Lesson {
    Lesson {
        name,
        title: name,
        question,
        commands: &[],
        needs: &[],
        sources: &[],
        rule: "",
        takeaways: &[],
        quiz: &[],
        run,
    }
}

/// Does what another run does when the lock has expired. The lesson itself would never end.
async fn overtaken(ctx: &mut LessonContext) -> Outcome {
    let () = ctx.untraced("SET, DEL, EXISTS").set(LOCK, "another run").await?;
    pending().await
}

async fn forgotten(ctx: &mut LessonContext) -> Outcome {
    let () = ctx.untraced("SET, DEL, EXISTS").del(LOCK).await?;
    let mut retry = Retry::within(LIMIT);
    while !ctx.untraced("SET, DEL, EXISTS").exists::<_, bool>(LOCK).await? {
        retry.again("the lock is taken again").await?;
    }
    Ok(())
}

async fn next(ctx: &mut LessonContext) -> Outcome {
    let () = ctx.untraced("SET, DEL, EXISTS").set("written", "next").await?;
    Ok(())
}

async fn run(lessons: &[&'static Lesson]) -> (Target, Result<Vec<LessonReport>, lab_connection::Failure>) {
    let target = TargetArgs::private().open().await.unwrap();
    let ended = tokio::time::timeout(LIMIT, course::run(&target, lessons, lessons, &OUTPUT)).await;
    (target, ended.unwrap())
}

#[tokio::test]
async fn a_run_that_was_overtaken_ends_and_writes_nothing_more() {
    let (target, ended) = run(&[&OVERTAKEN, &NEXT]).await;
    let failure = ended.unwrap_err();
    assert_eq!(failure.class(), Class::Busy, "{failure}");
    assert!(failure.what().starts_with("Another run of the lessons has begun in database 0"), "{failure}");
    assert!(failure.next().iter().any(|step| step.contains("--prefix")), "{failure}");
    let (holder, written): (String, Option<String>) =
        target.connection().mget(&[LOCK, "written"]).await.unwrap();
    assert_eq!((holder.as_str(), written), ("another run", None), "the other run keeps its lock");
}

#[tokio::test]
async fn a_lock_that_expired_and_that_nobody_took_is_taken_again() {
    let (target, ended) = run(&[&FORGOTTEN, &NEXT]).await;
    assert!(ended.unwrap().iter().all(|lesson| lesson.outcome == "passed"));
    let (holder, written): (Option<String>, String) =
        target.connection().mget(&[LOCK, "written"]).await.unwrap();
    assert_eq!((holder, written.as_str()), (None, "next"), "it is released at the end");
}
