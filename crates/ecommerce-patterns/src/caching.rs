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
use lab_runner::{Comparison, Lesson, LessonError, Outcome, Page};
use serde::{Deserialize, Serialize};
use storefront::Keys;
use storefront::cache::Cache;

pub use self::hit::{CacheHit, Documents};
use crate::data::{Data, Size};
use crate::names::known;

/// Cache-aside, stampedes, and one loader for all.
pub static LESSON: Lesson = Lesson {
    name: "caching",
    title: "Caching",
    asks: "What does a cache save, and what happens in the moment in which it knows nothing?",
    teaches: &["EVALSHA", "GET", "TTL", "UNLINK"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// How many hits the comparison makes, and how many at a time.
const HITS: usize = 200;
const AT_A_TIME: usize = 50;

/// A product as its page shows it, and as the cache stores it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct ProductPage {
    id: String,
    name: String,
    price_cents: i64,
    brand: String,
    category: String,
}

async fn teach(page: &mut Page) -> Outcome {
    let keys = crate::keys_on(page.target());
    let documents = Documents::of(HITS, AT_A_TIME, &keys);
    let product = keys.cached_product(&known("123"));
    let search = keys.cached_search(&known("query"), 1);
    page.start_clean(&[product.value.clone(), product.load.clone(), search.value.clone(), search.load])
        .await?;
    page.start_clean(&documents.keys()).await?;
    page.start_clean(&race::keys_of(&keys)).await?;
    page.start_clean(&stampede::keys_of(&keys)).await?;
    page.start_clean(&trace::keys_of(&keys)).await?;
    page.start_clean(&tracking::keys_of(&keys)).await?;

    look_aside(page, &keys).await?;
    stampede::count(page, &keys).await?;
    race::count(page, &keys).await?;
    stampede::ask_for_nothing(page, &keys).await?;
    trace::spread(page, &keys).await?;
    trace::hit_rate(page, &keys).await?;
    tracking::follow(page, &keys).await?;
    compare(page, &documents).await?;

    page.start_clean(&documents.keys()).await?;
    page.start_clean(&race::keys_of(&keys)).await?;
    page.start_clean(&stampede::keys_of(&keys)).await?;
    page.start_clean(&trace::keys_of(&keys)).await?;
    page.start_clean(&tracking::keys_of(&keys)).await?;
    page.keys([product.value, search.value]);
    Ok(())
}

async fn look_aside(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let data = Data::new(1, Size { products: 200, customers: 0, orders: 0 });
    let found = &data.products[123];
    let row = ProductPage {
        id: "123".into(),
        name: found.name.to_string(),
        price_cents: found.price.get(),
        brand: found.brand.to_string(),
        category: found.category.to_string(),
    };
    let key = keys.cached_product(&known("123"));
    // So that the page shows what a call costs every day, not the first one, in which the server learns the scripts.
    let quiet = new_cache(page.quietly(), keys);
    quiet.get_or_load(&key, || loaded(row.clone())).await.map_err(told)?;
    quiet.invalidate(&key).await.map_err(told)?;

    page.say(
        "Cache-aside: look into Redis; if it is not there, ask the database, and store the answer with a TTL. The script that \
         looks takes the right to load in the same step: its keys are the document and the token of its loader, then come our \
         token and how long a load may take. So a miss knows after one round trip whether to load or to wait; a second round \
         trip stores.",
    );
    let cache = Cache::new(page.redis(), keys.clone(), tokio::time::sleep);
    let before = Instant::now();
    cache.get_or_load(&key, || loaded(row.clone())).await.map_err(told)?;
    page.say("The document is plain JSON, so that everybody can read it. The TTL is five minutes, less up to a tenth.");
    let stored: String = redis::cmd("GET").arg(&key.value).query_async(&mut redis).await?;
    let readable = serde_json::from_str::<ProductPage>(&stored).is_ok_and(|stored| stored == row);
    let left: i64 = redis::cmd("TTL").arg(&key.value).query_async(&mut redis).await?;
    let left = u64::try_from(left).unwrap_or(0);
    // It was no less than what is left, and no more than that and the time since; TTL rounds to seconds.
    let most = left + before.elapsed().as_secs() + 1;
    page.check("it is stored as it was loaded, for 270 to 300 s", readable && left <= 300 && most >= 270)?;

    page.say("A hit is one round trip, and its answer is the document alone.");
    let hit = cache.get_or_load(&key, || loaded(row.clone())).await.map_err(told)?;
    let seen = cache.statistics();
    page.check("one load, one hit", hit.as_ref() == Some(&row) && (seen.loads, seen.hits) == (1, 1))?;

    page.say(
        "When the row has changed, delete: after the write, not before. That takes the document and the token, so whoever is \
         loading the old row has lost the right to store it.",
    );
    cache.invalidate(&key).await.map_err(told)?;
    let again = cache.get_or_load(&key, || loaded(row.clone())).await.map_err(told)?;
    page.check("the next call loads anew", again.is_some() && cache.statistics().loads == 2)?;

    page.say(
        "A page of search results is cached the same way. What people type goes into the key's name, so every byte but \
         letters, digits, '.', '_' and '-' is written as %2A and the like: nobody can search for a key of his choice.",
    );
    let search = keys.cached_search(&known("query"), 1);
    let ids: Vec<String> = (0..10).map(|number| data.products[number].sku.to_string()).collect();
    new_cache(page.quietly(), keys).get_or_load(&search, || loaded(ids)).await.map_err(told)?;
    let strange = keys.cached_search(&known("a:{*}"), 1).value;
    page.check(
        format!("searching for 'a:{{*}}' asks for {strange}"),
        strange.contains("a%3A%7B%2A%7D") && strange.ends_with(":page:1"),
    )
}

async fn compare(page: &Page, documents: &Documents) -> Outcome {
    page.say(format!(
        "What does a hit cost? {HITS} of them, {AT_A_TIME} at a time over one connection. The floor is a GET whose answer \
         nobody reads; cache-aside by hand is a GET and the parsing of its JSON. The script costs the server about a \
         microsecond more, for all that you have seen here.",
    ));
    let title = format!("{HITS} hits, {AT_A_TIME} at a time");
    page.compare(Comparison { title: &title, approaches: &CacheHit::ALL, subject: documents }).await
}

/// A cache as the lessons use it, which does not appear on the page.
fn new_cache(connection: Connection, keys: &Keys) -> Cache<Connection> {
    Cache::new(connection, keys.clone(), tokio::time::sleep).with_ttl(Duration::from_mins(10))
}

async fn loaded<T>(document: T) -> Result<Option<T>, Infallible> {
    Ok(Some(document))
}

/// What went wrong, as the end of the lesson.
fn told(error: impl Display) -> LessonError {
    LessonError::Check(error.to_string())
}
