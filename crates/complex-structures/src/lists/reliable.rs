//! A queue that loses nothing when a worker dies.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};
use redis::AsyncTypedCommands;

use super::delivery::Delivered;
use super::queue::{GIVE_BACK, GIVE_BACK_SOURCE, Queue};
use super::queue_strategy::QueueStrategy;
use crate::keys::Keys;

/// How many jobs are sent to workers that die.
pub const JOBS: u64 = 100;
const WORKER: &str = "w1";

pub(super) async fn run(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let queue = Queue::new("orders", keys);
    queue.start_clean(&mut ctx.untraced("TODO")).await?;
    take_and_finish(ctx, &queue).await?;
    die_and_give_back(ctx, &queue).await?;
    count_the_lost(ctx, keys).await
}

async fn take_and_finish(ctx: &LessonContext, queue: &Queue) -> Outcome {
    let mut redis = ctx.redis();
    let mut own = ctx.dedicated_redis().await?;
    let (jobs, processing) = (queue.jobs(), queue.processing(WORKER));

    ctx.step(
        "RPOP removes the job and then tells the worker. When the worker dies before the work is done, nobody knows of the \
         job any more. BLMOVE (since Redis 6.2) waits like BLPOP, but moves the job, in one step, to another list: here \
         one for each worker, with the jobs it has taken and not finished. LMOVE does the same without waiting.",
    ).await?;
    if ctx.target().is_cluster() {
        ctx.step(
            "On a cluster both lists must be in the same slot. The part of the names in braces, the hash tag, sees to it.",
        ).await?;
    }
    ctx.step(
        "Worker w1 says that it is alive, by a key with a short TTL, which it will write again and again. It takes a job, \
         does it, and removes it from its list with LREM:",
    ).await?;
    redis.lpush(&jobs, &["order:1", "order:2", "order:3"]).await?;
    queue.beat(WORKER, &mut own).await?;
    let blmove = || redis::cmd("BLMOVE").arg(&jobs).arg(&processing).arg(&["RIGHT", "LEFT", "1"]).take();
    let job: Option<String> = blmove().query_async(&mut own).await?;
    let taken = redis.lrange(&processing, 0, -1).await?;
    ctx.check("the job is in the worker's list", job.as_deref() == Some("order:1") && taken == ["order:1"])?;
    let removed = redis.lrem(&processing, 1, "order:1").await?;
    ctx.check("done, and off the list", removed == 1)?;

    ctx.step("It takes the next one, and dies.").await?;
    let job: Option<String> = blmove().query_async(&mut own).await?;
    ctx.check("order:2 was in its hands", job.as_deref() == Some("order:2"))
}

async fn die_and_give_back(ctx: &LessonContext, queue: &Queue) -> Outcome {
    let mut redis = ctx.redis();
    let (jobs, processing, heartbeat) = (queue.jobs(), queue.processing(WORKER), queue.heartbeat(WORKER));

    ctx.step(
        "The job still exists, in the list of w1. A reaper looks at all workers now and then. Whose heartbeat has expired \
         is dead, and a script gives its jobs back: asking and moving are one step, so no worker comes to life in between.",
    ).await?;
    ctx.listing(GIVE_BACK_SOURCE);
    let mut give_back = GIVE_BACK.key(&heartbeat);
    give_back.key(&processing).key(&jobs);
    GIVE_BACK.load_async(&mut redis).await?;
    ctx.step("While there is a heartbeat, nothing happens. Then it is gone:").await?;
    redis.set(&heartbeat, "alive").await?;
    let spared: u64 = give_back.invoke_async(&mut redis).await?;
    redis.unlink(&heartbeat).await?;
    let returned: u64 = give_back.invoke_async(&mut redis).await?;
    ctx.check("the jobs of the living are spared, one of the dead comes back", (spared, returned) == (0, 1))?;
    let waiting = redis.lrange(&jobs, 0, -1).await?;
    ctx.check_eq(
        "and is next in the queue, on the right",
        &waiting,
        &vec!["order:3".to_owned(), "order:2".to_owned()],
    )
}

async fn count_the_lost(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "Now with {JOBS} jobs and four workers. Of every ten jobs, one kills its worker before the work is done, and one \
         after it, but before anybody is told. For each worker that dies another one comes. We count: a Hash has a \
         receipt for each job that was done, and a counter is raised each time that work is done.",
    )).await?;
    let mut table = Table::new(
        "When workers die",
        &["a job is taken by", "sent", "workers died", "done", "lost", "done again"],
    );
    let mut results = Vec::new();
    for strategy in QueueStrategy::ALL {
        let delivered = strategy.deliver(ctx.target(), keys, JOBS).await?;
        let Delivered { sent, finished, deaths, .. } = delivered;
        let numbers = [sent, deaths, finished, delivered.lost(), delivered.repeated()]
            .map(|number| thousands(number as f64));
        table = table.row(std::iter::once(strategy.label().to_owned()).chain(numbers));
        results.push(delivered);
    }
    ctx.table(table);
    let [popped, moved] = results[..] else {
        return Ok(());
    };
    let each = JOBS / 10;
    ctx.check(
        format!("with RPOP, {} jobs are lost: all whose worker died before the work", popped.lost()),
        popped.lost() == each,
    )?;
    ctx.check("with BLMOVE and the reaper none is lost", moved.lost() == 0)?;
    ctx.check(
        "the price: who died after the work had the job done again by somebody else",
        popped.repeated() == 0 && moved.repeated() >= each,
    )?;
    ctx.check(
        format!(
            "the counter was raised {} times, but there are {} receipts",
            moved.work_done, moved.finished
        ),
        moved.work_done > moved.finished && moved.finished == JOBS,
    )?;

    ctx.step(
        "No queue can avoid that: between doing the work and telling so, there is always a moment to die in. At least once \
         is what one gets, so a handler must be idempotent: doing it again changes nothing. The receipts are (HSETNX with \
         the number of the job), the counter is not (INCR). A heartbeat must outlast the longest job, or be renewed \
         meanwhile: a worker that is only slow counts as dead, and its job is done twice too.",
    ).await?;
    ctx.step(
        "Still, the lists are as safe as the server: what it had not saved or replicated when it died is lost. And for \
         more than this, groups of consumers, retries that are counted, a history, there are streams.",
    ).await?;
    Ok(())
}
