//! What it costs to read a few properties of many profiles, and to keep them.

use lab_runner::table::{Table, thousands};
use lab_runner::{Comparison, LessonContext, Outcome};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::profiles::{Profiles, WANTED};
use super::read_fields::ReadFields;

pub(super) async fn compare(ctx: &LessonContext, profiles: &Profiles) -> Outcome {
    ctx.step(format!(
        "Now {} profiles of {} fields each; a list on the screen needs three of them: {}. HGETALL brings all and throws \
         most away: look at the bytes received. HMGET brings the three. With a key for each property, three GETs are \
         three round trips. And since the profiles do not depend on each other, all HMGETs can go out in one pipeline.",
        profiles.count(),
        profiles.properties().len(),
        WANTED.join(", "),
    )).await?;
    let title = format!("Three fields of {} profiles", profiles.count());
    ctx.compare(Comparison { title: &title, approaches: &ReadFields::ALL, input: profiles }).await
}

pub(super) async fn weigh(ctx: &LessonContext, profiles: &Profiles) -> Outcome {
    let mut redis = ctx.untraced("TODO");
    profiles.fill_hashes(&mut redis).await?;
    let property_keys = profiles.property_keys(&profiles.properties());
    profiles.fill_property_keys(&mut redis).await?;

    ctx.step(
        "And memory. Each key costs the server an entry of its own, with its name, whatever it holds. A small Hash costs \
         that once for all of its fields.",
    ).await?;
    let packed = total_bytes(&mut redis, &profiles.hashes()).await?;
    let apart = total_bytes(&mut redis, &property_keys).await?;
    let count = profiles.count();
    let row = |stored: &str, keys: usize, bytes: usize| {
        [
            stored.to_owned(),
            thousands(keys as f64),
            thousands(bytes as f64),
            thousands((bytes / count) as f64),
        ]
    };
    ctx.table(
        Table::new("Bytes in memory", &["stored as", "keys", "bytes", "per profile"])
            .row(row("a Hash each", count, packed))
            .row(row("a key for each property", property_keys.len(), apart)),
    );
    ctx.check(
        format!("a key for each property takes {:.1} times the memory", apart as f64 / packed.max(1) as f64),
        apart > packed,
    )?;

    ctx.step(
        "Rule: an object is a Hash; read the fields you need, by name; many objects in one pipeline. A key of its own is \
         for what is locked, expires or is evicted on its own.",
    ).await?;
    Ok(())
}

async fn total_bytes(redis: &mut impl ConnectionLike, keys: &[String]) -> RedisResult<usize> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    }
    Ok(pipeline.query_async::<Vec<usize>>(redis).await?.into_iter().sum())
}
