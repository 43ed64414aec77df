//! A load that began before a write, and stores after it.

use std::convert::Infallible;

use lab_runner::table::Facts;
use lab_runner::{Outcome, Page};
use storefront::Keys;
use storefront::cache::CacheKey;

use super::{new_cache, told};
use crate::names::known;

/// How often a write comes between reading the row and storing it.
pub const WRITES: usize = 20;
/// The price before the write, and after it.
const OLD: &str = "19.99";
const NEW: &str = "17.99";

fn raced(keys: &Keys, number: usize) -> CacheKey {
    keys.cached_product(&known(&format!("raced-{number}")))
}

pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    (0..WRITES).map(|number| raced(keys, number)).flat_map(|key| [key.value, key.load]).collect()
}

pub(super) async fn count(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "Break it: one reads the row at the old price; another writes the new price and deletes the entry, as it should be; \
         then the first stores what he has read. {WRITES} times, the old price is shown until its TTL ends. Fix it: who stores \
         must still have the token that he took when he missed, and the deletion has taken it away.",
    ));
    let mut redis = page.quietly();
    let mut naive = 0;
    for number in 0..WRITES {
        let key = raced(keys, number).value;
        let found: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
        // Whoever finds nothing reads the row; another changes it, and deletes the entry, before what was read is stored.
        let read = found.unwrap_or_else(|| OLD.to_owned());
        redis::cmd("UNLINK").arg(&key).exec_async(&mut redis).await?;
        redis::cmd("SET").arg(&key).arg(read).arg("EX").arg(600).exec_async(&mut redis).await?;
        let served: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
        naive += usize::from(served.as_deref() != Some(NEW));
    }
    page.start_clean(&keys_of(keys)).await?;

    let cache = new_cache(page.quietly(), keys);
    let mut ours = 0;
    for number in 0..WRITES {
        let key = raced(keys, number);
        let load = || async {
            let read = OLD.to_owned();
            // The row changes, and its entry is deleted, before what was read is stored.
            cache.invalidate(&key).await.map(|()| Some(read))
        };
        cache.get_or_load(&key, load).await.map_err(told)?;
        let new = || async { Ok::<_, Infallible>(Some(NEW.to_owned())) };
        let served = cache.get_or_load(&key, new).await.map_err(told)?;
        ours += usize::from(served.as_deref() != Some(NEW));
    }
    let late = usize::try_from(cache.statistics().late).unwrap_or(usize::MAX);
    page.facts(
        Facts::new("A write comes between reading and storing", &["approach", "writes", "old price served"])
            .row(["GET, load, SET; DEL after a write".to_owned(), WRITES.to_string(), naive.to_string()])
            .row(["store with the token".to_owned(), WRITES.to_string(), ours.to_string()]),
    );
    page.check_eq(
        "the old price every time; or never, because every such load was refused",
        &(naive, ours, late),
        &(WRITES, 0, WRITES),
    )
}
