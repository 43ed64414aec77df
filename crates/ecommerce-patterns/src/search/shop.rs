//! The products of the lesson, and putting them wherever they are looked for.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_connection::{Connection, own_keys};
use lab_runner::{Outcome, Page};
use redis::{Pipeline, RedisResult};
use serde::{Deserialize, Serialize};
use storefront::autocomplete::{Autocomplete, Index, normalised, terms};
use storefront::facets::{FacetedProduct, Facets, Stars};
use storefront::{Cents, Keys, Layout};

use super::keys::Names;
use super::{facets_failed, failed};
use crate::data::Data;

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

/// A product as a document: what the client reads who filters by himself.
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
    pub(super) products: Vec<FacetedProduct>,
    pub(super) keys: Keys,
    pub(super) names: Names,
}

impl Shop {
    /// The products of `data` and three with names and brands of a special kind, under `keys`.
    ///
    /// A product's popularity is its place among all of them, so no two have the same.
    #[must_use]
    pub fn of(data: &Data, keys: &Keys) -> Self {
        let mut by_popularity: Vec<usize> = (0..data.products.len()).collect();
        by_popularity.sort_by(|a, b| data.products[*a].popularity.total_cmp(&data.products[*b].popularity));
        let mut products: Vec<FacetedProduct> = by_popularity
            .into_iter()
            .zip(1..)
            .filter_map(|(index, popularity)| {
                let product = data.products[index].clone();
                Some(FacetedProduct {
                    sku: product.sku,
                    name: product.name,
                    brand: product.brand,
                    category: product.category,
                    price: product.price,
                    rating: Stars::new(product.rating)?,
                    popularity,
                })
            })
            .collect();
        let special = SPECIAL.iter().zip(products.len() as u64 + 1..);
        products.extend(special.filter_map(|((sku, name, brand, category, cents, stars), popularity)| {
            Some(FacetedProduct {
                sku: sku.parse().ok()?,
                name: name.parse().ok()?,
                brand: brand.parse().ok()?,
                category: category.parse().ok()?,
                price: Cents::new(*cents)?,
                rating: Stars::new(*stars)?,
                popularity,
            })
        }));
        Self { products, keys: keys.clone(), names: Names::new(keys.prefix()) }
    }

    /// Removes what an earlier run left.
    pub(super) async fn start_clean(&self, page: &Page) -> Outcome {
        let prefix = page.prefix();
        let (autocomplete, facet) = match self.keys.layout() {
            Layout::Standalone => ("autocomplete:", "facet:"),
            Layout::Cluster => ("{autocomplete}:", "{facet}:"),
        };
        for ours in [autocomplete, facet, "shop_search:"] {
            let mut redis = page.quietly();
            let left = own_keys::matching(&mut redis, &format!("{prefix}{ours}*"), MOST_KEYS).await?;
            own_keys::unlink(&mut redis, &left).await?;
        }
        Ok(())
    }

    /// Puts every product into the indexes of the storefront.
    pub async fn open(&self, connection: &Connection) -> RedisResult<()> {
        let (facets, autocomplete) = (self.facets(connection), self.autocomplete(connection));
        let puts = stream::iter(self.products.clone()).map(move |product| {
            let (facets, autocomplete) = (facets.clone(), autocomplete.clone());
            async move {
                facets.put(&product).await.map_err(facets_failed)?;
                let FacetedProduct { sku, name, popularity, .. } = &product;
                autocomplete.put(sku, name, *popularity).await.map_err(failed)
            }
        });
        puts.buffer_unordered(CLIENTS).try_for_each(async |_| Ok(())).await
    }

    /// Puts every document into one Hash.
    pub(super) async fn write_catalogue<C: lab_runner::Wire>(&self, connection: &mut C) -> RedisResult<()> {
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

    pub(super) fn documents(&self) -> Vec<Document> {
        self.products.iter().map(Document::of).collect()
    }

    /// The SKUs of what completes `typed`, the most popular first: found by going through all names.
    pub(super) fn completing(&self, typed: &str, count: usize) -> Vec<&str> {
        let prefix = normalised(typed);
        let fits = |name: &str| terms(name).iter().any(|term| term.starts_with(&prefix));
        // The most popular stand at the end.
        let found = self.products.iter().rev().filter(|product| fits(product.name.as_str()));
        found.take(count).map(|product| product.sku.as_str()).collect()
    }

    pub(super) fn facets<C: lab_runner::Wire>(&self, connection: &C) -> Facets<C> {
        Facets::new(connection.clone(), self.keys.clone())
    }

    pub(super) fn autocomplete<C: lab_runner::Wire>(&self, connection: &C) -> Autocomplete<C> {
        Autocomplete::new(connection.clone(), self.keys.clone(), Index::Weighted)
    }

    pub(super) fn keys_to_open(&self) -> Vec<String> {
        let brand = &self.products[self.products.len() - 1].brand;
        let kitchen = &self.products[self.products.len() - 2].category;
        let keys = &self.keys;
        vec![
            keys.autocomplete_terms(),
            keys.autocomplete_popular(),
            keys.autocomplete_products(),
            keys.autocomplete_prefix("caf"),
            keys.facet_products(),
            keys.facet_brand(brand),
            keys.facet_category(kitchen),
            keys.facet_brands(),
            keys.facet_price(),
            keys.facet_rating(),
            keys.facet_popularity(),
            self.names.naive_terms(),
        ]
    }
}

impl Document {
    fn of(product: &FacetedProduct) -> Self {
        Self {
            sku: product.sku.to_string(),
            name: product.name.to_string(),
            brand: product.brand.to_string(),
            category: product.category.to_string(),
            cents: product.price.get(),
            stars: product.rating.get(),
            popularity: product.popularity,
        }
    }
}
