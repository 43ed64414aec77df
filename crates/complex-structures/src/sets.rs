//! Who belongs to a group, who to both of two, and how many are they?
//!
//! `cargo complex sets`

mod bought_both;
mod combine;
mod count_new;
mod packed;
mod sample;

use lab_runner::table::{Table, thousands};
use lab_runner::{Lesson, LessonContext, Need, Outcome};
use redis::AsyncTypedCommands;

pub use self::bought_both::{BoughtBoth, Purchases};
pub use self::count_new::CountNew;
use crate::keys::Keys;

/// Tags, unique visitors, intersections and samples.
pub static LESSON: Lesson = Lesson {
    name: "sets",
    title: "Sets",
    question: "Who belongs to a group, who to both of two, and how many are they?",
    commands: &[
        "SADD",
        "SREM",
        "SISMEMBER",
        "SMISMEMBER",
        "SMEMBERS",
        "SCARD",
        "SINTER",
        "SUNION",
        "SDIFF",
        "SUNIONSTORE",
        "SINTERCARD",
        "SRANDMEMBER",
        "SPOP",
        "OBJECT ENCODING",
    ],
    // SMISMEMBER came with Redis 6.2.
    needs: &[Need { command: "SMISMEMBER", available_in: "--server valkey-9.1" }],
    sources: &[lab_runner::source!("src/sets.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// Clients that report the same visitors, and how many of those there are.
pub const CLIENTS: usize = 8;
/// Visitors that each of the clients reports.
pub const VISITORS: usize = 25;
/// Customers of each product in the comparison, and with how many others the first product is compared.
const BUYERS: u64 = 1_000;
const OTHERS: u64 = 5;
/// A product of the lesson; the next numbers are others.
const PRODUCT: u64 = 101;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let purchases = Purchases::of(BUYERS, OTHERS, &keys);
    ctx.start_clean(&[keys.tags_of(PRODUCT), keys.tagged("sale"), keys.tagged("outdoor"), keys.raffle()])
        .await?;
    ctx.start_clean(&[keys.growing_numbers(), keys.growing_words()]).await?;
    ctx.start_clean(&CountNew::ALL.map(|count| count.keys(&keys)).concat()).await?;
    ctx.start_clean(&combine::keys_of(&keys)).await?;
    ctx.start_clean(purchases.keys()).await?;

    tag_products(ctx, &keys).await?;
    count_visitors(ctx, &keys).await?;
    combine::visitors(ctx, &keys).await?;
    combine::only_how_many(ctx, &keys).await?;
    sample::draw(ctx, &keys).await?;
    packed::watch(ctx, &keys).await?;
    combine::compare(ctx, &purchases).await?;

    let days = combine::keys_of(&keys);
    let others = [keys.growing_numbers(), keys.buyers(PRODUCT)];
    ctx.keys([keys.tags_of(PRODUCT), keys.tagged("sale")].into_iter().chain(days).chain(others));
    Ok(())
}

async fn tag_products(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (tags, sale, outdoor) = (keys.tags_of(PRODUCT), keys.tagged("sale"), keys.tagged("outdoor"));

    ctx.step(
        "A Set holds members, each once and in no order. SADD answers how many were new, so adding again does no harm. \
         SISMEMBER tells whether somebody belongs to it, as quickly for a million members as for ten; SMISMEMBER (since \
         Redis 6.2) tells it for several.",
    ).await?;
    let new = redis.sadd(&tags, &["sale", "outdoor"]).await?;
    let again = redis.sadd(&tags, &["sale", "new"]).await?;
    ctx.check("two were new, then one: 'sale' was there already", (new, again) == (2, 1))?;
    let on_sale = redis.sismember(&tags, "sale").await?;
    let several = redis.smismember(&tags, &["outdoor", "vegan"]).await?;
    ctx.check("on sale, outdoor, not vegan", on_sale && several == [true, false])?;
    let removed = redis.srem(&tags, &["new", "vegan"]).await?;
    ctx.check("SREM removed the one that was there", removed == 1 && redis.scard(&tags).await? == 2)?;

    ctx.step(
        "That answers which tags a product has. To find the products of a tag, keep it the other way round too: a Set for \
         each tag. Then a filter on the screen is an intersection.",
    ).await?;
    redis.sadd(&sale, &[101, 102, 103]).await?;
    redis.sadd(&outdoor, &[101, 103, 104]).await?;
    let mut both: Vec<String> = redis.sinter(&[&sale, &outdoor]).await?.into_iter().collect();
    both.sort_unstable();
    ctx.check("101 and 103 are outdoor and on sale", both == ["101", "103"])?;
    let all = redis.smembers(&sale).await?;
    ctx.check("SMEMBERS reads a whole Set; large ones are walked with SSCAN", all.len() == 3)
}

async fn count_visitors(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "How many different visitors? Break it: ask with SISMEMBER, and if the visitor is not there, SADD and raise a \
         counter. {CLIENTS} clients report the same {VISITORS} visitors, and all of them ask before any of them adds. Fix it: \
         let SADD answer whether the member is new; to one client only it says 1. (Or need no counter: SCARD knows.)",
    )).await?;
    let mut table = Table::new("New visitors", &["approach", "visitors", "counted", "too many"]);
    let mut results = Vec::new();
    for count in CountNew::ALL {
        let counted = count.crowd(ctx.target(), keys, CLIENTS, VISITORS).await?;
        let too_many = counted.saturating_sub(VISITORS as u64);
        let numbers = [VISITORS as u64, counted, too_many].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(count.label().to_owned()).chain(numbers));
        results.push(counted);
    }
    ctx.table(table);
    ctx.check_eq(
        "who asks first counts each visitor once for every client; who adds and looks counts right",
        &results,
        &vec![(CLIENTS * VISITORS) as u64, VISITORS as u64],
    )
}
