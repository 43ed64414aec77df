//! The shop's own database: a table in memory, which stands for PostgreSQL or the like. Redis caches it, and it works without Redis.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use patterns::money::Cents;
use serde::{Deserialize, Serialize};

/// How long a query takes, so that you see what the cache saves.
pub const QUERY: Duration = Duration::from_millis(20);

/// A row.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Its SKU.
    pub sku: String,
    /// Its name: any text.
    pub name: String,
    /// Its brand.
    pub brand: String,
    /// Its category.
    pub category: String,
    /// Its price.
    pub price: Cents,
    /// Its rating: 1 to 5 stars.
    pub stars: u8,
    /// Its units when the shop opens.
    pub units: u64,
}

/// All products.
#[derive(Debug)]
pub struct Database {
    rows: RwLock<Vec<Product>>,
}

impl Database {
    /// The products that the shop begins with.
    pub fn filled() -> Self {
        Self { rows: RwLock::new(PRODUCTS.iter().filter_map(row).collect()) }
    }

    /// One product. It takes as long as a [`QUERY`].
    pub async fn product(&self, sku: &str) -> Option<Product> {
        tokio::time::sleep(QUERY).await;
        self.read(|rows| rows.iter().find(|row| row.sku == sku).cloned())
    }

    /// All products. It takes as long as a [`QUERY`].
    pub async fn products(&self) -> Vec<Product> {
        tokio::time::sleep(QUERY).await;
        self.read(<[Product]>::to_vec)
    }

    /// Gives a product another name; `None` if there is no such product.
    pub async fn rename(&self, sku: &str, name: &str) -> Option<Product> {
        tokio::time::sleep(QUERY).await;
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let row = rows.iter_mut().find(|row| row.sku == sku)?;
        name.clone_into(&mut row.name);
        Some(row.clone())
    }

    fn read<T>(&self, read: impl FnOnce(&[Product]) -> T) -> T {
        read(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// SKU, name, brand, category, cents, stars, units.
type Row = (&'static str, &'static str, &'static str, &'static str, i64, u8, u64);

fn row(&(sku, name, brand, category, cents, stars, units): &Row) -> Option<Product> {
    Some(Product {
        sku: sku.to_owned(),
        name: name.to_owned(),
        brand: brand.to_owned(),
        category: category.to_owned(),
        price: Cents::new(cents)?,
        stars,
        units,
    })
}

const PRODUCTS: [Row; 16] = [
    ("kettle", "Electric kettle", "Nordwind", "Kitchen", 3_999, 5, 40),
    ("teapot", "Cast-iron teapot", "Nordwind", "Kitchen", 5_450, 4, 12),
    ("grinder", "Coffee grinder", "Brava", "Kitchen", 7_900, 5, 18),
    ("press", "French press", "Brava", "Kitchen", 2_795, 4, 60),
    ("pan", "Carbon steel pan", "Hearth & Sons", "Kitchen", 4_600, 3, 25),
    ("tent", "Two-person tent", "Larch", "Outdoor", 18_900, 5, 8),
    ("stove", "Camping stove", "Larch", "Outdoor", 6_450, 4, 20),
    ("lamp", "Head lamp", "Larch", "Outdoor", 3_200, 4, 75),
    ("bottle", "Steel water bottle", "Nordwind", "Outdoor", 1_850, 5, 120),
    ("rope", "Climbing rope, 60 m", "Serra", "Outdoor", 14_900, 5, 6),
    ("headphones", "Wireless headphones", "Tono", "Audio", 12_900, 4, 30),
    ("speaker", "Shelf speaker", "Tono", "Audio", 24_900, 5, 10),
    ("turntable", "Turntable", "Brava", "Audio", 31_500, 4, 5),
    ("notebook", "Dotted notebook", "Foolscap", "Paper", 1_250, 5, 200),
    ("pen", "Fountain pen", "Foolscap", "Paper", 3_900, 4, 45),
    ("ink", "Bottle of ink", "Foolscap", "Paper", 1_100, 3, 90),
];
