//! What can a string do? Store, read, change and remove; one key or many.
//!
//! `cargo simple strings`

mod read_many;

use std::sync::Arc;

use lab_runner::{Comparison, Lesson, LessonError, Need, Outcome, Page};
use redis::{AsyncTypedCommands, ExistenceCheck, SetExpiry, SetOptions};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

pub use self::read_many::{Prices, ReadMany};
use crate::crowd::all_end;
use crate::keys::Keys;

/// SET, GET and their options; many keys at once.
pub static LESSON: Lesson = Lesson {
    name: "strings",
    title: "Strings",
    asks: "What can a string do, and how does one read a hundred of them?",
    teaches: &["SET", "GET", "APPEND", "STRLEN", "GETDEL", "MSET", "MGET"],
    // GETDEL came with Redis 6.2, and so did the GET option of SET.
    needs: &[Need { command: "GETDEL", had_by: "--server valkey-9.1" }],
    teach: |page| Box::pin(teach(page)),
};

/// How many customers try to use the same coupon at once.
const CUSTOMERS: usize = 8;
/// How many prices the comparison reads.
const PRICES: usize = 100;

/// The first bytes of every PNG file, with a newline and a carriage return, and a NUL after them.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

async fn teach(page: &mut Page) -> Outcome {
    let keys = Keys::new(page.prefix());
    let prices = Prices::first(PRICES, &keys);
    page.start_clean(&[
        keys.greeting(),
        keys.order_status(),
        keys.coupon(),
        keys.thumbnail(),
        keys.currency(),
        keys.country(),
    ])
    .await?;
    page.start_clean(prices.keys()).await?;

    set_and_get(page, &keys).await?;
    set_under_conditions(page, &keys).await?;
    take_once(page, &keys).await?;
    store_any_bytes(page, &keys).await?;
    read_several(page, &keys).await?;
    compare(page, &prices).await?;

    page.keys([keys.greeting(), keys.order_status(), keys.thumbnail(), keys.currency(), keys.price(1)]);
    Ok(())
}

async fn set_and_get(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let greeting = keys.greeting();

    page.say(
        "A key has a name and a value. The simplest value is a string: SET stores it, GET reads it back.",
    );
    redis.set(&greeting, "hello").await?;
    let stored = redis.get(&greeting).await?;
    page.check("GET returns what SET stored", stored.as_deref() == Some("hello"))?;

    page.say("APPEND adds to the end and returns the new length, in bytes. Nobody has to send the whole value again.");
    let length = redis.append(&greeting, ", world").await?;
    page.check("'hello, world' is 12 bytes long", length == 12 && redis.strlen(&greeting).await? == 12)?;

    page.say("A key that does not exist reads as nil. That is not the same as an empty string.");
    let missing = redis.get(keys.never_written()).await?;
    page.check("a missing key is nil: None in Rust", missing.is_none())
}

async fn set_under_conditions(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let status = keys.order_status();
    let if_new = || SetOptions::default().conditional_set(ExistenceCheck::NX);
    let if_there = || SetOptions::default().conditional_set(ExistenceCheck::XX);

    page.say(
        "SET overwrites whatever was there, without asking. With XX it writes only if the key exists already, with NX \
         only if it does not. nil means: nothing was written.",
    );
    let changed = redis.set_options(&status, "paid", if_there()).await?;
    page.check("XX does not create a key", changed.is_none())?;
    let created = redis.set_options(&status, "new", if_new()).await?;
    let created_again = redis.set_options(&status, "new", if_new()).await?;
    page.check("of two SETs with NX, one wins", created.is_some() && created_again.is_none())?;

    page.say("With GET (since Redis 6.2), SET returns the value that it replaced: a swap in one step.");
    let before = redis.set_options(&status, "paid", if_there().get(true)).await?;
    page.check("the old status came back", before.as_deref() == Some("new"))?;

    page.say(
        "EX gives the key a time to live in seconds. A later SET takes it away again, unless it says KEEPTTL (since \
         Redis 6.0). The lesson 'expiry' has more of this.",
    );
    redis.set_options(&status, "packed", SetOptions::default().with_expiration(SetExpiry::EX(3600))).await?;
    redis.set_options(&status, "sent", SetOptions::default().with_expiration(SetExpiry::KEEPTTL)).await?;
    let ttl = redis.ttl(&status).await?;
    page.check("the new value has kept the old time to live", ttl.raw() > 0)
}

async fn take_once(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let coupon = keys.coupon();

    page.say(
        "GETDEL (since Redis 6.2) reads a key and removes it, in one step. Between a GET and a DEL another client \
         could read the key too; here nobody can. That suits what may be used only once.",
    );
    redis.set(&coupon, "10 % off").await?;
    let first = redis.get_del(&coupon).await?;
    let second = redis.get_del(&coupon).await?;
    page.check("the coupon works once", first.is_some() && second.is_none())?;

    redis.set(&coupon, "10 % off").await?;
    let lucky = all_take_at_once(page, &coupon).await?;
    page.check(format!("of {CUSTOMERS} customers who take it at the same moment, 1 gets it"), lucky == 1)
}

/// How many of the customers, each on a connection of their own, get the coupon.
async fn all_take_at_once(page: &Page, coupon: &str) -> Result<usize, LessonError> {
    let start = Arc::new(Barrier::new(CUSTOMERS));
    let mut customers = JoinSet::new();
    for _ in 0..CUSTOMERS {
        let mut redis = page.target().dedicated().await?;
        let (coupon, start) = (coupon.to_owned(), Arc::clone(&start));
        customers.spawn(async move {
            start.wait().await;
            redis.get_del(coupon).await
        });
    }
    let taken: Vec<Option<String>> = all_end(customers).await?;
    Ok(taken.iter().flatten().count())
}

async fn store_any_bytes(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let thumbnail = keys.thumbnail();

    page.say(
        "A string holds bytes, not characters: text, numbers, JSON, a picture. Redis neither changes nor ends them at \
         a NUL or a newline. One string can be up to 512 MB long (the default of proto-max-bulk-len); small ones are \
         better, because one large reply keeps all other clients waiting.",
    );
    redis.set(&thumbnail, PICTURE).await?;
    let stored: Vec<u8> = redis::cmd("GET").arg(&thumbnail).query_async(&mut redis).await?;
    page.check("every byte came back, NUL and newlines included", stored == PICTURE)
}

async fn read_several(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();

    page.say(
        "MSET writes several keys, MGET reads several, in one round trip each. MGET answers in the order of the \
         question, with nil for each key that is not there.",
    );
    redis.mset(&[(keys.currency(), "EUR"), (keys.country(), "DE")]).await?;
    let read = redis.mget(&[keys.currency(), keys.never_written(), keys.country()]).await?;
    let texts: Vec<Option<&str>> = read.iter().map(Option::as_deref).collect();
    page.check_eq(
        "the key that is not there is nil, at its place",
        &texts,
        &vec![Some("EUR"), None, Some("DE")],
    )?;

    page.say(
        "On one server MSET is atomic: nobody sees half of it. In a cluster keys live on different nodes, and redis-rs \
         sends each node its share: MGET and MSET still work, but no longer as one step.",
    );
    Ok(())
}

async fn compare(page: &Page, prices: &Prices) -> Outcome {
    page.say(format!(
        "Now {PRICES} prices. One GET each means {PRICES} times the way to the server and back. MGET asks for all in one \
         command; a pipeline sends {PRICES} GETs without waiting in between. (Unlike MGET, a pipeline can mix any \
         commands.) All three are checked to return the same prices before they are timed.",
    ));
    if page.target().is_cluster() {
        page.say(
            "On this cluster the prices are in many slots. MGET and the pipeline are split: each node gets its share, all \
             at once, and the replies come back in order.",
        );
    }
    let approaches = [ReadMany::OneByOne, ReadMany::Mget, ReadMany::Pipeline];
    let title = format!("Reading {PRICES} strings");
    page.compare(Comparison { title: &title, approaches: &approaches, subject: prices }).await
}
