//! Who gets a message that is published, and what happens to the others?
//!
//! `cargo work pub-sub`

mod announcing;
mod subscribers;

use lab_runner::pattern_scripts::lua;
use lab_runner::table::Table;
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, Need, outcome, source};
use patterns::broadcast::{self, Broadcast, Position};
use redis::AsyncTypedCommands;

pub use self::announcing::{Announcements, Announcing};
pub use self::subscribers::{PAYLOAD, SlowResult, heard_by_a_phone, read_by_a_phone, slow_subscriber};

/// Messages that nobody keeps, and a broadcast that resumes.
pub static LESSON: Lesson = Lesson {
    name: "pub-sub",
    title: "Pub/sub",
    question: "Who gets a message that is published, and what happens to the others?",
    commands: &["PUBLISH", "SPUBLISH", "EVALSHA", "XLEN"],
    needs: &[],
    sources: &[
        source!("src/pub_sub.rs"),
        source!("src/pub_sub/subscribers.rs"),
        source!("src/pub_sub/announcing.rs"),
    ],
    rule: "Publish only what may be missed; put a bounded stream behind everything else, and tell subscribers about gaps.",
    takeaways: &[
        "PUBLISH replies with how many clients got the message. Nothing keeps it for anyone else.",
        "The server cuts off a subscriber that reads too slowly, and what waited for it is lost.",
        "A subscriber that remembers the last ID can resume. If that ID is too old, it must learn so.",
    ],
    quiz: &[56, 57, 62],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Messages to a phone: a third before it is away, a third meanwhile, a third afterward.
pub const MESSAGES: usize = 30;
const THIRD: usize = MESSAGES / 3;
/// Messages of the comparison.
const COMPARED: usize = 300;
const SPUBLISH: Need = Need { command: "SPUBLISH", available_in: "Redis 7.0 or Valkey 7.2" };
const PRIVATE: Need = Need {
    command: "CONFIG SET client-output-buffer-limit",
    available_in: "the private server, because the limit is the whole server's",
};

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let news = Broadcast::new(ctx.target().connection(), ctx.prefix(), "news");
    let [log, last] = news.keys()?;
    let trimmed = Broadcast::new(ctx.target().connection(), ctx.prefix(), "trimmed").keys()?;
    let compared = Announcements::new(ctx.prefix(), 0).keys()?;
    let all = [&[log.clone(), last.clone()], &trimmed[..], &compared[..]].concat();
    ctx.start_clean(&all).await?;

    let heard = be_away(ctx).await?;
    be_slow(ctx).await?;
    resume(ctx, heard).await?;
    notice_the_gap(ctx).await?;
    use_shards(ctx).await?;
    compare(ctx).await?;
    ctx.start_clean(&compared).await?;
    ctx.keys([log, last]);
    Ok(())
}

async fn be_away(ctx: &LessonContext) -> Result<usize, BoxError> {
    let mut redis = ctx.redis();
    let channel = format!("{}news", ctx.prefix());
    ctx.step(
        "PUBLISH hands a message to every client that is subscribed at that moment, and replies how many there were. Nobody is \
         subscribed here:",
    )
    .await?;
    let receivers = redis.publish(&channel, "Your order is on its way").await?;
    ctx.check("nobody got it, and nothing keeps it", receivers == 0)?;

    let guess = ctx
        .step(format!(
            "Now a phone subscribes, and {MESSAGES} messages come. During the second third of them, the phone is in a tunnel. Then it \
             subscribes again."
        ))
        .predict("How many messages does the phone get?", ["10", "20", "30"])
        .await?;
    ctx.function("heard_by_a_phone");
    ctx.announce("SUBSCRIBE, on a connection of the phone, and PUBLISH for each message.");
    let heard = heard_by_a_phone(ctx.target(), &channel).await?;
    guess.answer(heard)?;
    ctx.check_eq(
        &format!("{THIRD} of {MESSAGES} messages are lost, and the phone does not know"),
        &heard,
        &(MESSAGES - THIRD),
    )?;
    Ok(heard)
}

async fn be_slow(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "A subscriber that is there can lose messages, too. What it does not read waits in the server's memory. At a limit, 32 MB \
         by default, the server cuts it off. This subscriber reads nothing at first, and the limit is 256 KB:",
    )
    .await?;
    ctx.function("publish_until_cut_off");
    if ctx.target().private().is_none() || ctx.target().is_cluster() {
        ctx.skip(PRIVATE);
        return Ok(());
    }
    ctx.announce(format!(
        "CONFIG GET and CONFIG SET client-output-buffer-limit, at the end back to what it was. SUBSCRIBE on a connection of the \
         subscriber, PUBSUB NUMSUB until it is there, then PUBLISH with {} KB each.",
        PAYLOAD / 1024
    ));
    let Some(SlowResult { published, received }) = slow_subscriber(ctx.target()).await? else {
        ctx.skip(PRIVATE);
        return Ok(());
    };
    let numbers = [published, received, published - received];
    ctx.table(Table::new("A subscriber that does not read", &["published", "received", "lost"]).row(numbers));
    ctx.check("it was cut off: it got what was on its way to it, and lost the rest", received < published)?;
    Ok(())
}

async fn resume(ctx: &LessonContext, heard: usize) -> Result<(), BoxError> {
    ctx.step(
        "A stream keeps what was published, up to a bound. Each entry also names the entry before it, so that a reader can tell \
         whether one is missing:",
    )
    .await?;
    ctx.script(&lua(&broadcast::PUBLISH).whole()).await?;
    ctx.script(&lua(&broadcast::READ).contract()).await?;

    let news = Broadcast::new(ctx.redis(), ctx.prefix(), "news");
    ctx.step("A follower reads one message, and remembers its ID. It is away when the second one comes, and resumes:").await?;
    news.publish(b"one").await?;
    let (_, first, seen) = news.read(&Position::Start).await?;
    news.publish(b"two").await?;
    let (gap, second, _) = news.read(&Position::After(seen)).await?;
    let texts: Vec<&[u8]> = first.iter().chain(&second).map(|message| message.payload.as_slice()).collect();
    ctx.check("both messages arrived, in order", texts == [b"one", b"two"])?;
    ctx.check("nothing is missing between them", !gap)?;

    ctx.step(format!("The same {MESSAGES} messages, and the same tunnel:")).await?;
    ctx.function("read_by_a_phone");
    let quiet = ctx.untraced("EVALSHA publishes and reads.");
    let read = read_by_a_phone(&Broadcast::new(quiet, ctx.prefix(), "news")).await?;
    let mut table = Table::new("A phone in a tunnel", &["sent by", "sent", "received", "lost"]);
    for (label, received) in [("PUBLISH", heard), ("broadcast", read)] {
        table = table.labeled(label, [MESSAGES, received, MESSAGES - received]);
    }
    ctx.table(table);
    ctx.check_eq("the follower has them all", &read, &MESSAGES)?;
    Ok(())
}

async fn notice_the_gap(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let quiet = Broadcast::new(ctx.target().connection(), ctx.prefix(), "trimmed").with_max_entries(1);
    let messages = ctx.fit("messages", 250, 250, 0.05);
    let first = quiet.publish(b"0").await?;
    let payloads: Vec<String> = (1..messages).map(|number| number.to_string()).collect();
    lab_runner::concurrent::try_join_all(payloads.iter().map(|text| quiet.publish(text.as_bytes()))).await?;
    let trimmed = Broadcast::new(ctx.redis(), ctx.prefix(), "trimmed");
    let key = trimmed.key()?;
    let guess = ctx
        .step(format!(
            "The stream is bounded. {messages} messages came, and its limit is one entry. A follower saw the first message, was away, and \
             asks for what came after it:"
        ))
        .predict("What does it get?", ["all that it missed", "the latest, and a warning", "only the latest"])
        .await?;
    let entries: usize = redis::cmd("XLEN").arg(key.as_str()).query_async(&mut redis).await?;
    let (gap, messages_left, _) = trimmed.read(&Position::After(first)).await?;
    guess.answer(match (messages_left.len(), gap) {
        (left, _) if left + 1 == messages => "all that it missed",
        (_, true) => "the latest, and a warning",
        (_, false) => "only the latest",
    })?;
    ctx.announce("EVALSHA published the messages before.");
    ctx.say("MAXLEN with ~ removes only whole nodes of the stream, so more than one entry is there.");
    ctx.check("most messages are gone", entries < messages)?;
    ctx.check("the first entry that is left does not follow what the follower saw: a gap, not silence", gap)?;
    ctx.check("then it goes on with the oldest that is kept", !messages_left.is_empty())?;
    ctx.start_clean(&trimmed.keys()?).await?;
    Ok(())
}

async fn use_shards(ctx: &LessonContext) -> Result<(), BoxError> {
    let news = Broadcast::new(ctx.redis(), ctx.prefix(), "news").sharded();
    let can = ctx.can("SPUBLISH").await;
    ctx.step(
        "On a cluster, PUBLISH goes to every node, subscribed or not. A shard channel lives in one slot: SPUBLISH goes only \
         to the nodes of that slot, and clients use SSUBSCRIBE there. It promises as little as PUBLISH:",
    )
    .await?;
    if can {
        let receivers = news.announce(b"reload").await?;
        ctx.check("nobody got it", receivers == 0)?;
    } else {
        ctx.skip(SPUBLISH);
    }
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "What does it cost to keep a message? Nobody subscribes here, so this is the publisher's part, 50 calls at a time. The \
         broadcast is a script: it reads the last ID, adds the entry, trims, and remembers the ID.",
    )
    .await?;
    let count = ctx.fit("messages", COMPARED, 50, 0.1);
    let announcements = Announcements::new(ctx.prefix(), count);
    ctx.compare(Comparison { title: "Publishing", approaches: &Announcing::ALL, input: &announcements })
        .await?;
    Ok(())
}
