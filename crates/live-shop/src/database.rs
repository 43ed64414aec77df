//! The shop's own database: a table in memory, which stands for PostgreSQL or the like. Redis caches it, and it works without Redis.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use patterns::money::Cents;
use serde::{Deserialize, Serialize};

/// How long a query takes, so that you see what the cache saves.
pub const QUERY: Duration = Duration::from_millis(20);

/// The customers that the shop begins with. A name is any text, and stays one on every page.
pub const CUSTOMERS: [&str; 4] = ["Ann", "Ben", "Cleo", "<b>Dot</b>"];
/// The password of each of them.
pub const PASSWORD: &str = "redis";

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

/// All products and customers.
#[derive(Debug)]
pub struct Database {
    rows: RwLock<Vec<Product>>,
    /// Passwords by name. They are no secret here. A real table has a slow salted hash in their place, such as Argon2id.
    customers: RwLock<BTreeMap<String, String>>,
}

impl Database {
    /// The products and customers that the shop begins with.
    pub fn filled() -> Self {
        let customers = CUSTOMERS.map(|name| (name.to_owned(), PASSWORD.to_owned()));
        let rows = PRODUCTS.iter().filter_map(row).collect();
        Self { rows: RwLock::new(rows), customers: RwLock::new(customers.into()) }
    }

    /// The password of a customer; `None` if there is no such customer. It takes as long as a [`QUERY`].
    pub async fn password(&self, name: &str) -> Option<String> {
        tokio::time::sleep(QUERY).await;
        self.customers.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Adds a customer.
    pub fn add_customer(&self, name: &str, password: &str) {
        let mut customers = self.customers.write().unwrap_or_else(PoisonError::into_inner);
        customers.insert(name.to_owned(), password.to_owned());
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
