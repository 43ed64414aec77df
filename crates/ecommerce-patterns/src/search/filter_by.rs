//! Ways to filter a catalog.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use lab_runner::concurrent::try_join_all;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::facets::{Order, PageOf, PriceRange, Selection};
use patterns::money::Cents;
use redis::RedisResult;

use super::full_text;
use super::result_page::{PRICE_BANDS, ResultPage};
use super::shop::{Document, Shop};

labeled! {
    /// How to get a page with its counts.
    pub enum FilterBy {
        /// As a cache would have it.
        Stored => "GET of a stored page (baseline)",
        /// The pattern.
        Facets => "a table of bits, one script",
        /// In one pipeline, with an FT.AGGREGATE for each facet.
        FullText => "FT.SEARCH and 4 FT.AGGREGATE",
        /// The whole catalog.
        InTheClient => "HVALS, filtered by the client",
    }
}

impl FilterBy {
    /// Those that a server can do, with or without full-text search, the baseline first.
    pub fn all(full_text: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|way| full_text || *way != Self::FullText).collect()
    }
}

/// Selections, one after the other. Each result is the first page, the most popular products first.
#[derive(Clone, Debug)]
pub struct FilterQueries {
    shop: Shop,
    selections: Vec<Selection>,
}

const FIRST_PAGE: PageOf = PageOf::first(20);

impl FilterQueries {
    /// `count` selections, at most five, from one category to all facets at once, in a shop that is filled ([`Shop::fill`]).
    pub fn new(shop: Shop, count: usize) -> Self {
        let labels = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        let up_to = |from, to| {
            let cents = |amount| Cents::new(amount).unwrap_or(Cents::ZERO);
            vec![PriceRange { from: cents(from), to: cents(to) }]
        };
        let brand = shop.products[0].brand.clone();
        let nothing = Selection::default();
        let selections = vec![
            Selection { categories: labels(&["Kitchen"]), ..nothing.clone() },
            Selection { categories: labels(&["Garden"]), brands: labels(&[&brand]), ..nothing.clone() },
            Selection { categories: labels(&["Books"]), prices: up_to(0, 10_000), ..nothing.clone() },
            Selection {
                brands: labels(&["Bolt & Co.", "Rolls-Smith", &brand]),
                prices: up_to(1_000, 40_000),
                ..nothing.clone()
            },
            Selection {
                categories: labels(&["Audio", "Toys"]),
                prices: up_to(5_000, 25_000),
                ratings: (3..=5).collect(),
                ..nothing
            },
        ];
        Self { shop, selections: selections.into_iter().take(count).collect() }
    }
}

impl Approach for FilterBy {
    type Input = FilterQueries;
    type Output = Vec<ResultPage>;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, queries: &FilterQueries) -> u64 {
        queries.selections.len() as u64
    }

    async fn reset<C: AnyConnection>(self, queries: &FilterQueries, connection: &mut C) -> RedisResult<()> {
        let FilterQueries { shop, selections } = queries;
        match self {
            Self::Stored => {
                let documents = shop.documents();
                let store = selections.iter().enumerate().map(|(number, selection)| {
                    let page = filter_documents(&documents, selection, Order::Popularity, FIRST_PAGE);
                    let text = serde_json::to_string(&page).unwrap_or_default();
                    let (mut redis, key) = (connection.clone(), shop.key(format_args!("page:{number}")));
                    async move { redis::cmd("SET").arg(key).arg(text).exec_async(&mut redis).await }
                });
                try_join_all(store).await.map(|_| ())
            }
            Self::InTheClient => shop.write_catalog(connection).await,
            Self::FullText => full_text::index(shop, connection).await,
            // The shop is filled.
            Self::Facets => Ok(()),
        }
    }

    async fn run<C: AnyConnection>(
        self,
        queries: &FilterQueries,
        connection: &mut C,
    ) -> RedisResult<Vec<ResultPage>> {
        let FilterQueries { shop, selections } = queries;
        let mut pages = Vec::with_capacity(selections.len());
        for (number, selection) in selections.iter().enumerate() {
            pages.push(match self {
                Self::Stored => {
                    let key = shop.key(format_args!("page:{number}"));
                    let text: String = redis::cmd("GET").arg(key).query_async(connection).await?;
                    serde_json::from_str(&text).unwrap_or_default()
                }
                Self::Facets => {
                    let page = shop.facets(connection).page(selection, Order::Popularity, FIRST_PAGE).await;
                    ResultPage::from(&page.map_err(into_redis_error)?)
                }
                Self::FullText => full_text::page(shop, selection, FIRST_PAGE, connection).await?,
                Self::InTheClient => {
                    let mut all = redis::cmd("HVALS");
                    let all: Vec<String> = all.arg(shop.key("catalog")).query_async(connection).await?;
                    let documents: Vec<Document> =
                        all.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
                    filter_documents(&documents, selection, Order::Popularity, FIRST_PAGE)
                }
            });
        }
        Ok(pages)
    }
}

/// The page as a loop over all documents finds it.
pub(super) fn filter_documents(
    documents: &[Document],
    selection: &Selection,
    order: Order,
    page: PageOf,
) -> ResultPage {
    let among = |labels: &BTreeSet<String>, text: &str| labels.is_empty() || labels.contains(text);
    let mut result = ResultPage { prices: vec![0; PRICE_BANDS.len() + 1], ..ResultPage::default() };
    let mut left: Vec<&Document> = Vec::new();
    for document in documents {
        let in_range =
            |range: &PriceRange| range.from.get() <= document.cents && document.cents <= range.to.get();
        let passes = [
            among(&selection.brands, &document.brand),
            among(&selection.categories, &document.category),
            selection.prices.is_empty() || selection.prices.iter().any(in_range),
            selection.ratings.is_empty() || selection.ratings.contains(&document.stars),
        ];
        let others_pass =
            |facet: usize| passes.iter().enumerate().all(|(number, passes)| *passes || number == facet);
        if others_pass(0) {
            *result.brands.entry(document.brand.clone()).or_insert(0) += 1;
        }
        if others_pass(1) {
            *result.categories.entry(document.category.clone()).or_insert(0) += 1;
        }
        if others_pass(2) {
            result.prices[PRICE_BANDS.iter().filter(|bound| **bound <= document.cents).count()] += 1;
        }
        if others_pass(3) {
            *result.ratings.entry(document.stars).or_insert(0) += 1;
        }
        if passes == [true; 4] {
            left.push(document);
        }
    }
    match order {
        Order::PriceAscending => left.sort_by_key(|document| (document.cents, document.sku.clone())),
        _ => left.sort_by_key(|document| (Reverse(document.popularity), Reverse(document.sku.clone()))),
    }
    result.total = left.len() as u64;
    let on_page = left.into_iter().skip(page.offset as usize).take(page.limit as usize);
    result.skus = on_page.map(|document| document.sku.clone()).collect();
    result
}
