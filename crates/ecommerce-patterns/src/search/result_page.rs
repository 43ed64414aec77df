//! A page of products and its counts, however it was found.

use std::collections::BTreeMap;

use patterns::facets::FacetPage;
use serde::{Deserialize, Serialize};

/// Where price bands begin: those of [`Facets`](patterns::facets::Facets).
pub(super) const PRICE_BANDS: [i64; 5] = [2_500, 5_000, 10_000, 25_000, 50_000];

/// A page and its counts, in the form in which the approaches are compared.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ResultPage {
    /// Products on all pages.
    pub total: u64,
    /// Those of the page.
    pub skus: Vec<String>,
    /// Products of each brand.
    pub brands: BTreeMap<String, u64>,
    /// Products of each category.
    pub categories: BTreeMap<String, u64>,
    /// Products in each price band.
    pub prices: Vec<u64>,
    /// Products of each number of stars.
    pub ratings: BTreeMap<u8, u64>,
}

impl From<&FacetPage> for ResultPage {
    fn from(page: &FacetPage) -> Self {
        Self {
            total: page.total,
            skus: page.products.iter().map(|product| product.id.clone()).collect(),
            brands: page.brands.clone(),
            categories: page.categories.clone(),
            prices: page.prices.iter().map(|band| band.products).collect(),
            ratings: page.ratings.clone(),
        }
    }
}
