//! Ways to complete a prefix.

use lab_runner::table::thousands;
use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use patterns::autocomplete::{MAX_HITS, MAX_LISTED_CHARACTERS, normalized, terms};
use redis::{Pipeline, RedisResult};

use super::failed;
use super::shop::Shop;

/// How many are suggested.
const COUNT: usize = 5;
/// More than any of the prefixes finds.
const ENOUGH: usize = 1_000;
/// What customers type.
const PREFIXES: [&str; 10] =
    ["cof", "COFF", "coffee", "café", "crê", "head", "headph", "mous", "yoga", "espresso m"];

/// How to find what completes a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompleteBy {
    /// The floor: GET of the answer, ready-made.
    ReadyMade,
    /// ZRANGE of the lines of the prefix; for a prefix that is too long to have lines, as [`Self::Lexicographic`].
    Weighted,
    /// ZRANGE BYLEX over all terms, ranked by a script.
    Lexicographic,
    /// FT.SUGGET, ranked here: its own order takes the length into account too.
    Suggestions,
}

impl CompleteBy {
    /// Those that a server can do, with or without full-text search; the floor first.
    #[must_use]
    pub fn all(full_text: bool) -> Vec<Self> {
        let suggestions = full_text.then_some(Self::Suggestions);
        [Self::ReadyMade, Self::Weighted, Self::Lexicographic].into_iter().chain(suggestions).collect()
    }
}

/// A shop, and what its customers type one after the other.
#[derive(Clone, Debug)]
pub struct Typed {
    shop: Shop,
}

impl Typed {
    /// Ten prefixes. The shop must be open ([`Shop::open`]).
    #[must_use]
    pub fn of(shop: Shop) -> Self {
        Self { shop }
    }
}

impl Approach for CompleteBy {
    type Input = Typed;
    /// The SKUs suggested for each prefix.
    type Output = Vec<Vec<String>>;

    fn label(self) -> String {
        match self {
            Self::ReadyMade => "GET of a ready-made list",
            Self::Weighted => "lines for each short prefix",
            Self::Lexicographic => "BYLEX, ranked by a script",
            Self::Suggestions => "FT.SUGGET, ranked here",
        }
        .to_owned()
    }

    fn operations(self, _: &Typed) -> u64 {
        PREFIXES.len() as u64
    }

    async fn reset<C: AnyConnection>(self, typed: &Typed, connection: &mut C) -> RedisResult<()> {
        let shop = &typed.shop;
        let mut pipeline = Pipeline::new();
        match self {
            Self::ReadyMade => {
                for prefix in PREFIXES {
                    let key = shop.names.completed(prefix);
                    redis::cmd("SET")
                        .arg(key)
                        .arg(shop.completing(prefix, COUNT).join(" "))
                        .exec_async(connection)
                        .await?;
                }
                return Ok(());
            }
            Self::Suggestions => {
                let key = shop.names.suggestions();
                if redis::cmd("EXISTS").arg(&key).query_async::<bool>(connection).await? {
                    return Ok(());
                }
                for product in &shop.products {
                    for term in terms(&product.name) {
                        // A dictionary has each text once, and several products may have the same words.
                        let add = pipeline.cmd("FT.SUGADD").arg(&key).arg(format!("{term} {}", product.id));
                        add.arg(product.popularity).arg("PAYLOAD");
                        add.arg(format!("{} {}", product.popularity, product.id)).ignore();
                    }
                }
            }
            // The shop is open.
            Self::Weighted | Self::Lexicographic => return Ok(()),
        }
        pipeline.exec_async(connection).await
    }

    async fn run<C: AnyConnection>(self, typed: &Typed, connection: &mut C) -> RedisResult<Vec<Vec<String>>> {
        let shop = &typed.shop;
        let mut found = Vec::with_capacity(PREFIXES.len());
        for prefix in PREFIXES {
            found.push(match self {
                Self::ReadyMade => {
                    let text: String =
                        redis::cmd("GET").arg(shop.names.completed(prefix)).query_async(connection).await?;
                    text.split(' ').map(str::to_owned).collect()
                }
                Self::Weighted => suggested(shop, MAX_LISTED_CHARACTERS, prefix, connection).await?,
                Self::Lexicographic => suggested(shop, 0, prefix, connection).await?,
                Self::Suggestions => by_dictionary(shop, prefix, connection).await?,
            });
        }
        Ok(found)
    }
}

async fn suggested<C: AnyConnection>(
    shop: &Shop,
    listed: usize,
    prefix: &str,
    connection: &C,
) -> RedisResult<Vec<String>> {
    let autocomplete = shop.autocomplete(connection).with_listed_characters(listed);
    let found = autocomplete.suggest(prefix, COUNT).await.map_err(failed)?;
    Ok(found.into_iter().map(|suggestion| suggestion.id).collect())
}

async fn by_dictionary<C: AnyConnection>(
    shop: &Shop,
    prefix: &str,
    connection: &mut C,
) -> RedisResult<Vec<String>> {
    let mut ask = redis::cmd("FT.SUGGET");
    ask.arg(shop.names.suggestions()).arg(normalized(prefix)).arg("WITHPAYLOADS").arg("MAX").arg(ENOUGH);
    let found: Vec<(String, String)> = ask.query_async(connection).await?;
    let mut ranked: Vec<(u64, String)> = found
        .into_iter()
        .filter_map(|(_, payload)| {
            let (popularity, sku) = payload.split_once(' ')?;
            Some((popularity.parse().ok()?, sku.to_owned()))
        })
        .collect();
    ranked.sort_unstable_by(|one, other| other.cmp(one));
    ranked.dedup();
    Ok(ranked.into_iter().take(COUNT).map(|(_, sku)| sku).collect())
}

pub(super) async fn compare(ctx: &LessonContext, shop: &Shop, full_text: bool) -> Outcome {
    ctx.step(format!(
        "What about completing? Ten prefixes, the best five for each. If each prefix of up to {MAX_LISTED_CHARACTERS} characters \
         has lines of its own, they only have to be read. A longer prefix, one of the ten, goes through the terms. There a script \
         looks at every hit to find the most popular ones, but at no more than the first {}. An index of terms alone is a fifth \
         as large, and cheaper to change.",
        thousands(MAX_HITS as f64),
    )).await?;
    let typed = Typed::of(shop.clone());
    ctx.compare(Comparison {
        title: "Five suggestions",
        approaches: &CompleteBy::all(full_text),
        input: &typed,
    })
    .await
}
