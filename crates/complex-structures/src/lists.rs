//! How does one keep what is latest, and hand out work without losing any?
//!
//! `cargo complex lists`

mod delivery;
mod push_many;
mod queue;
mod queue_strategy;
mod reliable;
mod waiting;
mod worker_pool;

use lab_runner::{Comparison, Lesson, LessonContext, Need, Outcome};
use redis::AsyncTypedCommands;

pub use self::delivery::Delivered;
pub use self::push_many::{Items, PushMany};
pub use self::queue_strategy::QueueStrategy;
use crate::keys::Keys;

/// Feeds, queues and stacks; waiting for work, and a queue that loses none.
pub static LESSON: Lesson = Lesson {
    name: "lists",
    title: "Lists",
    question: "How does one keep what is latest, and hand out work without losing any?",
    commands: &["LPUSH", "LRANGE", "LTRIM", "LLEN", "RPOP", "LPOP", "BLPOP", "BLMOVE", "LREM", "EVALSHA"],
    // BLMOVE and LMOVE came with Redis 6.2.
    needs: &[Need { command: "BLMOVE", available_in: "--server valkey-9.1" }],
    sources: &[lab_runner::source!("src/lists.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many entries the feed keeps.
const CAP: usize = 20;
/// How many things happen.
const EVENTS: usize = 75;
/// How many items the comparison pushes.
const ITEMS: usize = 300;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    ctx.start_clean(&[keys.feed(), keys.untrimmed_feed(), keys.support_queue(), keys.undo_stack()]).await?;
    ctx.start_clean(&waiting::keys_of(&keys)).await?;

    keep_a_feed(ctx, &keys).await?;
    queue_and_stack(ctx, &keys).await?;
    waiting::run(ctx, &keys).await?;
    reliable::run(ctx, &keys).await?;
    compare(ctx, &keys).await?;

    let queues = QueueStrategy::ALL.map(|strategy| keys.receipts(strategy.name()));
    ctx.keys(
        [keys.feed(), keys.support_queue(), keys.jobs("orders"), keys.bulk_queue()].into_iter().chain(queues),
    );
    Ok(())
}

async fn keep_a_feed(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (feed, untrimmed) = (keys.feed(), keys.untrimmed_feed());

    ctx.step(
        "A list is a row of texts with two ends. LPUSH adds on the left, RPUSH on the right, and both ends are equally \
         quick, however long it is. LRANGE reads from one place to another, the first is 0, and -1 means the last. So a \
         feed is a list: the latest is pushed on the left, a page of it is the first ten.",
    ).await?;
    redis.lpush(&feed, "Ann liked a tent").await?;
    redis.lpush(&feed, "Bob bought a kettle").await?;
    let page_one = redis.lrange(&feed, 0, 9).await?;
    ctx.check("the latest comes first", page_one == ["Bob bought a kettle", "Ann liked a tent"])?;

    ctx.step(format!(
        "A feed that is only pushed to grows for ever. LTRIM keeps what lies between two places and drops the rest, so \
         LTRIM 0 {} after each LPUSH keeps {CAP}. Both go in one transaction: no reader sees more, and no crash comes \
         between them. {EVENTS} more things happen; the last of them:",
        CAP - 1,
    )).await?;
    let last = isize::try_from(CAP - 1).unwrap_or(isize::MAX);
    for number in 1..=EVENTS {
        let event = format!("event {number}");
        ctx.untraced("TODO").lpush(&untrimmed, &event).await?;
        let mut both = redis::pipe();
        both.atomic().lpush(&feed, &event).ltrim(&feed, 0, last).ignore();
        if number < EVENTS {
            both.exec_async(&mut ctx.untraced("TODO")).await?;
        } else {
            both.exec_async(&mut redis).await?;
        }
    }
    let (kept, grown) = (redis.llen(&feed).await?, redis.llen(&untrimmed).await?);
    ctx.check(format!("{CAP} are kept; without LTRIM there are {EVENTS}"), (kept, grown) == (CAP, EVENTS))?;
    let oldest = redis.lrange(&feed, -1, -1).await?;
    let expected = format!("event {}", EVENTS + 1 - CAP);
    ctx.check(format!("the oldest that is left is '{expected}'"), oldest == [expected.clone()])?;

    ctx.step(
        "Trimming one entry each time is cheap. What is not: reading or writing in the middle of a long list (LINDEX, \
         LSET, LINSERT), because the server walks there from the nearer end.",
    ).await?;
    Ok(())
}

async fn queue_and_stack(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (queue, stack) = (keys.support_queue(), keys.undo_stack());

    ctx.step(
        "Push on the left and pop on the right: first in, first out, a queue. One LPUSH can take several items, which \
         go in one after the other.",
    ).await?;
    redis.lpush(&queue, &["Ann", "Bob", "Cem", "Dee"]).await?;
    let first: Option<String> = redis::cmd("RPOP").arg(&queue).query_async(&mut redis).await?;
    let next: Vec<String> = redis::cmd("RPOP").arg(&queue).arg(2).query_async(&mut redis).await?;
    ctx.check(
        "Ann came first and is served first, then Bob and Cem",
        first.as_deref() == Some("Ann") && next == ["Bob", "Cem"],
    )?;

    ctx.step("Push and pop at the same end: last in, first out, a stack.").await?;
    redis.lpush(&stack, &["typed a", "typed b", "deleted all"]).await?;
    let undone: Vec<String> = redis::cmd("LPOP").arg(&stack).arg(2).query_async(&mut redis).await?;
    ctx.check("what was done last is undone first", undone == ["deleted all", "typed b"])?;

    ctx.step("Who pops from a list that does not exist gets nil. With the last item, the key goes.").await?;
    redis::cmd("LPOP").arg(&stack).exec_async(&mut redis).await?;
    let nothing: Option<String> = redis::cmd("LPOP").arg(&stack).query_async(&mut redis).await?;
    ctx.check("nothing left to undo", nothing.is_none() && !redis.exists(&stack).await?)
}

async fn compare(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let items = Items::first(ITEMS, keys);
    ctx.step(format!(
        "Last, filling a queue with {ITEMS} items: an LPUSH for each and waiting for its answer; the same in a pipeline; \
         one LPUSH with all items. The last two take one round trip, but one command is less to send, to read and to \
         answer. (With millions, send some thousands at a time: one huge command keeps the other clients waiting.)",
    )).await?;
    let title = format!("Pushing {ITEMS} items");
    ctx.compare(Comparison { title: &title, approaches: &PushMany::ALL, input: &items }).await
}
