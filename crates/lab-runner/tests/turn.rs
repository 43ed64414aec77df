//! One run of the lessons at a time: what happens to a run whose turn has ended, because it stood still.

#![expect(clippy::unwrap_used, reason = "functions of a test, which clippy does not take for one")]

use std::future::pending;
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Target, TargetArgs};
use lab_runner::course::{self, Showing, Taught};
use lab_runner::{Lesson, Outcome, Page, Patience};
use redis::AsyncCommands;

const TURN: &str = "redis-lab:turn";
const SHOWING: Showing = Showing { list: false, json: true, no_pause: true };
const PATIENCE: Duration = Duration::from_mins(1);

static OVERTAKEN: Lesson = Lesson {
    name: "overtaken",
    title: "Overtaken",
    asks: "What if another run has begun?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(overtaken(page)),
};

static FORGOTTEN: Lesson = Lesson {
    name: "forgotten",
    title: "Forgotten",
    asks: "What if the turn has ended, and nobody took it?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(forgotten(page)),
};

static NEXT: Lesson = Lesson {
    name: "next",
    title: "Next",
    asks: "Is there a lesson afterwards?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(next(page)),
};

/// As another run takes the turn once it has ended. The lesson itself would go on for ever.
async fn overtaken(page: &mut Page) -> Outcome {
    let () = page.quietly().set(TURN, "another run").await?;
    pending().await
}

async fn forgotten(page: &mut Page) -> Outcome {
    let () = page.quietly().del(TURN).await?;
    let mut patience = Patience::of(PATIENCE);
    while !page.quietly().exists::<_, bool>(TURN).await? {
        patience.look_again("the turn is taken again").await?;
    }
    Ok(())
}

async fn next(page: &mut Page) -> Outcome {
    let () = page.quietly().set("written", "next").await?;
    Ok(())
}

async fn run(lessons: &[&'static Lesson]) -> (Target, Result<Vec<Taught>, lab_connection::Failure>) {
    let target = TargetArgs::private().open().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, course::teach(&target, lessons, SHOWING)).await;
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
        target.connection().mget(&[TURN, "written"]).await.unwrap();
    assert_eq!((holder.as_str(), written), ("another run", None), "nor is the other's turn ended");
}

#[tokio::test]
async fn a_turn_that_nobody_took_meanwhile_is_taken_again() {
    let (target, ended) = run(&[&FORGOTTEN, &NEXT]).await;
    assert!(ended.unwrap().iter().all(|lesson| lesson.outcome == "passed"));
    let (holder, written): (Option<String>, String) =
        target.connection().mget(&[TURN, "written"]).await.unwrap();
    assert_eq!((holder, written.as_str()), (None, "next"), "and is given back at the end");
}
