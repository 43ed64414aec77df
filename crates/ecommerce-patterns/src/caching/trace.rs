//! What happens over time: when entries expire, and how often the cache has the answer.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use storefront::Keys;
use storefront::cache::{Cache, CacheKey};

use super::{loaded, new_cache, told};
use crate::names::known;

/// Entries that are stored in the same moment.
pub const ENTRIES: usize = 500;
/// Products that are asked for, and how often in all.
pub const PRODUCTS: usize = 500;
const REQUESTS: [usize; 3] = [100, 500, 2_000];

fn entry(keys: &Keys, number: usize) -> CacheKey {
    keys.cached_product(&known(&format!("entry-{number}")))
}

pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    (0..ENTRIES).map(|number| entry(keys, number)).flat_map(|key| [key.value, key.load]).collect()
}

pub(super) async fn spread(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "What is stored together expires together: after a deployment, an import, a restart, {ENTRIES} entries of ten minutes are \
         gone in the same second, and all their loads come in that second. A TTL that is shortened at random by up to a tenth \
         spreads them over a minute.",
    ));
    let without = most_in_a_second(page, keys, 0.0).await?;
    let with = most_in_a_second(page, keys, 0.1).await?;
    page.facts(
        Facts::new("Entries that expire in the same second", &["jitter", "entries", "most in one second"])
            .row(["none".to_owned(), ENTRIES.to_string(), without.to_string()])
            .row(["a tenth".to_owned(), ENTRIES.to_string(), with.to_string()]),
    );
    page.check(
        "without it a third or more in one second, with it less than a tenth",
        without > ENTRIES / 3 && with < ENTRIES / 10,
    )
}

async fn most_in_a_second(page: &Page, keys: &Keys, jitter: f64) -> Result<usize, LessonError> {
    let mut redis = page.quietly();
    let cache = new_cache(page.quietly(), keys).with_jitter(jitter);
    let all: Vec<CacheKey> = (0..ENTRIES).map(|number| entry(keys, number)).collect();
    try_join_all(all.iter().map(|key| cache.put(key, Some(&1)))).await.map_err(told)?;
    let mut lives = redis::pipe();
    for key in &all {
        lives.cmd("PTTL").arg(&key.value);
    }
    let lives: Vec<u64> = lives.query_async(&mut redis).await?;
    let mut seconds: HashMap<u64, usize> = HashMap::new();
    for life in lives {
        *seconds.entry(life / 1000).or_default() += 1;
    }
    page.start_clean(&keys_of(keys)).await?;
    Ok(seconds.into_values().max().unwrap_or(0))
}

pub(super) async fn hit_rate(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "How much does a cache save? Requests for {PRODUCTS} products, of which the second is wanted half as often as the \
         first, the third a third as often, and so on (Zipf). A few products are most of the traffic, so the cache is soon \
         worth its memory. Measure it in your shop: a cache that is never hit only makes everything slower.",
    ));
    let cache: Cache<_> = new_cache(page.quietly(), keys).with_ttl(Duration::from_mins(10));
    let mut rng = StdRng::seed_from_u64(7);
    let sums: Vec<f64> = (1..=PRODUCTS)
        .scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        })
        .collect();
    let total = sums.last().copied().unwrap_or(1.0);
    let mut facts = Facts::new("Hit rate", &["requests so far", "loads", "hit rate"]);
    let mut asked = 0;
    for until in REQUESTS {
        // Some at a time, as in a shop.
        while asked < until {
            let wanted: Vec<CacheKey> = (asked..until.min(asked + 50))
                .map(|_| {
                    let drawn = rng.random::<f64>() * total;
                    entry(keys, sums.partition_point(|sum| *sum <= drawn).min(PRODUCTS - 1))
                })
                .collect();
            asked += wanted.len();
            try_join_all(wanted.iter().map(|key| cache.get_or_load(key, || loaded(1))))
                .await
                .map_err(told)?;
        }
        let seen = cache.statistics();
        facts = facts.row([
            asked.to_string(),
            seen.loads.to_string(),
            format!("{:.0} %", seen.hit_rate() * 100.0),
        ]);
    }
    page.facts(facts);
    page.check("most requests never reach the database", cache.statistics().hit_rate() > 0.6)
}
