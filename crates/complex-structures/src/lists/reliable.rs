//! A queue that loses nothing when a worker dies.

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;

use super::delivery::Delivered;
use super::queue::{GIVE_BACK, GIVE_BACK_SOURCE, Queue};
use super::queue_strategy::QueueStrategy;
use crate::keys::Keys;

/// How many jobs are sent to workers that die.
pub const JOBS: u64 = 100;
const WORKER: &str = "w1";

pub(super) async fn teach(page: &Page, keys: &Keys) -> Outcome {
    let queue = Queue::new("orders", keys);
    queue.start_clean(&mut page.quietly()).await?;
    take_and_finish(page, &queue).await?;
    die_and_give_back(page, &queue).await?;
    count_the_lost(page, keys).await
}

async fn take_and_finish(page: &Page, queue: &Queue) -> Outcome {
    let mut redis = page.redis();
    let mut own = page.own_redis().await?;
    let (jobs, processing) = (queue.jobs(), queue.processing(WORKER));

    page.say(
        "RPOP removes the job and then tells the worker. When the worker dies before the work is done, nobody knows of the \
         job any more. BLMOVE (since Redis 6.2) waits like BLPOP, but moves the job, in one step, to another list: here \
         one for each worker, with the jobs it has taken and not finished. LMOVE does the same without waiting.",
    );
    if page.target().is_cluster() {
        page.say(
            "On a cluster both lists must be in the same slot. The part of the names in braces, the hash tag, sees to it.",
        );
    }
    page.say(
        "Worker w1 says that it is alive, by a key with a short TTL, which it will write again and again. It takes a job, \
         does it, and removes it from its list with LREM:",
    );
    redis.lpush(&jobs, &["order:1", "order:2", "order:3"]).await?;
    queue.beat(WORKER, &mut own).await?;
    let blmove = || redis::cmd("BLMOVE").arg(&jobs).arg(&processing).arg(&["RIGHT", "LEFT", "1"]).take();
    let job: Option<String> = blmove().query_async(&mut own).await?;
    let taken = redis.lrange(&processing, 0, -1).await?;
    page.check("the job is in the worker's list", job.as_deref() == Some("order:1") && taken == ["order:1"])?;
    let removed = redis.lrem(&processing, 1, "order:1").await?;
    page.check("done, and off the list", removed == 1)?;

    page.say("It takes the next one, and dies.");
    let job: Option<String> = blmove().query_async(&mut own).await?;
    page.check("order:2 was in its hands", job.as_deref() == Some("order:2"))
}

async fn die_and_give_back(page: &Page, queue: &Queue) -> Outcome {
    let mut redis = page.redis();
    let (jobs, processing, heartbeat) = (queue.jobs(), queue.processing(WORKER), queue.heartbeat(WORKER));

    page.say(
        "The job still exists, in the list of w1. A reaper looks at all workers now and then. Whose heartbeat has expired \
         is dead, and a script gives its jobs back: asking and moving are one step, so no worker comes to life in between.",
    );
    page.listing(GIVE_BACK_SOURCE);
    let mut give_back = GIVE_BACK.key(&heartbeat);
    give_back.key(&processing).key(&jobs);
    GIVE_BACK.load_async(&mut redis).await?;
    page.say("While there is a heartbeat, nothing happens. Then it is gone:");
    redis.set(&heartbeat, "alive").await?;
    let spared: u64 = give_back.invoke_async(&mut redis).await?;
    redis.unlink(&heartbeat).await?;
    let returned: u64 = give_back.invoke_async(&mut redis).await?;
    page.check(
        "the jobs of the living are spared, one of the dead comes back",
        (spared, returned) == (0, 1),
    )?;
    let waiting = redis.lrange(&jobs, 0, -1).await?;
    page.check_eq(
        "and is next in the queue, on the right",
        &waiting,
        &vec!["order:3".to_owned(), "order:2".to_owned()],
    )
}

async fn count_the_lost(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "Now with {JOBS} jobs and four workers. Of every ten jobs, one kills its worker before the work is done, and one \
         after it, but before anybody is told. For each worker that dies another one comes. We count: a Hash has a \
         receipt for each job that was done, and a counter is raised each time that work is done.",
    ));
    let mut facts = Facts::new(
        "When workers die",
        &["a job is taken by", "sent", "workers died", "done", "lost", "done again"],
    );
    let mut results = Vec::new();
    for strategy in QueueStrategy::ALL {
        let delivered = strategy.deliver(page.target(), keys, JOBS).await?;
        let Delivered { sent, finished, deaths, .. } = delivered;
        let numbers = [sent, deaths, finished, delivered.lost(), delivered.repeated()]
            .map(|number| thousands(number as f64));
        facts = facts.row(std::iter::once(strategy.label().to_owned()).chain(numbers));
        results.push(delivered);
    }
    page.facts(facts);
    let [popped, moved] = results[..] else {
        return Ok(());
    };
    let each = JOBS / 10;
    page.check(
        format!("with RPOP, {} jobs are lost: all whose worker died before the work", popped.lost()),
        popped.lost() == each,
    )?;
    page.check("with BLMOVE and the reaper none is lost", moved.lost() == 0)?;
    page.check(
        "the price: who died after the work had the job done again by somebody else",
        popped.repeated() == 0 && moved.repeated() >= each,
    )?;
    page.check(
        format!(
            "the counter was raised {} times, but there are {} receipts",
            moved.work_done, moved.finished
        ),
        moved.work_done > moved.finished && moved.finished == JOBS,
    )?;

    page.say(
        "No queue can avoid that: between doing the work and telling so, there is always a moment to die in. At least once \
         is what one gets, so a handler must be idempotent: doing it again changes nothing. The receipts are (HSETNX with \
         the number of the job), the counter is not (INCR). A heartbeat must outlast the longest job, or be renewed \
         meanwhile: a worker that is only slow counts as dead, and its job is done twice too.",
    );
    page.say(
        "Still, the lists are as safe as the server: what it had not saved or replicated when it died is lost. And for \
         more than this, groups of consumers, retries that are counted, a history, there are streams.",
    );
    Ok(())
}
