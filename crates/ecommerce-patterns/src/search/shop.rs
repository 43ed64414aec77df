//! The products of the lesson, their keys, and putting them into each index.

use std::collections::BTreeSet;
use std::fmt::Display;

use lab_connection::Connection;
use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, into_redis_error};
use patterns::autocomplete::{Autocomplete, normalized, terms};
use patterns::facets::{Facets, Product};
use patterns::money::Cents;
use redis::{Pipeline, RedisResult};
use serde::{Deserialize, Serialize};

use crate::data::{self, Data};

/// Products that are put at a time, over one connection.
pub(super) const IN_FLIGHT: usize = 500;

/// Selections that the comparison makes.
pub(super) const SELECTIONS: usize = 5;
/// What customers type. The last is too long to have lines of its own.
pub(super) const PREFIXES: [&str; 10] =
    ["cof", "coffee", "café", "COFF", "crê", "head", "headph", "mous", "yoga", "espresso m"];

/// SKU, name, brand, category, cents, and stars of products with unusual names and brands.
const UNUSUAL: [(&str, &str, &str, &str, i64, u8); 3] = [
    ("CAFE1", "Café Crème machine", "Bolt & Co.", "Kitchen", 9_900, 5),
    ("CREPE1", "Crêpe pan", "Bolt & Co.", "Kitchen", 3_499, 4),
    ("PINATA1", "Piñata ☕ XL", "Rolls-Smith", "Toys", 1_250, 3),
];

/// A product as a JSON document, for a client that filters by itself.
#[derive(Deserialize, Serialize)]
pub(super) struct Document {
    pub(super) sku: String,
    name: String,
    pub(super) brand: String,
    pub(super) category: String,
    pub(super) cents: i64,
    pub(super) stars: u8,
    /// No two products have the same.
    pub(super) popularity: u64,
}

/// The catalog of the lesson on one server.
#[derive(Clone, Debug)]
pub struct Shop {
    /// By popularity, which is their place in this list, from 1. The unusual ones come last.
    pub(super) products: Vec<Product>,
    prefix: String,
}

impl Shop {
    /// The products of `data` and three with unusual names and brands, under `prefix`.
    pub fn new(data: &Data, prefix: &str) -> Self {
        let mut by_popularity: Vec<usize> = (0..data.products.len()).collect();
        by_popularity.sort_by(|a, b| data.products[*a].popularity.total_cmp(&data.products[*b].popularity));
        let mut products: Vec<Product> = Vec::new();
        let mut add = |texts: [&str; 4], price, rating| {
            let [id, name, brand, category] = texts.map(str::to_owned);
            let popularity = products.len() as u64 + 1;
            let added = popularity;
            products.push(Product { id, name, brand, category, price, rating, popularity, added });
        };
        for index in by_popularity {
            let data::Product { sku, name, brand, category, price, rating, .. } = &data.products[index];
            add([sku, name, brand, category].map(String::as_str), *price, *rating);
        }
        for (sku, name, brand, category, cents, rating) in UNUSUAL {
            add([sku, name, brand, category], Cents::new(cents).unwrap_or_default(), rating);
        }
        Self { products, prefix: prefix.to_owned() }
    }

    /// Puts every product into both patterns' indexes.
    pub async fn fill(&self, redis: &Connection) -> RedisResult<()> {
        self.put_names(redis).await?;
        self.put_facets(redis).await
    }

    pub(super) async fn put_names(&self, redis: &Connection) -> RedisResult<()> {
        let autocomplete = self.autocomplete(redis);
        let put = async |number: usize| {
            let product = &self.products[number];
            autocomplete.put(&product.id, &product.name, product.popularity).await
        };
        // After the first, the server knows the script.
        put(0).await.map_err(into_redis_error)?;
        concurrently(IN_FLIGHT, self.products.len(), put).await.map(|_| ()).map_err(into_redis_error)
    }

    pub(super) async fn put_facets(&self, redis: &Connection) -> RedisResult<()> {
        let facets = self.facets(redis);
        facets.put(&self.products[0]).await.map_err(into_redis_error)?;
        let put = async |number: usize| facets.put(&self.products[number]).await;
        concurrently(IN_FLIGHT, self.products.len(), put).await.map(|_| ()).map_err(into_redis_error)
    }

    /// Puts every product into a Set of its brand and one of its category, and into a Sorted Set of prices.
    pub(super) async fn write_sets<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        let mut pipeline = Pipeline::new();
        for product in &self.products {
            pipeline.sadd(self.brand_key(&product.brand), &product.id).ignore();
            pipeline
                .sadd(self.tagged_key(format_args!("category:{}", product.category)), &product.id)
                .ignore();
            pipeline.zadd(self.tagged_key("prices"), &product.id, product.price.get()).ignore();
        }
        pipeline.exec_async(redis).await
    }

    /// Puts every document into one Hash.
    pub(super) async fn write_catalog<C: AnyConnection>(&self, redis: &mut C) -> RedisResult<()> {
        let mut set = redis::cmd("HSET");
        set.arg(self.key("catalog"));
        for document in self.documents() {
            set.arg(&document.sku).arg(serde_json::to_string(&document).unwrap_or_default());
        }
        set.exec_async(redis).await
    }

    pub(super) fn documents(&self) -> Vec<Document> {
        let document = |product: &Product| Document {
            sku: product.id.clone(),
            name: product.name.clone(),
            brand: product.brand.clone(),
            category: product.category.clone(),
            cents: product.price.get(),
            stars: product.rating,
            popularity: product.popularity,
        };
        self.products.iter().map(document).collect()
    }

    /// The SKUs to suggest for what is typed, the most popular first, as a loop over all names finds them.
    pub(super) fn expected_suggestions(&self, typed: &str, count: usize) -> Vec<&str> {
        let prefix = normalized(typed);
        let fits = |name: &str| terms(name).iter().any(|term| term.starts_with(&prefix));
        let found = self.products.iter().rev().filter(|product| fits(&product.name));
        found.take(count).map(|product| product.id.as_str()).collect()
    }

    pub(super) fn facets<C: AnyConnection>(&self, redis: &C) -> Facets<C> {
        Facets::new(redis.clone(), &self.prefix)
    }

    pub(super) fn autocomplete<C: AnyConnection>(&self, redis: &C) -> Autocomplete<C> {
        Autocomplete::new(redis.clone(), &self.prefix)
    }

    /// The keys of both patterns, without those that exist only while a script runs.
    pub(super) fn pattern_keys<C: AnyConnection>(&self, redis: &C) -> RedisResult<Vec<String>> {
        let facets = self.facets(redis).keys().map_err(into_redis_error)?;
        let index = self.autocomplete(redis).key().map_err(into_redis_error)?;
        Ok([index].into_iter().chain(facets.into_iter().take(6)).collect())
    }

    /// Every key that the lesson itself writes.
    pub(super) fn own_keys(&self) -> Vec<String> {
        let mut keys = vec![self.key("words"), self.key("naive_terms"), self.key("suggestions")];
        keys.extend([self.tagged_key("prices"), self.key("catalog")]);
        let brands: BTreeSet<&str> = self.products.iter().map(|product| product.brand.as_str()).collect();
        let categories: BTreeSet<&str> =
            self.products.iter().map(|product| product.category.as_str()).collect();
        for brand in brands {
            keys.extend([self.brand_key(brand), self.key(format_args!("naive_brand:{brand}"))]);
        }
        keys.extend(
            categories.into_iter().map(|category| self.tagged_key(format_args!("category:{category}"))),
        );
        keys.extend(["Acme", "Kitchen", "both"].map(|name| self.tagged_key(format_args!("bits:{name}"))));
        keys.extend((0..SELECTIONS).map(|number| self.key(format_args!("page:{number}"))));
        keys.extend(PREFIXES.map(|prefix| self.key(format_args!("completed:{prefix}"))));
        keys.extend(self.products.iter().map(|product| self.key(format_args!("product:{}", product.id))));
        keys
    }

    pub(super) fn brand_key(&self, brand: &str) -> String {
        self.tagged_key(format_args!("brand:{brand}"))
    }

    pub(super) fn key(&self, name: impl Display) -> String {
        format!("{}shop_search:{name}", self.prefix)
    }

    /// These keys have the same hash tag, so that a cluster can combine them.
    pub(super) fn tagged_key(&self, name: impl Display) -> String {
        format!("{0}shop_search:{{{0}shop_search}}:{name}", self.prefix)
    }
}
