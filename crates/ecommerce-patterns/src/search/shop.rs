//! The products of the lesson, and putting them wherever they are looked for.

use super::keys::Names;
use super::{facets_failed, failed};
use crate::data::Data;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_connection::{Connection, own_keys};
use lab_runner::{LessonContext, Outcome};
use patterns::autocomplete::{Autocomplete, normalized, terms};
use patterns::facets::{Facets, Product};
use patterns::money::Cents;
use redis::{Pipeline, RedisResult};
use serde::{Deserialize, Serialize};

/// Puts at a time over one connection.
const CLIENTS: usize = 50;
/// More keys than a run leaves.
const MOST_KEYS: usize = 200_000;

/// SKU, name, brand, category, cents, stars: what names and labels can be like.
const SPECIAL: [(&str, &str, &str, &str, i64, u8); 3] = [
    ("CAFE1", "Café Crème machine", "Bolt & Co.", "Kitchen", 9_900, 5),
    ("CREPE1", "Crêpe pan", "Bolt & Co.", "Kitchen", 3_499, 4),
    ("PINATA1", "Piñata ☕ XL", "Rolls-Smith", "Toys", 1_250, 3),
];

/// A product as a document, for a client that filters by itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Document {
    /// `PROD123`.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// Who makes it.
    pub brand: String,
    /// What it belongs to.
    pub category: String,
    /// Its price.
    pub cents: i64,
    /// One to five.
    pub stars: u8,
    /// No two products have the same.
    pub popularity: u64,
}

/// The catalogue of the lesson on one server.
#[derive(Clone, Debug)]
pub struct Shop {
    pub(super) products: Vec<Product>,
    prefix: String,
    pub(super) names: Names,
}

impl Shop {
    /// The products of `data` and three with unusual names and brands, under `prefix`.
    ///
    /// A product's popularity is its place among all of them, so no two have the same.
    #[must_use]
    pub fn of(data: &Data, prefix: &str) -> Self {
        let mut by_popularity: Vec<usize> = (0..data.products.len()).collect();
        by_popularity.sort_by(|a, b| data.products[*a].popularity.total_cmp(&data.products[*b].popularity));
        let mut products: Vec<Product> = by_popularity
            .into_iter()
            .zip(1..)
            .filter_map(|(index, popularity)| {
                let product = &data.products[index];
                Some(Product {
                    id: product.sku.as_str().to_owned(),
                    name: product.name.as_str().to_owned(),
                    brand: product.brand.as_str().to_owned(),
                    category: product.category.as_str().to_owned(),
                    price: Cents::new(product.price.get())?,
                    rating: product.rating,
                    popularity,
                    added: index as u64,
                })
            })
            .collect();
        let special = SPECIAL.iter().zip(products.len() as u64 + 1..);
        products.extend(special.filter_map(|((sku, name, brand, category, cents, stars), popularity)| {
            Some(Product {
                id: (*sku).to_owned(),
                name: (*name).to_owned(),
                brand: (*brand).to_owned(),
                category: (*category).to_owned(),
                price: Cents::new(*cents)?,
                rating: *stars,
                popularity,
                added: popularity,
            })
        }));
        Self { products, prefix: prefix.to_owned(), names: Names::new(prefix) }
    }

    /// Removes what an earlier run left.
    pub(super) async fn start_clean(&self, ctx: &LessonContext) -> Outcome {
        for ours in ["autocomplete", "facets", "shop_search"] {
            let mut redis = ctx.untraced("TODO");
            let pattern = patterns::key::scan_pattern(&self.prefix, ours);
            let left = own_keys::matching(&mut redis, &pattern, MOST_KEYS).await?;
            own_keys::unlink(&mut redis, &left).await?;
        }
        Ok(())
    }

    /// Puts every product into both indexes.
    pub async fn open(&self, connection: &Connection) -> RedisResult<()> {
        let (facets, autocomplete) = (self.facets(connection), self.autocomplete(connection));
        let puts = stream::iter(self.products.clone()).map(move |product| {
            let (facets, autocomplete) = (facets.clone(), autocomplete.clone());
            async move {
                facets.put(&product).await.map_err(facets_failed)?;
                autocomplete.put(&product.id, &product.name, product.popularity).await.map_err(failed)
            }
        });
        puts.buffer_unordered(CLIENTS).try_for_each(async |_| Ok(())).await
    }

    /// Puts every document into one Hash.
    pub(super) async fn write_catalogue<C: lab_runner::AnyConnection>(
        &self,
        connection: &mut C,
    ) -> RedisResult<()> {
        let mut pipeline = Pipeline::new();
        for documents in self.documents().chunks(200) {
            let set = pipeline.cmd("HSET").arg(self.names.catalogue());
            for document in documents {
                set.arg(&document.sku).arg(serde_json::to_string(document).unwrap_or_default());
            }
            set.ignore();
        }
        pipeline.exec_async(connection).await
    }

    /// Puts every product into a Set for its brand and one for its category, and into a Sorted Set of prices.
    pub(super) async fn write_sets<C: lab_runner::AnyConnection>(
        &self,
        connection: &mut C,
    ) -> RedisResult<()> {
        let mut pipeline = Pipeline::new();
        for product in &self.products {
            pipeline.sadd(self.names.brand(&product.brand), &product.id).ignore();
            pipeline.sadd(self.names.category(&product.category), &product.id).ignore();
            pipeline.zadd(self.names.prices(), &product.id, product.price.get()).ignore();
        }
        pipeline.exec_async(connection).await
    }

    pub(super) fn documents(&self) -> Vec<Document> {
        self.products.iter().map(Document::of).collect()
    }

    /// The SKUs of what completes `typed`, the most popular first: found by going through all names.
    pub(super) fn completing(&self, typed: &str, count: usize) -> Vec<&str> {
        let prefix = normalized(typed);
        let fits = |name: &str| terms(name).iter().any(|term| term.starts_with(&prefix));
        // The most popular stand at the end.
        let found = self.products.iter().rev().filter(|product| fits(&product.name));
        found.take(count).map(|product| product.id.as_str()).collect()
    }

    pub(super) fn facets<C: lab_runner::AnyConnection>(&self, connection: &C) -> Facets<C> {
        Facets::new(connection.clone(), &self.prefix)
    }

    pub(super) fn autocomplete<C: lab_runner::AnyConnection>(&self, connection: &C) -> Autocomplete<C> {
        Autocomplete::new(connection.clone(), &self.prefix)
    }

    /// The keys of both patterns.
    pub(super) fn keys_of_patterns<C: lab_runner::AnyConnection>(
        &self,
        connection: &C,
    ) -> RedisResult<Vec<String>> {
        let mut keys = vec![self.autocomplete(connection).key().map_err(failed)?];
        // The last ones are there only while a script runs.
        keys.extend(self.facets(connection).keys().map_err(failed)?.into_iter().take(6));
        Ok(keys)
    }
}

impl Document {
    fn of(product: &Product) -> Self {
        Self {
            sku: product.id.clone(),
            name: product.name.clone(),
            brand: product.brand.clone(),
            category: product.category.clone(),
            cents: product.price.get(),
            stars: product.rating,
            popularity: product.popularity,
        }
    }
}
