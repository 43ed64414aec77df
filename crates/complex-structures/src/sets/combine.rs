//! Intersections, unions and differences: shown, and what they cost.

use lab_runner::{Comparison, LessonContext, Need, Outcome};
use redis::AsyncTypedCommands;

use super::bought_both::{BoughtBoth, Purchases};
use crate::keys::Keys;

/// Since Redis 7.0.
const CARDINALITY: Need =
    Need { command: "SINTERCARD", available_in: "--server valkey-9.1 (Redis has it since 7.0)" };
/// Two days, one after the other.
const DAYS: [&str; 2] = ["2024-01-01", "2024-01-02"];

/// The keys that this part writes.
pub(super) fn keys_of(keys: &Keys) -> [String; 3] {
    [keys.visitors(DAYS[0]), keys.visitors(DAYS[1]), keys.visitors("both-days")]
}

pub(super) async fn visitors(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let [monday, tuesday, both_days] = keys_of(keys);

    ctx.step(
        "Who came on which day? A Set for each day answers more than a counter could. SINTER: those who are in all, so \
         who came back. SUNION: those who are in any, each once. SDIFF: those of the first who are in none of the others, \
         so who is new on the second day.",
    ).await?;
    redis.sadd(&monday, &["ann", "bob", "cem", "dee"]).await?;
    redis.sadd(&tuesday, &["cem", "dee", "eve"]).await?;
    let came_back = redis.sinter(&[&monday, &tuesday]).await?;
    let anybody = redis.sunion(&[&monday, &tuesday]).await?;
    let new = redis.sdiff(&[&tuesday, &monday]).await?;
    let sorted = |set: std::collections::HashSet<String>| {
        let mut members: Vec<String> = set.into_iter().collect();
        members.sort_unstable();
        members.join(" ")
    };
    ctx.check_eq(
        "Cem and Dee came back, five people in all, Eve is new",
        &[came_back, anybody, new].map(sorted),
        &["cem dee", "ann bob cem dee eve", "eve"].map(str::to_owned),
    )?;

    ctx.step(
        "Each has a sister that stores the result instead of sending it, and answers with its size: good for results that \
         are asked for often.",
    ).await?;
    let stored = redis.sunionstore(&both_days, &[&monday, &tuesday]).await?;
    ctx.check("five visitors in two days", stored == 5)?;

    ctx.step(
        "Two of a hundred thousand members each cost time: SINTER looks up every member of the smallest Set in the others, \
         SUNION and SDIFF go through more, and all other clients wait meanwhile. And on a cluster all the Sets must be in \
         one slot. That is why these names have a part in braces: the hash tag, from which alone the slot is computed.",
    ).await?;
    if ctx.target().is_cluster() {
        ctx.step("Sets without a common hash tag are refused:").await?;
        let apart: Vec<String> = (101..105).map(|product| keys.tags_of(product)).collect();
        let refused = redis::cmd("SINTER").arg(&apart).exec_async(&mut redis).await;
        ctx.check("the cluster refuses to intersect across slots", refused.is_err())?;
    }
    Ok(())
}

pub(super) async fn only_how_many(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let [monday, tuesday, _] = keys_of(keys);

    ctx.step("Often one wants to know how many, and not who.").await?;
    if !ctx.can(CARDINALITY.command).await {
        ctx.skip(CARDINALITY);
        return Ok(());
    }
    ctx.step(
        "SINTERCARD (since Redis 7.0) sends only the size. With LIMIT it stops as soon as it has found that many, which \
         is quick for the question whether there are any, or at least ten:",
    ).await?;
    let question = || redis::cmd("SINTERCARD").arg(2).arg(&monday).arg(&tuesday).take();
    let how_many: u64 = question().query_async(&mut redis).await?;
    let at_least_one: u64 = question().arg("LIMIT").arg(1).query_async(&mut redis).await?;
    ctx.check("two came back, and so at least one", (how_many, at_least_one) == (2, 1))
}

pub(super) async fn compare(ctx: &LessonContext, purchases: &Purchases) -> Outcome {
    let approaches = BoughtBoth::all(ctx.can(CARDINALITY.command).await);
    ctx.step(format!(
        "What is it worth? Those who bought this also bought that: one product is compared with {} others, of which each \
         has a thousand buyers. The first way transfers both Sets and intersects them here; look at the bytes received. \
         SINTER sends only those in both, SINTERCARD one number.",
        purchases.keys().len() - 1,
    )).await?;
    ctx.compare(Comparison { title: "Who bought both?", approaches: &approaches, input: purchases }).await?;
    ctx.step(
        "Rule: let the server combine what lies on the server, ask for no more than you need to know, and keep what is asked \
         for again and again.",
    ).await?;
    Ok(())
}
