//! What does a cache save, and what happens at the moment when it is empty?
//!
//! `cargo ecommerce caching`

mod hit;
mod misses;
mod tracking;

use std::convert::Infallible;
use std::time::Duration;

use lab_connection::Connection;
use lab_runner::pattern_scripts::{load as load_scripts, lua};
use lab_runner::table::{Table, percent, thousands};
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::cache::{self, ASK, Cache, STORE};
use redis::AsyncTypedCommands;
use serde_json::{Value, json};

pub use self::hit::{CacheHit, Documents};

/// Cache-aside, stampedes, and one loader for all.
pub static LESSON: Lesson = Lesson {
    name: "caching",
    title: "Caching",
    question: "What does a cache save, and what happens at the moment when it is empty?",
    commands: &["GET", "SETEX", "EVALSHA", "TTL", "UNLINK"],
    needs: &[],
    sources: &[
        source!("src/caching.rs"),
        source!("src/caching/misses.rs"),
        source!("src/caching/tracking.rs"),
    ],
    rule: "Let one client load what is missing, and let it store the value only if nobody deleted the entry meanwhile.",
    takeaways: &[
        "After a write to the database, delete the cached entry. Do not update it.",
        "Cache for a short time that something does not exist, and shorten each TTL at random.",
        "Measure the hit rate. A cache that is rarely hit makes most requests slower: a miss costs another round trip.",
    ],
    quiz: &[17, 23, 51, 63, 64, 66, 67, 68, 69, 105, 131, 144, 154],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// The hits that the comparison makes, and how many at a time.
const HITS: usize = 200;
const MAX_IN_FLIGHT: usize = 50;
/// How long the keys stay that you can look at, in seconds: a day.
const KEPT: i64 = 86_400;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let (redis, prefix) = (ctx.target().connection(), ctx.prefix());
    let product = Cache::new(redis.clone(), prefix, "product").key(&["123"])?.as_str().to_owned();
    let search = Cache::new(redis, prefix, "search").key(&["query", "page", "1"])?.as_str().to_owned();
    let mut keys = vec![product.clone(), search.clone()];
    keys.extend(misses::keys(ctx)?);
    keys.extend(tracking::keys(ctx)?);
    keys.extend(Documents::of(HITS, MAX_IN_FLIGHT, prefix)?.keys().to_vec());
    ctx.start_clean(&keys).await?;
    load_scripts(ctx, &[cache::scripts()]).await?;

    cache_by_hand(ctx, &product).await?;
    let loads = stampede_by_hand(ctx).await?;
    cache_with_a_lease(ctx, &product).await?;
    cache_search_results(ctx).await?;
    stampede(ctx, loads).await?;
    late_stores(ctx).await?;
    absent_rows(ctx).await?;
    jitter(ctx).await?;
    hit_rate(ctx).await?;
    tracking::follow(ctx).await?;
    compare(ctx).await?;
    keep(ctx, &product, &search).await?;

    ctx.keys([product, search]);
    Ok(())
}

/// The row of product 123 in the database.
fn row() -> Value {
    json!({"id": "123", "name": "Travel mug", "price_cents": 1999, "category": "Kitchen"})
}

/// Asks the database, which is slow.
async fn load() -> Result<Option<Value>, Infallible> {
    Ok(Some(row()))
}

/// Searches the database, which is slow, too.
async fn search_products() -> Result<Option<[String; 3]>, Infallible> {
    Ok(Some(["PROD1", "PROD2", "PROD3"].map(str::to_owned)))
}

async fn cache_by_hand(ctx: &LessonContext, product: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    ctx.step(
        "The database is slow, and most requests ask it for the same few rows. Cache-aside keeps them in Redis: GET the row. On a \
         miss, ask the database, and store the answer with a TTL.",
    )
    .await?;
    if redis.get(product).await?.is_none() {
        redis.set_ex(product, row().to_string(), 300).await?;
    }
    let cached = redis.get(product).await?;
    ctx.check("the first GET misses, the second one hits", cached == Some(row().to_string()))?;
    Ok(())
}

/// Returns the loads.
async fn stampede_by_hand(ctx: &LessonContext) -> Result<usize, BoxError> {
    let clients = misses::CLIENTS;
    ctx.step("These lines can bring a shop down. Here they are again, as the code of one reader:").await?;
    ctx.function("read_by_hand");

    let guess = ctx
        .step(format!(
            "The entry of a popular product expires, and {clients} clients read it at the same moment. It is one row of the database."
        ))
        .predict("How often is the database asked?", ["once", "a few times", "by each client"])
        .await?;
    ctx.announce(format!("{clients} clients send GET and SETEX. Then UNLINK removes the entry."));
    let loads = misses::stampede_by_hand(ctx.target()).await?;
    guess.answer(match loads {
        1 => "once",
        some if some < clients => "a few times",
        _ => "by each client",
    })?;
    ctx.say("All readers miss before the first one has stored the row, so each of them asks the database. That is a stampede.");
    ctx.check_eq("the database was asked 100 times for one row", &loads, &clients)?;
    Ok(loads)
}

async fn cache_with_a_lease(ctx: &LessonContext, product: &str) -> Result<(), BoxError> {
    ctx.step(
        "Only one client should ask. So a client that misses asks Redis for a lease: a key with its own random token and a short \
         TTL. This script grants it to one client, and tells the others to wait. The lines that matter are GET, SET, and the replies \
         FRESH, WAIT, and LOAD. The rest is for callers that give up, values that are refreshed early, and users who may not run \
         all of the commands.",
    )
    .await?;
    ctx.script(&lua(&ASK).whole()).await?;
    ctx.step("This one stores what was loaded, but only for the client that still has the lease:").await?;
    ctx.script(&lua(&STORE).whole()).await?;

    let mut redis = ctx.redis();
    ctx.step(
        "First the entry from above is deleted. Then Cache::get_or_load misses: it takes the lease, loads, and stores. The second \
         call is a hit, one round trip with a plain GET. The value is plain JSON, so every other program can read it, too.",
    )
    .await?;
    redis.unlink(product).await?;
    let products = Cache::new(ctx.redis(), ctx.prefix(), "product");
    let loaded = products.get_or_load(&["123"], load).await?;
    let found = products.get_or_load(&["123"], load).await?;
    let ttl = redis.ttl(product).await?.raw();
    let seen = products.statistics();
    ctx.check("one load, one hit", loaded == found && (seen.loads, seen.hits) == (1, 1))?;
    ctx.check("the TTL is five minutes, less up to a tenth", (265..=300).contains(&ttl))?;

    ctx.step(
        "When the row changes, write it to the database first, and then delete the entry. Cache::invalidate deletes the lease, too, \
         so a client that is just loading the old row can't store it.",
    )
    .await?;
    products.invalidate(&["123"]).await?;
    products.get_or_load(&["123"], load).await?;
    ctx.check_eq("the next read loads again", &products.statistics().loads, &2)?;
    Ok(())
}

async fn cache_search_results(ctx: &LessonContext) -> Result<(), BoxError> {
    let search = Cache::new(ctx.redis(), ctx.prefix(), "search");
    ctx.step(
        "A page of search results is cached the same way. What people type becomes part of the key. Cache escapes the few \
         characters that would move the key to another node of a cluster or match other keys in a SCAN.",
    )
    .await?;
    search.get_or_load(&["query", "page", "1"], search_products).await?;
    let strange = search.key(&["a {*}", "page", "1"])?;
    ctx.check(
        "a search for 'a {*}' would have the key search:a %7B%2A%7D:page:1",
        strange.as_str().ends_with("search:a %7B%2A%7D:page:1"),
    )?;
    Ok(())
}

async fn stampede(ctx: &LessonContext, by_hand: usize) -> Result<(), BoxError> {
    let (clients, processes) = (misses::CLIENTS, misses::PROCESSES);
    ctx.step(format!(
        "Now the same {clients} requests through Cache, the pattern in crates/patterns that you can copy. {processes} Caches stand for \
         {processes} processes of a service. In each, one caller asks Redis and the others wait for it. Those without the lease ask again after 4 ms, then 8, 16, and so on. If the client that loads \
         dies, its lease expires after two seconds, and another one loads.",
    ))
    .await?;
    ctx.announce("The clients send GET and EVALSHA. Then UNLINK removes the entry.");
    let pattern = misses::stampede(ctx.target()).await?;
    ctx.table(
        Table::new("A popular entry expires", &["approach", "requests", "loads"])
            .labeled("GET, load, SETEX", [clients, by_hand])
            .labeled("one loads, the others wait", [clients, pattern]),
    );
    ctx.check_eq("one client asked the database", &pattern, &1)?;
    Ok(())
}

async fn late_stores(ctx: &LessonContext) -> Result<(), BoxError> {
    let writes = misses::WRITES;
    ctx.step(format!(
        "Another bug of the lines above: one client loads the row at the old price. Meanwhile another one writes the new price and \
         deletes the entry, as it should. Then the first client stores the old price. {writes} products at the same time:",
    ))
    .await?;
    ctx.function("store_late");
    ctx.announce(
        "By hand: GET, UNLINK, SETEX, GET. By the pattern: GET, EVALSHA, UNLINK, and again GET and EVALSHA.",
    );
    let (by_hand, (pattern, refused)) =
        tokio::try_join!(misses::late_stores_by_hand(ctx.target()), misses::late_stores(ctx.target()))?;
    ctx.table(
        Table::new("A write comes between load and store", &["approach", "writes", "old price served"])
            .labeled("GET, load, SETEX", [writes, by_hand])
            .labeled("store only with the lease", [writes, pattern]),
    );
    ctx.check_eq("by hand, the old price was served every time", &by_hand, &writes)?;
    ctx.check("the pattern refused to store it every time", (pattern, refused) == (0, writes as u64))?;
    Ok(())
}

async fn absent_rows(ctx: &LessonContext) -> Result<(), BoxError> {
    let (ids, rounds) = (misses::UNKNOWN, misses::ROUNDS);
    let requests = ids * rounds;
    let guess = ctx
        .step(format!(
            "A crawler asks for {ids} products that do not exist, {rounds} times. GET, load, SETEX stores only what exists. Cache \
             also stores that there is nothing, as null, for half a minute.",
        ))
        .predict("Without null, how many requests reach the database?", ["none", "one for each product", "all"])
        .await?;
    ctx.announce("The clients send GET, and for the pattern EVALSHA. Then UNLINK removes the entries.");
    let (by_hand, pattern) =
        tokio::try_join!(misses::absent_by_hand(ctx.target()), misses::absent(ctx.target()))?;
    ctx.table(
        Table::new("A crawler asks for what does not exist", &["approach", "requests", "loads"])
            .labeled("store only what exists", [requests, by_hand])
            .labeled("store null, too", [requests, pattern]),
    );
    guess.answer(match by_hand {
        0 => "none",
        some if some == requests => "all",
        _ => "one for each product",
    })?;
    ctx.check_eq("by hand, every request reaches the database", &by_hand, &requests)?;
    ctx.check_eq("with null, one request for each product", &pattern, &ids)?;
    Ok(())
}

async fn jitter(ctx: &LessonContext) -> Result<(), BoxError> {
    let entries = misses::ENTRIES;
    ctx.step(format!(
        "Entries that are stored together expire together. After a deployment or an import, {entries} entries with a TTL of ten \
         minutes expire in the same second. Cache shortens each TTL at random by up to a tenth, which spreads them over a minute.",
    ))
    .await?;
    ctx.announce("The entries are stored with EVALSHA, read with PTTL, and removed with UNLINK.");
    let without = misses::most_in_a_second(ctx.target(), 0.0).await?;
    let with = misses::most_in_a_second(ctx.target(), 0.1).await?;
    ctx.table(
        Table::new("Entries that expire in the same second", &["jitter", "entries", "most in one second"])
            .labeled("none", [entries, without])
            .labeled("a tenth", [entries, with]),
    );
    ctx.check("without jitter, most of them expire in one second", without > entries / 2)?;
    ctx.check("with jitter, less than a tenth", with < entries / 10)?;
    Ok(())
}

async fn hit_rate(ctx: &LessonContext) -> Result<(), BoxError> {
    let products = misses::ENTRIES;
    ctx.step(format!(
        "How much does a cache save? These are requests for {products} products. The second product is asked for half as often as \
         the first, the third a third as often, and so on (Zipf's law, which shops come close to). The cache starts empty. A request that waits for the load of another one is neither a load nor a hit.",
    ))
    .await?;
    ctx.announce("400 clients at a time send GET, and EVALSHA on a miss. Then UNLINK removes the entries.");
    let mut table = Table::new("Hit rate since the start", &["requests so far", "database loads", "hits"]);
    let mut rate = 0.0;
    for (requests, seen) in misses::hit_rates(ctx.target()).await? {
        rate = seen.hit_rate();
        table = table.row([thousands(requests as f64), seen.loads.to_string(), percent(rate)]);
    }
    ctx.table(table);
    ctx.check("most requests never reach the database", rate > 0.6)?;
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "What does a hit cost? {MAX_IN_FLIGHT} at a time go over one connection. The first row is a GET whose reply nobody reads. \
         Cache-aside by hand also parses the JSON. The pattern sends the same command. That callers of one key share a load costs the client some time, \
         and more here than in your service: the lessons are compiled without optimization, so that the first build is short.",
    ))
    .await?;
    let hits = ctx.fit("hits", HITS, MAX_IN_FLIGHT, 0.5);
    let documents = Documents::of(hits, MAX_IN_FLIGHT, ctx.prefix())?;
    let title = format!("{hits} hits, {MAX_IN_FLIGHT} at a time");
    ctx.compare(Comparison { title: &title, approaches: &CacheHit::ALL, input: &documents }).await?;
    ctx.start_clean(documents.keys()).await?;
    Ok(())
}

async fn keep(ctx: &LessonContext, product: &str, search: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let products = Cache::new(ctx.redis(), ctx.prefix(), "product");
    let search_pages = Cache::new(ctx.redis(), ctx.prefix(), "search");
    ctx.step(
        "These two entries would expire in minutes. A TTL of a day lets you find them in Redis Insight.",
    )
    .await?;
    products.get_or_load(&["123"], load).await?;
    redis.expire(product, KEPT).await?;
    search_pages.get_or_load(&["query", "page", "1"], search_products).await?;
    let kept = redis.expire(search, KEPT).await?;
    ctx.check("both are cached", kept)?;
    Ok(())
}

/// The cache of products, with a TTL of ten minutes.
fn new_cache(connection: Connection, prefix: &str) -> Cache<Connection> {
    Cache::new(connection, prefix, "product").with_ttl(Duration::from_mins(10))
}

/// The keys of cached products, and of their leases.
fn keys_of(ctx: &LessonContext, ids: impl IntoIterator<Item = String>) -> Result<Vec<String>, BoxError> {
    let cache = new_cache(ctx.target().connection(), ctx.prefix());
    let mut keys = Vec::new();
    for id in ids {
        let key = cache.key(&[&id])?;
        keys.extend([key.as_str().to_owned(), key.companion("load")]);
    }
    Ok(keys)
}
