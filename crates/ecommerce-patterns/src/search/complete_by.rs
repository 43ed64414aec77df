//! Ways to complete a prefix.

use lab_runner::concurrent::try_join_all;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::autocomplete::{MAX_LISTED_CHARACTERS, normalized, terms};
use redis::{Pipeline, RedisResult};

use super::shop::{PREFIXES, Shop};

/// Suggestions for each prefix.
const COUNT: usize = 5;
/// More than any of the prefixes finds.
const ENOUGH: usize = 1_000;

labeled! {
    /// How to find what completes a prefix.
    pub enum CompleteBy {
        /// One for each prefix.
        Stored => "GET of a stored result (baseline)",
        /// ZRANGE. A prefix that is too long to have lines is done like [`Self::AllTerms`].
        PrefixLines => "lines for each short prefix",
        /// ZRANGE BYLEX over all terms.
        AllTerms => "all terms, ranked by a script",
        /// Its own order depends on the length, too.
        Dictionary => "FT.SUGGET, ranked by the client",
    }
}

impl CompleteBy {
    /// Those that a server can do, with or without full-text search, the baseline first.
    pub fn all(full_text: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|way| full_text || *way != Self::Dictionary).collect()
    }
}

/// Prefixes to complete, one after the other.
#[derive(Clone, Debug)]
pub struct PrefixQueries {
    shop: Shop,
    count: usize,
}

impl PrefixQueries {
    /// `count` prefixes, at most ten, in a shop that is filled ([`Shop::fill`]).
    pub fn new(shop: Shop, count: usize) -> Self {
        Self { shop, count: count.min(PREFIXES.len()) }
    }

    fn prefixes(&self) -> &[&'static str] {
        &PREFIXES[PREFIXES.len() - self.count..]
    }
}

impl Approach for CompleteBy {
    type Input = PrefixQueries;
    /// The SKUs suggested for each prefix.
    type Output = Vec<Vec<String>>;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, queries: &PrefixQueries) -> u64 {
        queries.count as u64
    }

    async fn reset<C: AnyConnection>(self, queries: &PrefixQueries, connection: &mut C) -> RedisResult<()> {
        let shop = &queries.shop;
        match self {
            Self::Stored => {
                let store = queries.prefixes().iter().map(|prefix| {
                    let (mut redis, key) = (connection.clone(), shop.key(format_args!("completed:{prefix}")));
                    let skus = shop.expected_suggestions(prefix, COUNT).join(" ");
                    async move { redis::cmd("SET").arg(key).arg(skus).exec_async(&mut redis).await }
                });
                try_join_all(store).await.map(|_| ())
            }
            Self::Dictionary => {
                let key = shop.key("suggestions");
                if redis::cmd("EXISTS").arg(&key).query_async::<bool>(connection).await? {
                    return Ok(());
                }
                let mut pipeline = Pipeline::new();
                for product in &shop.products {
                    for term in terms(&product.name) {
                        // A dictionary has each text once, and several products may have the same words.
                        let add = pipeline.cmd("FT.SUGADD").arg(&key).arg(format!("{term} {}", product.id));
                        add.arg(product.popularity).arg("PAYLOAD");
                        add.arg(format!("{} {}", product.popularity, product.id)).ignore();
                    }
                }
                pipeline.exec_async(connection).await
            }
            // The shop is filled.
            Self::PrefixLines | Self::AllTerms => Ok(()),
        }
    }

    async fn run<C: AnyConnection>(
        self,
        queries: &PrefixQueries,
        connection: &mut C,
    ) -> RedisResult<Vec<Vec<String>>> {
        let shop = &queries.shop;
        let mut found = Vec::with_capacity(queries.count);
        for prefix in queries.prefixes() {
            found.push(match self {
                Self::Stored => {
                    let key = shop.key(format_args!("completed:{prefix}"));
                    let skus: String = redis::cmd("GET").arg(key).query_async(connection).await?;
                    skus.split(' ').map(str::to_owned).collect()
                }
                Self::PrefixLines => suggested(shop, MAX_LISTED_CHARACTERS, prefix, connection).await?,
                Self::AllTerms => suggested(shop, 0, prefix, connection).await?,
                Self::Dictionary => by_dictionary(shop, prefix, connection).await?,
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
    let found = autocomplete.suggest(prefix, COUNT).await.map_err(into_redis_error)?;
    Ok(found.into_iter().map(|suggestion| suggestion.id).collect())
}

async fn by_dictionary<C: AnyConnection>(
    shop: &Shop,
    prefix: &str,
    connection: &mut C,
) -> RedisResult<Vec<String>> {
    let mut ask = redis::cmd("FT.SUGGET");
    ask.arg(shop.key("suggestions")).arg(normalized(prefix)).arg("WITHPAYLOADS").arg("MAX").arg(ENOUGH);
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
