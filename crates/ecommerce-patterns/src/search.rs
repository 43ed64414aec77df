//! How is a product found while somebody types, and by its brand, category and price?
//!
//! `cargo ecommerce search`

mod answer;
pub mod complete_by;
pub mod filter_by;
mod full_text;
mod keys;
pub mod shop;
mod ticking;
mod typing;

use lab_runner::{Lesson, LessonContext, Outcome};
use patterns::facets::FacetsError;
use patterns::script::StoreError;
use redis::RedisError;

pub use self::complete_by::{CompleteBy, Typed};
pub use self::filter_by::{FilterBy, Ticked};
pub use self::shop::Shop;
use crate::data::{Data, Size};

/// Autocomplete and facets.
pub static LESSON: Lesson = Lesson {
    name: "search",
    title: "Search",
    question: "How is a product found while somebody types, and by its brand, category and price?",
    commands: &[
        "ZADD",
        "ZRANGE",
        "EVALSHA",
        "SADD",
        "SREM",
        "SINTER",
        "ZCOUNT",
        "SETBIT",
        "BITOP",
        "BITCOUNT",
        "FT.CREATE",
        "FT.SEARCH",
        "FT.AGGREGATE",
        "FT.SUGGET",
    ],
    needs: &[],
    sources: &[lab_runner::source!("src/search.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// Products only: who buys what is not asked here.
const SIZE: Size = Size { customers: 0, orders: 0, ..Size::LESSON };
const SEED: u64 = 7;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let shop = Shop::of(&Data::new(SEED, SIZE), ctx.prefix());
    full_text::drop(ctx).await?;
    shop.start_clean(ctx).await?;
    shop.open(&ctx.untraced("TODO")).await?;

    typing::words(ctx).await?;
    typing::letter_by_letter(ctx, &shop).await?;
    typing::ghosts(ctx, &shop).await?;
    ticking::sets(ctx, &shop).await?;
    ticking::bits(ctx, &shop).await?;
    ticking::shop_page(ctx, &shop).await?;
    ticking::ghosts(ctx, &shop).await?;
    let full_text = full_text::show(ctx, &shop).await?;
    filter_by::compare(ctx, &shop, full_text).await?;
    complete_by::compare(ctx, &shop, full_text).await?;

    ctx.step(
        "Rule: let the index do the work when a product changes, which is rare, so that little is left to do when a customer asks, \
         which is all the time. And keep a record of what you put into an index, so that you can take it out again.",
    ).await?;
    let of_a_brand = shop.names.brand(&shop.products[shop.products.len() - 3].brand);
    let own = [of_a_brand, shop.names.prices(), shop.names.naive_terms()];
    ctx.keys(shop.keys_of_patterns(&ctx.untraced("TODO"))?.into_iter().chain(own));
    Ok(())
}

/// An error of a pattern as a lesson ends with it.
fn failed(error: StoreError) -> RedisError {
    match error {
        StoreError::Redis(error) => error,
        other => (redis::ErrorKind::UnexpectedReturnType, "the pattern refused", other.to_string()).into(),
    }
}

fn facets_failed(error: FacetsError) -> RedisError {
    match error {
        FacetsError::Store(error) => failed(error),
        other => (redis::ErrorKind::Client, "the pattern refused", other.to_string()).into(),
    }
}
