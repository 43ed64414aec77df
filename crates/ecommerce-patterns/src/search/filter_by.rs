//! Ways to filter a catalogue.

use std::cmp::Reverse;

use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use patterns::facets::{Order, PageOf, PriceRange, Selection};
use patterns::money::Cents;
use redis::RedisResult;

use super::answer::{Answer, BOUNDS};
use super::shop::{Document, Shop};
use super::{facets_failed, full_text};

/// How to get a page with its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterBy {
    /// The floor: GET of the answer, ready-made, as a cache would have it.
    ReadyMade,
    /// The script of the pattern over its table of bits.
    Facets,
    /// FT.SEARCH and an FT.AGGREGATE for each facet, in one pipeline.
    FullText,
    /// HVALS of the whole catalogue, filtered here.
    InTheClient,
}

impl FilterBy {
    /// Those that a server can do, with or without full-text search; the floor first.
    #[must_use]
    pub fn all(full_text: bool) -> Vec<Self> {
        let full_text = full_text.then_some(Self::FullText);
        [Self::ReadyMade, Self::Facets].into_iter().chain(full_text).chain([Self::InTheClient]).collect()
    }
}

/// A shop, and what its customers have ticked one after the other. Every page is the first, the most popular first.
#[derive(Clone, Debug)]
pub struct Ticked {
    pub(super) shop: Shop,
    pub(super) selections: Vec<Selection>,
}

impl Ticked {
    /// The products per ctx.
    pub const PAGE: PageOf = PageOf::first(20);

    /// Five selections, from one category to all facets at once. The shop must be open ([`Shop::open`]).
    #[must_use]
    pub fn of(shop: Shop) -> Self {
        let labels = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let up_to = |from, to| {
            let cents = |amount| Cents::new(amount).unwrap_or(Cents::ZERO);
            vec![PriceRange { from: cents(from), to: cents(to) }]
        };
        let good = (3..=5).collect();
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
                ratings: good,
                ..nothing
            },
        ];
        Self { shop, selections }
    }
}

impl Approach for FilterBy {
    type Input = Ticked;
    type Output = Vec<Answer>;

    fn label(self) -> String {
        match self {
            Self::ReadyMade => "GET of a ready-made page",
            Self::Facets => "a table of bits, one script",
            Self::FullText => "FT.SEARCH and 4 FT.AGGREGATE",
            Self::InTheClient => "HVALS of all, filtered here",
        }
        .to_owned()
    }

    fn operations(self, ticked: &Ticked) -> u64 {
        ticked.selections.len() as u64
    }

    async fn reset<C: AnyConnection>(self, ticked: &Ticked, connection: &mut C) -> RedisResult<()> {
        let Ticked { shop, selections } = ticked;
        match self {
            Self::ReadyMade => {
                for (number, key) in (0..selections.len()).map(|number| (number, shop.names.ready(number))) {
                    if !redis::cmd("EXISTS").arg(&key).query_async::<bool>(connection).await? {
                        let right =
                            filtered(&shop.documents(), &selections[number], Order::Popularity, Ticked::PAGE);
                        let text = serde_json::to_string(&right).unwrap_or_default();
                        redis::cmd("SET").arg(key).arg(text).exec_async(connection).await?;
                    }
                }
                Ok(())
            }
            Self::InTheClient => {
                let key = shop.names.catalogue();
                if redis::cmd("EXISTS").arg(&key).query_async::<bool>(connection).await? {
                    return Ok(());
                }
                shop.write_catalogue(connection).await
            }
            Self::FullText => full_text::index(shop, connection).await,
            // The shop is open.
            Self::Facets => Ok(()),
        }
    }

    async fn run<C: AnyConnection>(self, ticked: &Ticked, connection: &mut C) -> RedisResult<Vec<Answer>> {
        let Ticked { shop, selections } = ticked;
        let mut answers = Vec::with_capacity(selections.len());
        for (number, selection) in selections.iter().enumerate() {
            answers.push(match self {
                Self::ReadyMade => {
                    let text: String =
                        redis::cmd("GET").arg(shop.names.ready(number)).query_async(connection).await?;
                    serde_json::from_str(&text).unwrap_or_default()
                }
                Self::Facets => {
                    let page = shop.facets(connection).page(selection, Order::Popularity, Ticked::PAGE).await;
                    Answer::of(&page.map_err(facets_failed)?)
                }
                Self::FullText => full_text::answer(shop, selection, Ticked::PAGE, connection).await?,
                Self::InTheClient => {
                    let all: Vec<String> =
                        redis::cmd("HVALS").arg(shop.names.catalogue()).query_async(connection).await?;
                    let documents: Vec<Document> =
                        all.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
                    filtered(&documents, selection, Order::Popularity, Ticked::PAGE)
                }
            });
        }
        Ok(answers)
    }
}

/// Goes through all documents.
pub(super) fn filtered(documents: &[Document], selection: &Selection, order: Order, page: PageOf) -> Answer {
    let among =
        |labels: &std::collections::BTreeSet<String>, text: &str| labels.is_empty() || labels.contains(text);
    let mut answer = Answer { prices: vec![0; BOUNDS.len() + 1], ..Answer::default() };
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
            *answer.brands.entry(document.brand.clone()).or_insert(0) += 1;
        }
        if others_pass(1) {
            *answer.categories.entry(document.category.clone()).or_insert(0) += 1;
        }
        if others_pass(2) {
            answer.prices[BOUNDS.iter().filter(|bound| **bound <= document.cents).count()] += 1;
        }
        if others_pass(3) {
            *answer.ratings.entry(document.stars).or_insert(0) += 1;
        }
        if passes == [true; 4] {
            left.push(document);
        }
    }
    match order {
        Order::PriceAscending => left.sort_by_key(|document| (document.cents, document.sku.clone())),
        _ => left.sort_by_key(|document| (Reverse(document.popularity), Reverse(document.sku.clone()))),
    }
    answer.total = left.len() as u64;
    let shown = left.into_iter().skip(page.offset as usize).take(page.limit as usize);
    answer.skus = shown.map(|document| document.sku.clone()).collect();
    answer
}

pub(super) async fn compare(ctx: &LessonContext, shop: &Shop, full_text: bool) -> Outcome {
    ctx.step(
        "What is it worth? Five selections, each a page of 20 with all counts, one after the other. The baseline is a GET of the \
         page as a cache would have it. A client that filters reads the whole catalog for each page: look at the bytes received, \
         which grow with the catalog. On one machine, and with a catalog this small, that may be as quick as the script. Over \
         100 Mbit/s, the 280 kB of one page take 22 ms before anything is filtered.",
    ).await?;
    let ticked = Ticked::of(shop.clone());
    ctx.compare(Comparison {
        title: "A page with its counts",
        approaches: &FilterBy::all(full_text),
        input: &ticked,
    })
    .await
}
