//! Who handles a message when its worker dies, and how often?
//!
//! `cargo work streams`

mod consuming;
mod newer;
mod workers;

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::Table;
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::stream_worker::{self, Group, Published, StreamQueue};
use redis::{AsyncTypedCommands, Value};

pub use self::consuming::{Consuming, Messages};
pub use self::workers::{Crew, CrewResult, MESSAGES};

/// Consumer groups that lose nothing.
pub static LESSON: Lesson = Lesson {
    name: "streams",
    title: "Streams",
    question: "Who handles a message when its worker dies, and how often?",
    commands: &["XADD", "XREAD", "XREADGROUP", "XPENDING", "XRANGE", "EVALSHA", "HGETALL"],
    needs: &[],
    sources: &[
        source!("src/streams.rs"),
        source!("src/streams/workers.rs"),
        source!("src/streams/newer.rs"),
        source!("src/streams/consuming.rs"),
    ],
    rule: "Acknowledge a message in the same step as its effect, and let others claim what a lost worker held.",
    takeaways: &[
        "XREAD with $ and XREADGROUP with NOACK forget a message before anyone has handled it.",
        "A delivery count does not say whether a worker was lost or a handler failed. Count failures yourself.",
        "MAXLEN deletes what nobody has handled. Let producers stop, or at least count what they drop.",
    ],
    quiz: &[9, 58, 60, 62],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Messages of the comparison.
const COMPARED: usize = 200;
/// Short, so that the lesson need not wait.
const VISIBILITY: Duration = Duration::from_millis(50);

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let orders = StreamQueue::new(ctx.target().connection(), ctx.prefix(), "orders");
    let mut keys = workers::keys(&orders)?;
    let left = [keys[0].clone(), keys[3].clone(), keys[5].clone(), keys[6].clone()];
    let compared = workers::keys(&StreamQueue::new(ctx.target().connection(), ctx.prefix(), "compared"))?;
    let small = workers::keys(&StreamQueue::new(ctx.target().connection(), ctx.prefix(), "small"))?;
    keys.extend(compared.iter().chain(&small).cloned());
    for crew in Crew::ALL {
        keys.extend(workers::keys(&crew.queue(ctx.target()))?);
    }
    keys.push(raw(ctx.prefix()));
    ctx.start_clean(&keys).await?;
    load(ctx, &[stream_worker::scripts()]).await?;

    read_only_what_is_new(ctx).await?;
    lose_a_worker(ctx).await?;
    count_crews(ctx).await?;
    complete_in_one_step(ctx).await?;
    bury_poison(ctx).await?;
    fill_it(ctx).await?;
    newer::show(ctx).await?;
    compare(ctx).await?;
    ctx.start_clean(&[compared, small, vec![raw(ctx.prefix())]].concat()).await?;
    ctx.keys(left);
    Ok(())
}

/// A stream that no pattern uses.
fn raw(prefix: &str) -> String {
    format!("{prefix}stream:raw")
}

fn group<C: lab_runner::AnyConnection>(redis: C, prefix: &str) -> Group<C> {
    let pause = Duration::from_millis(1);
    StreamQueue::new(redis, prefix, "orders")
        .group("billing")
        .with_visibility(VISIBILITY)
        .with_retry_pause(pause)
}

async fn read_only_what_is_new(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, key) = (ctx.redis(), raw(ctx.prefix()));
    let guess = ctx
        .step(
            "XADD appends an entry to a stream, and XREAD reads what follows an ID. The ID $ means 'after the last entry there is now'. \
             Two orders come, and then a worker reads with $:",
        )
        .predict("How many orders does the worker get?", ["0", "1", "2"])
        .await?;
    for order in ["order-1", "order-2"] {
        redis::cmd("XADD").arg(&key).arg("*").arg("id").arg(order).exec_async(&mut redis).await?;
    }
    let new: Value = redis::cmd("XREAD").arg("STREAMS").arg(&key).arg("$").query_async(&mut redis).await?;
    guess.answer(orders(&new))?;
    ctx.say("A worker that says $ each time never sees what came while it was busy.");
    ctx.check("both orders are in the stream, and the worker gets neither", new == Value::Nil)?;
    Ok(())
}

/// How many orders are in a reply.
fn orders(reply: &Value) -> usize {
    match reply {
        Value::BulkString(text) => usize::from(text.starts_with(b"order-")),
        Value::Array(items) => items.iter().map(orders).sum(),
        Value::Map(pairs) => pairs.iter().map(|(_, entries)| orders(entries)).sum(),
        _ => 0,
    }
}

async fn lose_a_worker(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, key) = (ctx.redis(), raw(ctx.prefix()));
    let guess = ctx
        .step(
            "A consumer group gives each entry to one of its workers. The worker c1 reads both orders and dies. Then c2 reads with \
             XREADGROUP, too:",
        )
        .predict("How many orders does c2 get?", ["0", "1", "2"])
        .await?;
    redis::cmd("XGROUP").arg("CREATE").arg(&key).arg("billing").arg("0").exec_async(&mut redis).await?;
    let read = async |consumer: &str| -> redis::RedisResult<Value> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg("billing").arg(consumer).arg("STREAMS").arg(&key).arg(">");
        read.query_async(&mut redis.clone()).await
    };
    let first = read("c1").await?;
    let second = read("c2").await?;
    let pending: Vec<Value> = redis::cmd("XPENDING").arg(&key).arg("billing").query_async(&mut redis).await?;
    guess.answer(orders(&second))?;
    ctx.say("The group remembers what c1 got as pending. XREADGROUP with > only brings what is new.");
    ctx.check("c1 held two orders", first != Value::Nil && pending.first() == Some(&Value::Int(2)))?;
    ctx.check("c2 gets neither: > brings only new entries", second == Value::Nil)?;
    Ok(())
}

async fn count_crews(ctx: &LessonContext) -> Result<(), BoxError> {
    let orders = ctx.fit("orders", MESSAGES, 2 * workers::DIES_AT, 20.0);
    let dies = orders / workers::DIES_AT;
    ctx.step(format!(
        "Now {orders} orders, each of which adds 1 to a counter of its own. Every {}th message kills its worker, before the effect \
         or between the effect and the acknowledgment. Each worker reads four messages at a time, so a dead one takes the rest of its \
         batch with it. A new worker goes on. There are four ways to do it. This is the third one, which has its effect first, and the \
         fourth one, which uses the pattern:",
        workers::DIES_AT
    ))
    .await?;
    ctx.function("handle_then_acknowledge");
    ctx.function("complete_with_the_effect");
    ctx.announce(
        "XGROUP makes the groups, EVALSHA or XADD publishes. XREADGROUP, with and without NOACK, HINCRBY, XACK, XAUTOCLAIM, and \
         EVALSHA. HGETALL counts, UNLINK cleans up.",
    );
    let guess = ctx
        .predict(
            "What happens to the orders of the third way?",
            ["some are lost", "some count twice", "each counts once"],
        )
        .await?;
    let mut table = Table::new(
        "Workers that die",
        &["way to work", "orders", "workers lost", "lost orders", "doubled effects"],
    );
    let results = try_join_all(Crew::ALL.map(|crew| crew.run(ctx.target(), orders))).await?;
    for (crew, result) in Crew::ALL.into_iter().zip(&results) {
        table = table.labeled(crew.label(), [orders, result.died, result.lost, result.doubled]);
    }
    ctx.table(table);
    guess.answer(match (results[2].lost, results[2].doubled) {
        (0, 0) => "each counts once",
        (0, _) => "some count twice",
        _ => "some are lost",
    })?;
    ctx.check("workers died each time", results.iter().all(|result| result.died >= dies))?;
    ctx.check("with NOACK, what a worker held is lost", results[0].lost >= dies / 2)?;
    ctx.check("without a claim, what a worker held stays with it", results[1].lost >= dies / 2)?;
    ctx.check(
        "with a claim, nothing is lost, but what was done before the death is done again",
        results[2].lost == 0 && results[2].doubled >= dies / 2,
    )?;
    ctx.check(
        "with the effect in the script, nothing is lost or doubled",
        results[3].lost + results[3].doubled == 0,
    )?;
    Ok(())
}

async fn complete_in_one_step(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "These lines of the script made the difference. They run the commands of the effect, acknowledge, and remember the message's \
         ID. A message that comes twice, because a producer was not sure or a group was made again, has no second effect:",
    )
    .await?;
    ctx.script(&lua(&stream_worker::COMPLETE).lines("local half", "return {done")).await?;
    ctx.script(&lua(&stream_worker::PUBLISH).contract()).await?;
    ctx.script(&lua(&stream_worker::CLAIM).contract()).await?;

    let (mut redis, group) = (ctx.redis(), group(ctx.redis(), ctx.prefix()));
    let key = group.stream().effect_key("effects")?;
    ctx.announce("XGROUP CREATE, once.");
    group_of(ctx).create().await?;
    ctx.step("A producer is not sure that its message arrived, and sends it again. A worker reads, and completes twice:").await?;
    let new = group.stream().publish("order-1", b"2 apples").await?;
    let again = group.stream().publish("order-1", b"2 apples").await?;
    let messages = group.read(&redis, "c1", 10, Duration::ZERO).await?;
    let effect = workers::count(&key, "order-1");
    let mut outcomes = Vec::new();
    for message in messages.iter().chain(&messages) {
        outcomes.push(group.complete(message, &effect).await?);
    }
    let counts = redis.hgetall(&key).await?;
    ctx.check(
        "the second message is recognized",
        matches!(new, Published::New { .. }) && again == Published::Again,
    )?;
    ctx.check_eq("one message came, and was completed twice", &outcomes.len(), &2)?;
    let counts: Vec<(&str, &str)> = counts.iter().map(|(id, count)| (id.as_str(), count.as_str())).collect();
    ctx.check_eq("it has one effect", &counts, &vec![("order-1", "1")])?;
    Ok(())
}

fn group_of(ctx: &LessonContext) -> Group<Connection> {
    group(ctx.target().connection(), ctx.prefix())
}

async fn bury_poison(ctx: &LessonContext) -> Result<(), BoxError> {
    let quiet = group_of(ctx).with_max_failures(2);
    ctx.step(
        "Some messages fail each time. The server counts deliveries, but not why a message came again. So the pattern sets that count \
         back after a failure, and counts failures in a Hash. Here the limit is two. A message that fails returns to the group, and any worker claims it after a \
         pause:",
    )
    .await?;
    ctx.script(&lua(&stream_worker::FAIL).section()).await?;
    ctx.announce("EVALSHA publishes, claims, and fails once. XREADGROUP reads.");
    quiet.stream().publish("poison", b"-1 apples").await?;
    let mut messages = quiet.read(&ctx.target().connection(), "c1", 10, Duration::ZERO).await?;
    for message in &messages {
        quiet.fail(message, "c1", "less than one apple").await?;
    }
    messages.clear();
    while messages.is_empty() {
        messages = quiet.claim("c2", "0-0", 10).await?.messages;
    }
    let traced = group(ctx.redis(), ctx.prefix()).with_max_failures(2);
    ctx.step("The message came back to c2. It has failed once, and no worker was lost. It fails again:")
        .await?;
    for message in &messages {
        traced.fail(message, "c2", "less than one apple").await?;
    }
    let dead = traced.dead_letters("0-0", 10).await?;
    let status = traced.status().await?;
    let counted: Vec<(u32, u32)> =
        messages.iter().map(|message| (message.failures, message.workers_lost)).collect();
    ctx.check_eq("failures and lost workers are counted apart", &counted, &vec![(1, 0)])?;
    let found: Vec<&str> = dead.iter().map(|letter| letter.reason.as_str()).collect();
    ctx.check_eq("it is a dead letter now, with the reason", &found, &vec!["less than one apple"])?;
    ctx.check_eq("nothing is pending", &status.pending, &0)?;
    Ok(())
}

async fn fill_it(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, key) = (ctx.redis(), raw(ctx.prefix()));
    ctx.step(
        "A stream needs a bound. XADD with MAXLEN deletes the oldest entries, whether a group has handled them or not, and the reply \
         does not say so. c1's two orders are still pending. A third one comes, with room for one:",
    )
    .await?;
    let mut add = redis::cmd("XADD");
    add.arg(&key).arg("MAXLEN").arg("=").arg(1).arg("*").arg("id").arg("order-3");
    add.exec_async(&mut redis).await?;
    let mut claim = redis::cmd("XAUTOCLAIM");
    claim.arg(&key).arg("billing").arg("c2").arg(0).arg("0-0");
    let (_, claimed, deleted): (String, Vec<Value>, Vec<String>) = claim.query_async(&mut redis).await?;
    ctx.check(
        "a worker that claims learns that two messages are lost",
        deleted.len() == 2 && claimed.is_empty(),
    )?;

    let small = StreamQueue::new(ctx.redis(), ctx.prefix(), "small").with_max_entries(2);
    ctx.step(
        "The pattern trims only what all groups have acknowledged. When that is not enough, the producer learns so, and waits. (Or it \
         drops the oldest, and the reply and a counter say how many.)",
    )
    .await?;
    let mut published = Vec::new();
    for order in ["order-1", "order-2", "order-3"] {
        published.push(small.publish(order, b"").await?);
    }
    ctx.check_eq("the third message is refused", &published[2], &Published::Full)?;
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    let approaches = Consuming::all(ctx.can("XACKDEL").await);
    ctx.step(
        "What does it cost? Each row publishes messages, reads them, counts each one, and acknowledges it. One by one, each step is a \
         round trip for each message. In batches, each step is a round trip for 50. The pattern also publishes once for each ID, \
         and acknowledges and counts in one script.",
    )
    .await?;
    let messages = Messages::new(ctx.prefix(), ctx.fit("messages", COMPARED, 2, 8.0));
    ctx.compare(Comparison { title: "Handling messages", approaches: &approaches, input: &messages }).await?;
    Ok(())
}
