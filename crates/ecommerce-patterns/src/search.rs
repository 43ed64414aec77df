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

use lab_runner::{Lesson, Outcome, Page};
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
    asks: "How is a product found while somebody types, and by its brand, category and price?",
    teaches: &[
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
    teach: |page| Box::pin(teach(page)),
};

/// Products only: who buys what is not asked here.
const SIZE: Size = Size { customers: 0, orders: 0, ..Size::LESSON };
const SEED: u64 = 7;

async fn teach(page: &mut Page) -> Outcome {
    let shop = Shop::of(&Data::new(SEED, SIZE), page.prefix());
    full_text::drop(page).await?;
    shop.start_clean(page).await?;
    shop.open(&page.quietly()).await?;

    typing::words(page).await?;
    typing::letter_by_letter(page, &shop).await?;
    typing::ghosts(page, &shop).await?;
    ticking::sets(page, &shop).await?;
    ticking::bits(page, &shop).await?;
    ticking::shop_page(page, &shop).await?;
    ticking::ghosts(page, &shop).await?;
    let full_text = full_text::show(page, &shop).await?;
    filter_by::compare(page, &shop, full_text).await?;
    complete_by::compare(page, &shop, full_text).await?;

    page.say(
        "Rule: let the index do the work when a product changes, which is rare, so that little is left to do when a customer asks, \
         which is all the time. And keep a record of what you put into an index, so that you can take it out again.",
    );
    let of_a_brand = shop.names.brand(&shop.products[shop.products.len() - 3].brand);
    let own = [of_a_brand, shop.names.prices(), shop.names.naive_terms()];
    page.keys(shop.keys_of_patterns(&page.quietly())?.into_iter().chain(own));
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
