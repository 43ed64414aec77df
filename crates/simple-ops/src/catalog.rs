//! Sample products: made up, but the same on every run and every machine.

use fake::Fake;
use fake::faker::company::en::CompanyName;
use fake::faker::lorem::en::Sentence;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// The first number in the sequence of the generator; another one makes another catalog.
const SEED: u64 = 123;

const LOOKS: [&str; 8] = ["Blue", "Classic", "Compact", "Green", "Light", "Quiet", "Red", "Sturdy"];
const THINGS: [(&str, &str); 8] = [
    ("Backpack", "travel"),
    ("Desk Lamp", "office"),
    ("Headphones", "audio"),
    ("Kettle", "kitchen"),
    ("Notebook", "office"),
    ("Running Shoe", "sports"),
    ("Tent", "travel"),
    ("Umbrella", "travel"),
];
const TAGS: [&str; 6] = ["bestseller", "gift", "new", "outlet", "sale", "vegan"];

/// A product of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Number in the catalog.
    pub id: u64,
    /// What the customer reads first.
    pub name: String,
    /// What one unit costs, in cents. Cents are whole numbers, so no cent is ever lost to rounding.
    pub price_cents: i64,
    /// Units in stock.
    pub stock: i64,
    /// Who makes it.
    pub brand: String,
    /// Where it is listed.
    pub category: String,
    /// Labels; at least one.
    pub tags: Vec<String>,
    /// A few sentences.
    pub description: String,
}

/// The products with the numbers `first_id`, `first_id + 1` and so on. A number always gives the same product.
#[must_use]
pub fn products(first_id: u64, count: usize) -> Vec<Product> {
    (first_id..).take(count).map(product).collect()
}

/// The product with this number; the same on every run.
#[must_use]
pub fn product(id: u64) -> Product {
    let rng = &mut StdRng::seed_from_u64(SEED.wrapping_add(id));
    let (thing, category) = THINGS[rng.random_range(0..THINGS.len())];
    let first_tag = rng.random_range(0..TAGS.len());
    let sentences: Vec<String> = (0..3).map(|_| Sentence(6..10).fake_with_rng(rng)).collect();
    Product {
        id,
        name: format!("{} {thing}", LOOKS[rng.random_range(0..LOOKS.len())]),
        brand: CompanyName().fake_with_rng(rng),
        category: category.to_owned(),
        price_cents: rng.random_range(499..20_000),
        stock: rng.random_range(40..400),
        tags: TAGS.iter().cycle().skip(first_tag).take(2).map(|tag| (*tag).to_owned()).collect(),
        description: sentences.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_always_gives_the_same_product() {
        assert_eq!(product(123), products(120, 5)[3]);
        assert_ne!(product(123).description, product(124).description);
    }

    #[test]
    fn every_product_can_be_sold() {
        for product in products(1, 200) {
            assert!(product.price_cents > 0 && product.stock > 0 && !product.tags.is_empty(), "{product:?}");
        }
    }
}
