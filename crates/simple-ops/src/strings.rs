//! What can a string do? Store, read, change and remove; one key or many.
//!
//! `cargo simple strings`

mod read_many;

use std::sync::Arc;

use lab_runner::{Comparison, Lesson, LessonContext, LessonError, Need, Outcome};
use redis::{AsyncTypedCommands, ExistenceCheck, SetExpiry, SetOptions};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

pub use self::read_many::{Prices, ReadMany};
use crate::clients::join_all;
use crate::keys::Keys;

/// SET, GET and their options; many keys at once.
pub static LESSON: Lesson = Lesson {
    name: "strings",
    title: "Strings",
    question: "What can a string do, and how does one read a hundred of them?",
    commands: &["SET", "GET", "APPEND", "STRLEN", "GETDEL", "MSET", "MGET"],
    // GETDEL came with Redis 6.2, and so did the GET option of SET.
    needs: &[Need { command: "GETDEL", available_in: "--server valkey-9.1" }],
    sources: &[lab_runner::source!("src/strings.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many customers try to use the same coupon at once.
const CUSTOMERS: usize = 8;
/// How many prices the comparison reads.
const PRICES: usize = 100;

/// The first bytes of every PNG file, with a newline and a carriage return, and a NUL after them.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let prices = Prices::first(PRICES, &keys);
    ctx.start_clean(&[
        keys.greeting(),
        keys.order_status(),
        keys.coupon(),
        keys.thumbnail(),
        keys.currency(),
        keys.country(),
    ])
    .await?;
    ctx.start_clean(prices.keys()).await?;

    set_and_get(ctx, &keys).await?;
    set_under_conditions(ctx, &keys).await?;
    take_once(ctx, &keys).await?;
    store_any_bytes(ctx, &keys).await?;
    read_several(ctx, &keys).await?;
    compare(ctx, &prices).await?;

    ctx.keys([keys.greeting(), keys.order_status(), keys.thumbnail(), keys.currency(), keys.price(1)]);
    Ok(())
}

async fn set_and_get(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let greeting = keys.greeting();

    ctx.step(
        "A key has a name and a value. The simplest value is a string: SET stores it, GET reads it back.",
    )
    .await?;
    redis.set(&greeting, "hello").await?;
    let stored = redis.get(&greeting).await?;
    ctx.check("GET returns what SET stored", stored.as_deref() == Some("hello"))?;

    ctx.step("APPEND adds to the end and returns the new length, in bytes. Nobody has to send the whole value again.").await?;
    let length = redis.append(&greeting, ", world").await?;
    ctx.check("'hello, world' is 12 bytes long", length == 12 && redis.strlen(&greeting).await? == 12)?;

    ctx.step("A key that does not exist reads as nil. That is not the same as an empty string.").await?;
    let missing = redis.get(keys.never_written()).await?;
    ctx.check("a missing key is nil: None in Rust", missing.is_none())
}

async fn set_under_conditions(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let status = keys.order_status();
    let if_new = || SetOptions::default().conditional_set(ExistenceCheck::NX);
    let if_there = || SetOptions::default().conditional_set(ExistenceCheck::XX);

    ctx.step(
        "SET overwrites whatever was there, without asking. With XX it writes only if the key exists already, with NX \
         only if it does not. nil means: nothing was written.",
    ).await?;
    let changed = redis.set_options(&status, "paid", if_there()).await?;
    ctx.check("XX does not create a key", changed.is_none())?;
    let created = redis.set_options(&status, "new", if_new()).await?;
    let created_again = redis.set_options(&status, "new", if_new()).await?;
    ctx.check("of two SETs with NX, one wins", created.is_some() && created_again.is_none())?;

    ctx.step("With GET (since Redis 6.2), SET returns the value that it replaced: a swap in one step.")
        .await?;
    let before = redis.set_options(&status, "paid", if_there().get(true)).await?;
    ctx.check("the old status came back", before.as_deref() == Some("new"))?;

    ctx.step(
        "EX gives the key a time to live in seconds. A later SET takes it away again, unless it says KEEPTTL (since \
         Redis 6.0). The lesson 'expiry' has more of this.",
    ).await?;
    redis.set_options(&status, "packed", SetOptions::default().with_expiration(SetExpiry::EX(3600))).await?;
    redis.set_options(&status, "sent", SetOptions::default().with_expiration(SetExpiry::KEEPTTL)).await?;
    let ttl = redis.ttl(&status).await?;
    ctx.check("the new value has kept the old time to live", ttl.raw() > 0)
}

async fn take_once(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let coupon = keys.coupon();

    ctx.step(
        "GETDEL (since Redis 6.2) reads a key and removes it, in one step. Between a GET and a DEL another client \
         could read the key too; here nobody can. That suits what may be used only once.",
    ).await?;
    redis.set(&coupon, "10 % off").await?;
    let first = redis.get_del(&coupon).await?;
    let second = redis.get_del(&coupon).await?;
    ctx.check("the coupon works once", first.is_some() && second.is_none())?;

    redis.set(&coupon, "10 % off").await?;
    let lucky = all_take_at_once(ctx, &coupon).await?;
    ctx.check(format!("of {CUSTOMERS} customers who take it at the same moment, 1 gets it"), lucky == 1)
}

/// How many of the customers, each on a connection of their own, get the coupon.
async fn all_take_at_once(ctx: &LessonContext, coupon: &str) -> Result<usize, LessonError> {
    let start = Arc::new(Barrier::new(CUSTOMERS));
    let mut customers = JoinSet::new();
    for _ in 0..CUSTOMERS {
        let mut redis = ctx.target().dedicated().await?;
        let (coupon, start) = (coupon.to_owned(), Arc::clone(&start));
        customers.spawn(async move {
            start.wait().await;
            redis.get_del(coupon).await
        });
    }
    let taken: Vec<Option<String>> = join_all(customers).await?;
    Ok(taken.iter().flatten().count())
}

async fn store_any_bytes(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let thumbnail = keys.thumbnail();

    ctx.step(
        "A string holds bytes, not characters: text, numbers, JSON, a picture. Redis neither changes nor ends them at \
         a NUL or a newline. One string can be up to 512 MB long (the default of proto-max-bulk-len); small ones are \
         better, because one large reply keeps all other clients waiting.",
    ).await?;
    redis.set(&thumbnail, PICTURE).await?;
    let stored: Vec<u8> = redis::cmd("GET").arg(&thumbnail).query_async(&mut redis).await?;
    ctx.check("every byte came back, NUL and newlines included", stored == PICTURE)
}

async fn read_several(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step(
        "MSET writes several keys, MGET reads several, in one round trip each. MGET answers in the order of the \
         question, with nil for each key that is not there.",
    ).await?;
    redis.mset(&[(keys.currency(), "EUR"), (keys.country(), "DE")]).await?;
    let read = redis.mget(&[keys.currency(), keys.never_written(), keys.country()]).await?;
    let texts: Vec<Option<&str>> = read.iter().map(Option::as_deref).collect();
    ctx.check_eq(
        "the key that is not there is nil, at its place",
        &texts,
        &vec![Some("EUR"), None, Some("DE")],
    )?;

    ctx.step(
        "On one server MSET is atomic: nobody sees half of it. In a cluster keys live on different nodes, and redis-rs \
         sends each node its share: MGET and MSET still work, but no longer as one step.",
    ).await?;
    Ok(())
}

async fn compare(ctx: &LessonContext, prices: &Prices) -> Outcome {
    ctx.step(format!(
        "Now {PRICES} prices. One GET each means {PRICES} times the way to the server and back. MGET asks for all in one \
         command; a pipeline sends {PRICES} GETs without waiting in between. (Unlike MGET, a pipeline can mix any \
         commands.) All three are checked to return the same prices before they are timed.",
    )).await?;
    if ctx.target().is_cluster() {
        ctx.step(
            "On this cluster the prices are in many slots. MGET and the pipeline are split: each node gets its share, all \
             at once, and the replies come back in order.",
        ).await?;
    }
    let approaches = [ReadMany::OneByOne, ReadMany::Mget, ReadMany::Pipeline];
    let title = format!("Reading {PRICES} strings");
    ctx.compare(Comparison { title: &title, approaches: &approaches, input: prices }).await
}
