//! What does a cache save, and what happens in the moment in which it knows nothing?
//!
//! `cargo ecommerce caching`

mod hit;
mod race;
mod stampede;
mod trace;
mod tracking;

use std::convert::Infallible;
use std::fmt::Display;
use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::{Comparison, Lesson, LessonContext, LessonError, Outcome};
use patterns::cache::{self, Cache};
use serde::{Deserialize, Serialize};

pub use self::hit::{CacheHit, Documents};
use crate::data::{Data, Size};

/// Cache-aside, stampedes, and one loader for all.
pub static LESSON: Lesson = Lesson {
    name: "caching",
    title: "Caching",
    question: "What does a cache save, and what happens in the moment in which it knows nothing?",
    commands: &["EVALSHA", "GET", "TTL", "UNLINK"],
    needs: &[],
    sources: &[lab_runner::source!("src/caching.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many hits the comparison makes, and how many at a time.
const HITS: usize = 200;
const MAX_IN_FLIGHT: usize = 50;

/// A product as its ctx shows it, and as the cache stores it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct ProductPage {
    id: String,
    name: String,
    price_cents: i64,
    brand: String,
    category: String,
}

async fn run(ctx: &mut LessonContext) -> Outcome {
    let documents = Documents::of(HITS, MAX_IN_FLIGHT, ctx.prefix())?;
    let search = Cache::new(ctx.untraced("TODO"), ctx.prefix(), "search");
    let search_page = search.key(&["query", "page", "1"]).map_err(failed)?.as_str().to_owned();
    let mut product = keys_of_cache(ctx, ["123".to_owned()])?;
    ctx.start_clean(&product).await?;
    ctx.start_clean(std::slice::from_ref(&search_page)).await?;
    let used = [
        documents.keys().to_vec(),
        race::keys(ctx)?,
        stampede::keys(ctx)?,
        trace::keys(ctx)?,
        tracking::keys(ctx)?,
    ]
    .concat();
    ctx.start_clean(&used).await?;

    look_aside(ctx).await?;
    search_results(ctx, &search).await?;
    stampede::count(ctx).await?;
    race::count(ctx).await?;
    stampede::ask_for_nothing(ctx).await?;
    trace::spread(ctx).await?;
    trace::hit_rate(ctx).await?;
    tracking::follow(ctx).await?;
    compare(ctx, &documents).await?;

    ctx.start_clean(&used).await?;
    ctx.keys([product.swap_remove(0), search_page]);
    Ok(())
}

async fn look_aside(ctx: &LessonContext) -> Outcome {
    let mut redis = ctx.redis();
    let data = Data::new(1, Size { products: 200, customers: 0, orders: 0 });
    let found = &data.products[123];
    let row = ProductPage {
        id: "123".into(),
        name: found.name.clone(),
        price_cents: found.price.get(),
        brand: found.brand.clone(),
        category: found.category.clone(),
    };
    // So that the page shows what a call costs every day, not the first one, in which the server learns the scripts.
    let quiet = new_cache(ctx.untraced("TODO"), ctx);
    quiet.get_or_load(&["123"], || loaded(row.clone())).await.map_err(failed)?;
    quiet.invalidate(&["123"]).await.map_err(failed)?;

    ctx.step(
        "Cache-aside: look into Redis. If the product is not there, ask the database, and store its answer with a TTL. When \
         many clients miss at once, one of them should ask the database. This script decides which one. It runs only after a \
         miss, and gives the client a lease: a key with a random token and a short TTL.",
    ).await?;
    if let Some((_, ask)) = cache::scripts().into_iter().find(|(name, _)| *name == "ask") {
        ctx.listing(ask.source());
    }
    ctx.step(
        "A miss is three round trips and the load: look, take the lease, store. The last script stores only if the lease still \
         holds our token.",
    ).await?;
    let cache = Cache::new(ctx.redis(), ctx.prefix(), "product");
    let before = Instant::now();
    cache.get_or_load(&["123"], || loaded(row.clone())).await.map_err(failed)?;
    ctx.step("The value is plain JSON, so that everybody can read it. The TTL is five minutes, less up to a tenth.").await?;
    let key = cache.key(&["123"]).map_err(failed)?;
    let stored: String = redis::cmd("GET").arg(key.as_str()).query_async(&mut redis).await?;
    let readable = serde_json::from_str::<ProductPage>(&stored).is_ok_and(|stored| stored == row);
    let left: i64 = redis::cmd("TTL").arg(key.as_str()).query_async(&mut redis).await?;
    let left = u64::try_from(left).unwrap_or(0);
    // It was no less than what is left, and no more than that and the time since; TTL rounds to seconds.
    let most = left + before.elapsed().as_secs() + 1;
    ctx.check("it is stored as it was loaded, for 270 to 300 s", readable && left <= 300 && most >= 270)?;

    ctx.step("A hit is one round trip: a plain GET.").await?;
    let hit = cache.get_or_load(&["123"], || loaded(row.clone())).await.map_err(failed)?;
    let seen = cache.statistics();
    ctx.check("one load, one hit", hit.as_ref() == Some(&row) && (seen.loads, seen.hits) == (1, 1))?;

    ctx.step(
        "When the row has changed, delete the entry: after the write, not before. That deletes the lease, too, so a client that \
         is loading the old row may no longer store it.",
    ).await?;
    cache.invalidate(&["123"]).await.map_err(failed)?;
    let again = cache.get_or_load(&["123"], || loaded(row.clone())).await.map_err(failed)?;
    ctx.check("the next call loads again", again.is_some() && cache.statistics().loads == 2)
}

async fn search_results(ctx: &LessonContext, search: &Cache<Connection>) -> Outcome {
    ctx.step(
        "A page of search results is cached the same way. What people type goes into the name of the key. The few characters \
         that would change its slot or what a SCAN matches are escaped: { becomes %7B. So nobody can search for a key of their \
         choice.",
    ).await?;
    let data = Data::new(1, Size { products: 200, customers: 0, orders: 0 });
    let ids: Vec<String> = (0..10).map(|number| data.products[number].sku.clone()).collect();
    search.get_or_load(&["query", "page", "1"], || loaded(ids)).await.map_err(failed)?;
    let strange = search.key(&["a {*}", "page", "1"]).map_err(failed)?;
    ctx.check(
        format!("searching for 'a {{*}}' asks for {}", strange.as_str()),
        strange.as_str().ends_with("search:a %7B%2A%7D:page:1"),
    )
}

async fn compare(ctx: &LessonContext, documents: &Documents) -> Outcome {
    ctx.step(format!(
        "What does a hit cost? {HITS} of them, {MAX_IN_FLIGHT} at a time over one connection. The baseline is a GET whose reply \
         nobody reads. Cache-aside by hand is a GET and the parsing of its JSON, and the library sends the same command.",
    )).await?;
    let title = format!("{HITS} hits, {MAX_IN_FLIGHT} at a time");
    ctx.compare(Comparison { title: &title, approaches: &CacheHit::ALL, input: documents }).await
}

/// A cache as the lessons use it, which does not appear on the page.
fn new_cache(connection: Connection, ctx: &LessonContext) -> Cache<Connection> {
    Cache::new(connection, ctx.prefix(), "product").with_ttl(Duration::from_mins(10))
}

/// The keys of cached products, and of their leases.
fn keys_of_cache(
    ctx: &LessonContext,
    ids: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, LessonError> {
    let cache = new_cache(ctx.untraced("TODO"), ctx);
    let mut keys = Vec::new();
    for id in ids {
        let key = cache.key(&[&id]).map_err(failed)?;
        keys.extend([key.as_str().to_owned(), key.companion("load")]);
    }
    Ok(keys)
}

async fn loaded<T>(document: T) -> Result<Option<T>, Infallible> {
    Ok(Some(document))
}

/// What went wrong, as the end of the lesson.
fn failed(error: impl Display) -> LessonError {
    LessonError::Check(error.to_string())
}
