//! What can a string do? Store, read, change, and remove: one key, or many.
//!
//! `cargo simple strings`

mod read_many;

use std::sync::Arc;

use lab_connection::Connection;
use lab_runner::clients::{connect, run_clients};
use lab_runner::{Comparison, Keys, Lesson, LessonContext, LessonError, Need, Outcome, source};
use redis::{AsyncTypedCommands, ExistenceCheck, SetExpiry, SetOptions};
use tokio::sync::Barrier;

pub use self::read_many::{Prices, ReadMany};

/// SET, GET, and their options; many keys at once.
pub static LESSON: Lesson = Lesson {
    name: "strings",
    title: "Strings",
    question: "What can a string do, and how do you read a hundred of them?",
    commands: &["SET", "GET", "APPEND", "STRLEN", "GETDEL", "MSET", "MGET"],
    // GETDEL came with Redis 6.2, and so did the GET option of SET.
    needs: &[Need { command: "GETDEL", available_in: "--server valkey-9.1" }],
    sources: &[source!("src/strings.rs"), source!("src/strings/read_many.rs")],
    rule: "Ask for many keys in one round trip, with MGET or a pipeline.",
    takeaways: &[
        "A string holds any bytes, up to 512 MB. Small ones keep the server quick for everybody.",
        "SET with NX or XX checks and writes in one step, and with GET it returns the old value. GETDEL reads and removes in one step.",
        "A missing key is nil, which is not the empty string.",
    ],
    quiz: &[1, 2, 137],
    run: |ctx| Box::pin(run(ctx)),
};

/// Customers who try to use the same coupon at once.
const CUSTOMERS: usize = 8;
/// Prices that the comparison reads.
const PRICES: usize = 100;
/// Round trips in a row for one price: GET one by one, in the check and in three rounds.
const ROUND_TRIPS: f64 = 4.0;

/// The first bytes of every PNG file. A newline, a carriage return, and NULs are among them.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let names = ["greeting", "order:1001:status", "coupon:WELCOME10", "thumbnail:123"];
    let [greeting, status, coupon, thumbnail] = names.map(|name| keys.key(name));
    // Nothing writes the motto.
    let [currency, country, motto] =
        ["currency", "country", "motto"].map(|name| keys.key(format_args!("shop:{name}")));
    ctx.start_clean(&[&greeting, &status, &coupon, &thumbnail].map(String::clone)).await?;
    ctx.start_clean(&[currency.clone(), country.clone()]).await?;

    set_and_get(ctx, &greeting, &motto).await?;
    set_on_a_condition(ctx, &status).await?;
    take_once(ctx, &coupon).await?;
    store_any_bytes(ctx, &thumbnail).await?;
    read_several(ctx, [&currency, &country, &motto]).await?;
    compare(ctx, &keys).await?;

    ctx.keys([greeting, status, thumbnail, currency, keys.key("price:1")]);
    Ok(())
}

async fn set_and_get(ctx: &LessonContext, greeting: &str, motto: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A key has a name and a value. The simplest value is a string: SET stores it, GET reads it.")
        .await?;
    redis.set(greeting, "hello").await?;
    let stored = redis.get(greeting).await?;
    ctx.check("GET returns what SET stored", stored.as_deref() == Some("hello"))?;

    ctx.step(
        "APPEND adds to the end and returns the new length in bytes. You don't send the whole value again.",
    )
    .await?;
    let length = redis.append(greeting, ", world").await?;
    let same = redis.strlen(greeting).await?;
    ctx.check("'hello, world' is 12 bytes long", (length, same) == (12, 12))?;

    ctx.step("A key that doesn't exist reads as nil. That is not the same as an empty string.").await?;
    let missing = redis.get(motto).await?;
    ctx.check("a missing key is nil: None in Rust", missing.is_none())
}

async fn set_on_a_condition(ctx: &LessonContext, status: &str) -> Outcome {
    let mut redis = ctx.redis();
    let options = SetOptions::default;

    let guess = ctx
        .step(
            "SET overwrites without asking. With XX it writes only if the key exists, with NX only if it doesn't. Then a nil means \
             that nothing was written. At first, this key doesn't exist.",
        )
        .predict("How many of the three SETs write?", ["1", "2", "3"])
        .await?;
    let changed = redis.set_options(status, "paid", options().conditional_set(ExistenceCheck::XX)).await?;
    let created = redis.set_options(status, "new", options().conditional_set(ExistenceCheck::NX)).await?;
    let created_again =
        redis.set_options(status, "new", options().conditional_set(ExistenceCheck::NX)).await?;
    guess.answer([&changed, &created, &created_again].into_iter().flatten().count())?;
    ctx.check("XX does not create a key", changed.is_none())?;
    ctx.check("of two SETs with NX, one wins", created.is_some() && created_again.is_none())?;

    ctx.step("With GET, SET returns the value that it replaced: a swap in one step. Then a nil means that there was no value before.").await?;
    let before =
        redis.set_options(status, "paid", options().conditional_set(ExistenceCheck::XX).get(true)).await?;
    ctx.check("the old status came back", before.as_deref() == Some("new"))?;

    ctx.step(
        "EX gives the key a time to live in seconds. A later SET takes it away again, unless it says KEEPTTL. The lesson \
         'expiry' has more of this.",
    )
    .await?;
    redis.set_options(status, "packed", options().with_expiration(SetExpiry::EX(3600))).await?;
    redis.set_options(status, "sent", options().with_expiration(SetExpiry::KEEPTTL)).await?;
    let ttl = redis.ttl(status).await?;
    ctx.check("the new value has kept the old time to live", ttl.raw() > 0)
}

async fn take_once(ctx: &LessonContext, coupon: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step(
        "GETDEL reads a key and removes it in one step. Between a GET and a DEL, another client could read the key, too. So it \
         suits what you may use only once, such as a coupon.",
    )
    .await?;
    redis.set(coupon, "10% off").await?;
    let first = redis.get_del(coupon).await?;
    let second = redis.get_del(coupon).await?;
    ctx.check("the coupon works once", first.is_some() && second.is_none())?;

    ctx.step(format!(
        "Here {CUSTOMERS} customers, each on their own connection, send GETDEL at the same moment."
    ))
    .await?;
    redis.set(coupon, "10% off").await?;
    let lucky = all_take_at_once(ctx, coupon).await?;
    ctx.check(format!("{lucky} of {CUSTOMERS} customers got the coupon"), lucky == 1)
}

/// How many of the customers get the coupon.
async fn all_take_at_once(ctx: &LessonContext, coupon: &str) -> Result<usize, LessonError> {
    ctx.announce(format!("{CUSTOMERS} clients: GETDEL {coupon}, once each"));
    let start = Arc::new(Barrier::new(CUSTOMERS));
    let take = |_, mut redis: Connection| {
        let (coupon, start) = (coupon.to_owned(), Arc::clone(&start));
        async move {
            start.wait().await;
            redis.get_del(coupon).await
        }
    };
    let taken = run_clients(&connect(ctx.target(), CUSTOMERS).await?, take).await?;
    Ok(taken.iter().flatten().count())
}

async fn store_any_bytes(ctx: &LessonContext, thumbnail: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step(
        "A string holds bytes, not characters: text, numbers, JSON, a picture. A NUL or a newline doesn't end it. One string can be \
         up to 512 MB long, but a large reply keeps all other clients waiting.",
    )
    .await?;
    redis.set(thumbnail, PICTURE).await?;
    let stored: Vec<u8> = redis::cmd("GET").arg(thumbnail).query_async(&mut redis).await?;
    ctx.check("every byte came back, NULs and newlines included", stored == PICTURE)
}

async fn read_several(ctx: &LessonContext, [currency, country, motto]: [&str; 3]) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx
        .step(
            "MSET writes several keys and MGET reads several, in one round trip each. MGET answers in the order in which you ask. \
             Here it asks for three keys, and the one in the middle doesn't exist.",
        )
        .predict("How many values does MGET return?", ["1", "2", "3"])
        .await?;
    redis.mset(&[(currency, "EUR"), (country, "DE")]).await?;
    let read = redis.mget(&[currency, motto, country]).await?;
    guess.answer(read.len())?;
    ctx.say(
        "It returns nil for each key that doesn't exist. So you can tell which value belongs to which key.",
    );
    let texts: Vec<Option<&str>> = read.iter().map(Option::as_deref).collect();
    ctx.check_eq("the missing key is nil, in its place", &texts, &vec![Some("EUR"), None, Some("DE")])?;
    ctx.say(
        "On one server MSET is atomic: nobody sees half of it. On a cluster, keys live on different nodes, and redis-rs sends each node \
         its share. MGET and MSET still work there, but no longer as one step.",
    );
    Ok(())
}

async fn compare(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(
        "Which is faster? With one GET for each key, you wait for every reply. MGET asks for all keys in one command. A pipeline sends \
         all GETs without waiting in between, and can mix any commands.",
    )
    .await?;
    ctx.function("one_by_one");
    ctx.function("by_mget");
    ctx.function("by_pipeline");
    if ctx.target().is_cluster() {
        ctx.say(
            "On this cluster, redis-rs splits MGET and the pipeline: each node gets its share, all at once.",
        );
    }
    let prices = Prices::first(ctx.fit("prices", PRICES, 5, ROUND_TRIPS), keys);
    let title = format!("Reading {} strings", prices.keys().len());
    ctx.compare(Comparison { title: &title, approaches: &ReadMany::ALL, input: &prices }).await
}
