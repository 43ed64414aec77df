//! How do you keep the latest entries, and hand out work without losing any?
//!
//! `cargo complex lists`

mod worker_pool;

use std::num::NonZeroUsize;
use std::time::Duration;

use lab_connection::{Connection, Transcript};
use lab_runner::clients::flatten;
use lab_runner::concurrent::try_join_all;
use lab_runner::table::Table;
use lab_runner::{
    AnyConnection, Approach, Comparison, Keys, Lesson, LessonContext, LessonError, Need, Outcome, Retry,
    labeled, source,
};
use redis::{AsyncTypedCommands, Direction, RedisResult, Value};
use tokio::task::JoinHandle;

use self::worker_pool::GIVE_BACK;
pub use self::worker_pool::{Delivery, Queue, QueueStrategy};

/// Feeds, queues, and stacks; waiting for work, and a queue that loses none.
pub static LESSON: Lesson = Lesson {
    name: "lists",
    title: "Lists",
    question: "How do you keep the latest entries, and hand out work without losing any?",
    commands: &["LPUSH", "LRANGE", "LTRIM", "LLEN", "RPOP", "LPOP", "BLPOP", "BLMOVE", "LREM", "EVALSHA"],
    // BLMOVE and LMOVE came with Redis 6.2.
    needs: &[Need { command: "BLMOVE", available_in: "--server valkey-9.1" }],
    sources: &[
        source!("src/lists.rs"),
        source!("src/lists/worker_pool.rs"),
        source!("src/lists/give_back.lua"),
    ],
    rule: "Move a job to the worker's own list, remove it when it is done, and make doing it twice harmless.",
    takeaways: &[
        "LTRIM after each LPUSH keeps a feed short.",
        "A blocking command needs a connection of its own, and you must not cancel it early.",
        "Between doing a job and acknowledging it, a worker can die, so every safe queue may deliver twice.",
    ],
    quiz: &[5, 9, 59, 62, 92, 140],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many entries the feed keeps.
const KEPT: usize = 20;
/// How many events happen.
const EVENTS: usize = 75;
/// How many items the comparison pushes.
const ITEMS: usize = 300;
/// How many jobs go to workers that die.
const JOBS: usize = 100;
/// How long a worker waits for a job, in seconds: far longer than until one comes.
const LONG: f64 = 8.0;
/// How long the server may take to notice something, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(5);

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let names = ["feed:user123", "feed:user123:untrimmed", "queue:support", "stack:undo"];
    let [feed, untrimmed, support, undo] = names.map(|name| keys.key(name));
    let (mails, orders) = (Queue::new("mails", &keys), Queue::new("orders", &keys));
    let urgent = keys.key("{queue:mails}:urgent");
    let time = keys.key("{queue:mails}:time");
    let used = [&feed, &untrimmed, &support, &undo, &urgent, &time, &mails.jobs()].map(String::clone);
    ctx.start_clean(&[&used[..], &orders.keys(&["w1"])].concat()).await?;

    // A connection for each worker, because a blocking command needs its own.
    let [waits, shares, cancels, dies] = ctx.dedicated().await?;
    keep_a_feed(ctx, &feed, &untrimmed).await?;
    queue_and_stack(ctx, &support, &undo).await?;
    wait_for_a_job(ctx, waits, [&mails.jobs(), &urgent, &time]).await?;
    share_a_connection(ctx, shares, &mails.jobs(), &time).await?;
    cancel_the_wait(ctx, cancels, &mails.jobs()).await?;
    take_and_finish(ctx, dies, &orders).await?;
    give_back(ctx, &orders).await?;
    let receipts = count_lost_jobs(ctx, &keys).await?;
    compare(ctx, &keys).await?;

    ctx.keys([feed, support, orders.jobs(), keys.key("queue:bulk")].into_iter().chain(receipts));
    Ok(())
}

async fn keep_a_feed(ctx: &LessonContext, feed: &str, untrimmed: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A list is a sequence of strings with two ends. LPUSH adds on the left and RPUSH on the right, and both are fast \
              however long the list is. LRANGE reads from one position to another: 0 is the first, -1 the last. So a feed is \
              a list. Push the latest event on the left; its first page is positions 0 to 9.").await?;
    redis.lpush(feed, "Ann liked a tent").await?;
    redis.lpush(feed, "Bob bought a kettle").await?;
    let page = redis.lrange(feed, 0, 9).await?;
    ctx.check("the latest event comes first", page == ["Bob bought a kettle", "Ann liked a tent"])?;

    ctx.step(format!("A feed that you only push to grows forever. LTRIM keeps a range and drops the rest: LTRIM 0 19 after \
                      each LPUSH keeps {KEPT} entries. Send both as one transaction, so that no reader sees more. {EVENTS} \
                      more events happen; here is the last one.")).await?;
    ctx.function("push_and_trim");
    let mut other = ctx.untraced(
        "A client sends LPUSH and LTRIM for the events before the last one, and one LPUSH of all \
                                  events to a feed without LTRIM.",
    );
    let events: Vec<String> = (1..=EVENTS).map(|number| format!("event {number}")).collect();
    push_and_trim(feed, &events[..EVENTS - 1]).exec_async(&mut other).await?;
    other.lpush(untrimmed, &events).await?;
    push_and_trim(feed, &events[EVENTS - 1..]).exec_async(&mut redis).await?;
    let (kept, grown) = (redis.llen(feed).await?, redis.llen(untrimmed).await?);
    ctx.check(format!("{KEPT} are kept; without LTRIM there are {EVENTS}"), (kept, grown) == (KEPT, EVENTS))?;
    let oldest = redis.lrange(feed, -1, -1).await?;
    let expected = &events[EVENTS - KEPT];
    ctx.check(format!("the oldest entry is '{expected}'"), oldest == [expected.clone()])?;
    ctx.say("Removing one entry at the end each time is cheap. Reading or writing in the middle of a long list is not: for \
             LINDEX and LSET the server walks there from the nearer end, and LINSERT compares items from the left until it finds \
             the one to insert at.");
    Ok(())
}

fn push_and_trim(feed: &str, events: &[String]) -> redis::Pipeline {
    let mut transaction = redis::pipe();
    transaction.atomic();
    for event in events {
        transaction.lpush(feed, event).ltrim(feed, 0, 19).ignore();
    }
    transaction
}

async fn queue_and_stack(ctx: &LessonContext, queue: &str, stack: &str) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx
        .step("Push on the left and pop on the right. LPUSH and RPOP can take several items.")
        .predict("Who is served first?", ["Ann", "Dee"])
        .await?;
    redis.lpush(queue, &["Ann", "Bob", "Cem", "Dee"]).await?;
    let first: Option<String> = redis.rpop(queue, None).await?;
    let next: Vec<String> = redis.rpop(queue, NonZeroUsize::new(2)).await?;
    guess.answer(first.as_deref().unwrap_or_default())?;
    ctx.say("First in, first out: a queue. LPUSH pushes its items one by one, so the first one ends up farthest right.");
    ctx.check(
        "Ann came first and is served first, then Bob and Cem",
        first.as_deref() == Some("Ann") && next == ["Bob", "Cem"],
    )?;

    ctx.step(
        "Push and pop on the same side: last in, first out, a stack. A list that does not exist gives nil.",
    )
    .await?;
    redis.lpush(stack, &["typed a", "typed b", "deleted all"]).await?;
    let undone: Vec<String> = redis.lpop(stack, NonZeroUsize::new(2)).await?;
    let last: Option<String> = redis.lpop(stack, None).await?;
    let nothing: Option<String> = redis.lpop(stack, None).await?;
    let exists = redis.exists(stack).await?;
    ctx.check("what you did last is undone first", undone == ["deleted all", "typed b"])?;
    ctx.check("with the last item, the key is gone", last.is_some() && nothing.is_none() && !exists)
}

async fn wait_for_a_job(ctx: &LessonContext, mut own: Redis, [jobs, urgent, time]: [&str; 3]) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A worker that asks again and again for a job wastes round trips and still reacts late. BLPOP waits on the \
              server until there is an item, or until its timeout in seconds ends (0 means never). It takes several lists \
              and looks at them in order, so the first one can hold urgent jobs. A timeout is not an error but nil. (The server looks \
              for timeouts about ten times a second, so this one may come up to 0.1 s late.)").await?;
    let nothing = own.blpop(&[urgent, jobs], 0.1).await?;
    ctx.check("there was no job: nil", nothing.is_none())?;

    ctx.step("Now the worker waits for up to 8 seconds on a connection of its own. Meanwhile the program uses another \
              connection. BLPOP is sent first, and shown when its reply comes.").await?;
    ctx.function("start_blpop");
    let mut other =
        ctx.untraced("A third client asks INFO clients until the server knows that the worker waits.");
    let worker = start_blpop(own, &[urgent, jobs], &mut other).await?;
    redis.set(time, "before the job").await?;
    let read = redis.get(time).await?;
    ctx.check("commands are answered while the worker waits", read.is_some() && !worker.is_finished())?;
    redis.lpush(jobs, "mail:1").await?;
    let served = flatten(worker.await)?;
    ctx.check_eq(
        "the job woke the worker, and the reply names its list",
        &served,
        &Some([jobs.to_owned(), "mail:1".to_owned()]),
    )
}

type Redis = Transcript<Connection>;
type Worker = JoinHandle<RedisResult<Option<[String; 2]>>>;

/// Returns when the server knows that the worker waits.
async fn start_blpop(
    mut redis: Redis,
    lists: &[&str],
    other: &mut Connection,
) -> Result<Worker, LessonError> {
    let lists: Vec<String> = lists.iter().map(|&list| list.to_owned()).collect();
    let blocked = blocked_clients(other).await?;
    let worker = tokio::spawn(async move { redis.blpop(&lists, LONG).await });
    let mut retry = Retry::within(TIMEOUT);
    while blocked_clients(other).await? <= blocked {
        retry.again("the server knows that a client waits").await?;
    }
    Ok(worker)
}

/// As the server counts them; on a cluster, on all nodes together.
async fn blocked_clients(redis: &mut Connection) -> RedisResult<u64> {
    fn count(clients: Value) -> RedisResult<u64> {
        // One server answers with a text, a cluster with a map from node to text.
        if let Value::Map(nodes) = clients {
            return nodes.into_iter().map(|(_, text)| count(text)).sum();
        }
        let text: String = redis::from_redis_value(clients)?;
        let digits = text.lines().find_map(|line| line.trim_end().strip_prefix("blocked_clients:"));
        Ok(digits.and_then(|digits| digits.parse().ok()).unwrap_or_default())
    }
    count(redis::cmd("INFO").arg("clients").query_async(redis).await?)
}

async fn share_a_connection(ctx: &LessonContext, shared: Redis, jobs: &str, time: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("Break it: the worker shares its connection with another task. In redis-rs, a clone of a connection uses the \
              same socket, and the server answers the commands of one socket in order. So the GET of the other task waits \
              behind BLPOP. We read the same key on our own connection, change it, and only then send a job.").await?;
    ctx.function("read_behind_blpop");
    let mut other =
        ctx.untraced("Another client asks INFO clients until the server knows that the worker waits.");
    let (read, ours) = read_behind_blpop(&mut redis, shared, jobs, time, &mut other).await?;
    ctx.check("we read the old text at once", ours.as_deref() == Some("before the job"))?;
    ctx.check(
        "the other task was answered only after the job came",
        read.as_deref() == Some("after the job"),
    )?;
    ctx.say("So give each worker that blocks a connection of its own. Set its response timeout longer than the wait, or the \
             client gives up before the server does.");
    Ok(())
}

async fn read_behind_blpop(
    redis: &mut Redis,
    shared: Redis,
    jobs: &str,
    time: &str,
    other: &mut Connection,
) -> Result<(Option<String>, Option<String>), LessonError> {
    let worker = start_blpop(shared.clone(), &[jobs], other).await?;
    let (mut task, key) = (shared, time.to_owned());
    let task = tokio::spawn(async move { task.get(key).await });
    let ours = redis.get(time).await?;
    redis.set(time, "after the job").await?;
    redis.lpush(jobs, "mail:2").await?;
    flatten(worker.await)?;
    Ok((flatten(task.await)?, ours))
}

async fn cancel_the_wait(ctx: &LessonContext, own: Redis, jobs: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("What if a client stops waiting first? In Rust you can drop a future, for example with a timeout around it or \
              with select!. That ends the wait in your program, but the server does not know:").await?;
    ctx.function("drop_blpop");

    let mut other = ctx.target().connection();
    let guess = ctx
        .step("Our worker sends BLPOP, drops the future, and keeps its connection. Then a job comes.")
        .predict("Where is the job?", ["in the list", "nowhere"])
        .await?;
    let dropped = drop_blpop(own.clone(), jobs, &mut other).await?;
    redis.lpush(jobs, "mail:3").await?;
    let left = redis.llen(jobs).await?;
    // The connection stays open until here, so that the server can send the job to the worker.
    drop(own);
    ctx.announce(format!(
        "The worker sent BLPOP {jobs} 8, whose reply nobody sees. Another client asked INFO clients until the server knew."
    ));
    guess.answer(if left == 0 { "nowhere" } else { "in the list" })?;
    ctx.check("the job is not in the list, and no one has it: it is lost", dropped && left == 0)?;
    ctx.say("So never wrap a blocking pop in a timeout that is shorter than its own.");
    Ok(())
}

async fn drop_blpop(redis: Redis, jobs: &str, other: &mut Connection) -> Result<bool, LessonError> {
    let worker = start_blpop(redis, &[jobs], other).await?;
    worker.abort();
    Ok(worker.await.is_err_and(|error| error.is_cancelled()))
}

async fn take_and_finish(ctx: &LessonContext, mut own: Redis, queue: &Queue) -> Outcome {
    let mut redis = ctx.redis();
    let (jobs, mine) = (queue.jobs(), queue.taken_by("w1"));
    let heartbeat = queue.heartbeat("w1");

    ctx.step("A process can also die at any moment. RPOP removes a job and then gives it to the worker. If the worker dies \
              before the work is done, the job is lost. BLMOVE (Redis 6.2) waits like BLPOP but moves the job in one step to \
              another list: the list of this worker, with the jobs that it has taken and not finished. (LMOVE does not \
              wait.) Worker w1 sets a heartbeat, a key with a TTL. It takes a job, does it, and removes it with LREM.").await?;
    redis.lpush(&jobs, &["order:1", "order:2", "order:3"]).await?;
    own.set_ex(&heartbeat, "alive", 60).await?;
    let job = own.blmove(&jobs, &mine, Direction::Right, Direction::Left, 1.0).await?;
    let taken = redis.lrange(&mine, 0, -1).await?;
    ctx.check("the job is in the worker's list", job.as_deref() == Some("order:1") && taken == ["order:1"])?;
    let removed = redis.lrem(&mine, 1, "order:1").await?;
    ctx.check("done, and off the list", removed == 1)?;
    if ctx.target().is_cluster() {
        ctx.say("On a cluster both lists must be in one slot. The hash tag, the part of the names in braces, ensures that.");
    }

    ctx.step("The worker takes the next job and dies.").await?;
    let job = own.blmove(&jobs, &mine, Direction::Right, Direction::Left, 1.0).await?;
    ctx.check("it had order:2", job.as_deref() == Some("order:2"))
}

async fn give_back(ctx: &LessonContext, queue: &Queue) -> Outcome {
    let mut redis = ctx.redis();
    let heartbeat = queue.heartbeat("w1");

    ctx.step("The job still exists, in the list of w1. A reaper looks at all workers from time to time. A worker without a \
              heartbeat is dead, and a script gives its jobs back. It asks and moves in one step, so the worker cannot come \
              back to life in between.").await?;
    ctx.script(&GIVE_BACK.shown()).await?;

    ctx.step("First the worker is alive, and nothing happens. Then its heartbeat is gone.").await?;
    redis.set(&heartbeat, "alive").await?;
    let spared: u64 = queue.give_back("w1").invoke_async(&mut redis).await?;
    redis.unlink(&heartbeat).await?;
    let moved: u64 = queue.give_back("w1").invoke_async(&mut redis).await?;
    let jobs = redis.lrange(queue.jobs(), 0, -1).await?;
    ctx.check("a live worker keeps its jobs; a dead one loses one", (spared, moved) == (0, 1))?;
    ctx.check("and that one is next, on the right", jobs == ["order:3", "order:2"])
}

async fn count_lost_jobs(ctx: &LessonContext, keys: &Keys) -> Result<[String; 2], LessonError> {
    let jobs = ctx.fit("batches of ten jobs", JOBS / 10, 1, 20.0) * 10;
    ctx.step(format!("Now {jobs} jobs and four workers. Of every ten jobs, one kills its worker before the work is done, and \
                      one after the work but before it is acknowledged. A new worker replaces each dead one. To count, a worker \
                      does two things for each job: HSETNX writes a receipt with the job's name, and INCRBY raises a counter.")).await?;
    ctx.say("pool.kills(&job, 5) is true once for each job whose number ends in 5.");
    ctx.function("work");

    let guess = ctx
        .step("The jobs run twice: first the workers take them with RPOP, then with BLMOVE.")
        .predict("What may still happen with BLMOVE?", ["a job is lost", "a job is done twice", "neither"])
        .await?;
    ctx.announce("Four workers send RPOP, or SADD, PSETEX, BLMOVE, and LREM, and for each job MULTI, INCRBY, HSETNX, \
                  EXEC. The program sends SMEMBERS, UNLINK, LPUSH, SCRIPT LOAD, EVALSHA, LLEN, HLEN, and GET to set up, to \
                  give jobs back, and to count.");
    let header = ["approach", "sent", "deaths", "done", "lost", "done again"];
    let mut table = Table::new("When workers die", &header);
    let deliver = |strategy: QueueStrategy| strategy.deliver(ctx.target(), keys, jobs, ctx.round_trip());
    let deliveries = try_join_all(QueueStrategy::ALL.map(deliver)).await?;
    for (strategy, delivery) in QueueStrategy::ALL.into_iter().zip(&deliveries) {
        let Delivery { sent, finished, deaths, .. } = *delivery;
        table =
            table.labeled(strategy.label(), [sent, deaths, finished, delivery.lost(), delivery.repeated()]);
    }
    ctx.table(table);
    if let [popped, moved] = deliveries[..] {
        guess.answer(match (moved.lost(), moved.repeated()) {
            (0, 0) => "neither",
            (0, _) => "a job is done twice",
            _ => "a job is lost",
        })?;
        let per_kind = jobs / 10;
        ctx.check(
            format!("RPOP lost {} jobs: all whose worker died before the work", popped.lost()),
            popped.lost() == per_kind,
        )?;
        ctx.check("BLMOVE and the reaper lost none", moved.lost() == 0)?;
        ctx.check(
            "the price: if a worker died after the work, another one did the job again",
            popped.repeated() == 0 && moved.repeated() >= per_kind,
        )?;
        let Delivery { work_done, finished, .. } = moved;
        ctx.check(
            format!("the counter rose {work_done} times, but there are {finished} receipts"),
            work_done > finished && finished == jobs,
        )?;
    }
    ctx.say("No queue avoids this: between doing a job and acknowledging it, there is always a moment to die in. You get \
             at-least-once delivery, so make the handler idempotent: doing it again changes nothing. HSETNX with the job's \
             name is idempotent, INCRBY is not. A heartbeat must outlast the longest job or be renewed; a slow worker counts \
             as dead. The lists are as safe as the server: what it had not saved or replicated is lost when it dies. For \
             consumer groups, counted retries, or a history, use Streams.");
    Ok(QueueStrategy::ALL.map(|strategy| Queue::new(strategy.name(), keys).receipts()))
}

async fn compare(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step("Last, three ways to fill a queue: one LPUSH per item, waiting for each reply; the same in a pipeline; one \
              LPUSH with all items. The last two take one round trip, but a single command is less to send, to read, and to \
              answer. (With millions of items, send a few thousand at a time, because a huge command makes other clients \
              wait.)").await?;
    let items = Items::new(ctx.fit("items", ITEMS, 2, 10.0), keys);
    ctx.function("push_all");
    let title = format!("Pushing {} items", items.items.len());
    ctx.compare(Comparison { title: &title, approaches: &PushMany::ALL, input: &items }).await
}

labeled! {
    /// How to push many items.
    pub enum PushMany {
        /// Each after the reply to the last: the reference.
        OneByOne => "LPUSH, one by one",
        /// One LPUSH per item, all sent before the first reply is read.
        Pipeline => "pipeline of LPUSHes",
        /// One command.
        Variadic => "one LPUSH with all",
    }
}

/// Items, and the list they go to.
#[derive(Clone, Debug)]
pub struct Items {
    /// The list.
    pub key: String,
    /// The items, in the order in which they are pushed.
    pub items: Vec<String>,
}

impl Items {
    /// `item:1` to `item:count`.
    pub fn new(count: usize, keys: &Keys) -> Self {
        Self { key: keys.key("queue:bulk"), items: (1..=count).map(|item| format!("item:{item}")).collect() }
    }
}

impl Approach for PushMany {
    type Input = Items;
    /// The length of the list afterward, as the last LPUSH returns it.
    type Output = usize;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, input: &Items) -> u64 {
        input.items.len() as u64
    }

    async fn reset<C: AnyConnection>(self, input: &Items, redis: &mut C) -> RedisResult<()> {
        redis.unlink(&input.key).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, items: &Items, redis: &mut C) -> RedisResult<usize> {
        push_all(self, redis, items).await
    }
}

async fn push_all<C: AnyConnection>(how: PushMany, redis: &mut C, all: &Items) -> RedisResult<usize> {
    let Items { key, items } = all;
    match how {
        PushMany::OneByOne => {
            let mut length = 0;
            for item in items {
                length = redis.lpush(key, item).await?;
            }
            Ok(length)
        }
        PushMany::Pipeline => {
            let mut pipeline = redis::pipe();
            for item in items {
                pipeline.lpush(key, item);
            }
            let lengths: Vec<usize> = pipeline.query_async(redis).await?;
            Ok(lengths.last().copied().unwrap_or_default())
        }
        PushMany::Variadic => redis.lpush(key, items).await,
    }
}
