//! What happens over time: when entries expire, and how often the cache has the answer.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{failed, keys_of_cache, loaded, new_cache};

/// Entries that are stored in the same moment.
pub const ENTRIES: usize = 500;
/// Products that are asked for, and how often in all.
pub const PRODUCTS: usize = 500;
const REQUESTS: [usize; 3] = [100, 500, 2_000];

fn entry(number: usize) -> String {
    format!("entry-{number}")
}

pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    keys_of_cache(ctx, (0..ENTRIES).map(entry))
}

pub(super) async fn spread(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "What is stored together expires together: after a deployment, an import, a restart, {ENTRIES} entries of ten minutes are \
         gone in the same second, and all their loads come in that second. A TTL that is shortened at random by up to a tenth \
         spreads them over a minute.",
    )).await?;
    let without = most_in_a_second(ctx, 0.0).await?;
    let with = most_in_a_second(ctx, 0.1).await?;
    ctx.table(
        Table::new("Entries that expire in the same second", &["jitter", "entries", "most in one second"])
            .row(["none".to_owned(), ENTRIES.to_string(), without.to_string()])
            .row(["a tenth".to_owned(), ENTRIES.to_string(), with.to_string()]),
    );
    ctx.check(
        "without it a third or more in one second, with it less than a tenth",
        without > ENTRIES / 3 && with < ENTRIES / 10,
    )
}

async fn most_in_a_second(ctx: &LessonContext, jitter: f64) -> Result<usize, LessonError> {
    let mut redis = ctx.untraced("TODO");
    let cache = new_cache(ctx.untraced("TODO"), ctx).with_jitter(jitter);
    let all: Vec<String> = (0..ENTRIES).map(entry).collect();
    try_join_all(all.iter().map(async |id| cache.put(&[id], Some(&1)).await)).await.map_err(failed)?;
    let mut lives = redis::pipe();
    for id in &all {
        lives.cmd("PTTL").arg(cache.key(&[id]).map_err(failed)?.as_str());
    }
    let lives: Vec<u64> = lives.query_async(&mut redis).await?;
    let mut seconds: HashMap<u64, usize> = HashMap::new();
    for life in lives {
        *seconds.entry(life / 1000).or_default() += 1;
    }
    ctx.start_clean(&keys(ctx)?).await?;
    Ok(seconds.into_values().max().unwrap_or(0))
}

pub(super) async fn hit_rate(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "How much does a cache save? Requests for {PRODUCTS} products, of which the second is wanted half as often as the \
         first, the third a third as often, and so on (Zipf). A few products are most of the traffic, so the cache is soon \
         worth its memory. Measure it in your shop: a cache that is never hit only makes everything slower.",
    )).await?;
    let cache = new_cache(ctx.untraced("TODO"), ctx);
    let mut rng = StdRng::seed_from_u64(7);
    let sums: Vec<f64> = (1..=PRODUCTS)
        .scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        })
        .collect();
    let total = sums.last().copied().unwrap_or(1.0);
    let mut table = Table::new("Hit rate", &["requests so far", "loads", "hit rate"]);
    let mut asked = 0;
    for until in REQUESTS {
        // Some at a time, as in a shop.
        while asked < until {
            let wanted: Vec<String> = (asked..until.min(asked + 50))
                .map(|_| {
                    let drawn = rng.random::<f64>() * total;
                    entry(sums.partition_point(|sum| *sum <= drawn).min(PRODUCTS - 1))
                })
                .collect();
            asked += wanted.len();
            try_join_all(wanted.iter().map(async |id| cache.get_or_load(&[id], || loaded(1)).await))
                .await
                .map_err(failed)?;
        }
        let seen = cache.statistics();
        table = table.row([
            asked.to_string(),
            seen.loads.to_string(),
            format!("{:.0} %", seen.hit_rate() * 100.0),
        ]);
    }
    ctx.table(table);
    ctx.check("most requests never reach the database", cache.statistics().hit_rate() > 0.6)
}
