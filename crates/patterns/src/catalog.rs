//! The catalog: products by SKU, each with a name that no other product has.
//!
//! The naive way checks that a name is free and then writes the product. Two clients that do this at once both find it free.
//! Here an index decides: one Hash, so one script. A product is in a slot of its own, so writing it is a second step. You can
//! repeat both steps, and each client reads the index again after it has written, so the last one leaves what the index says.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `sku:sku123` | Hash | `name`, `price` |
//! | `skus` | Hash | `sku:sku123` to price and name; `name:Coffee mug` to SKU |
//!
//! - **Promise**: no two products have the same name. Names are compared, and stored, in Unicode's form NFC: `é` is one letter,
//!   however it was typed. Case counts.
//! - **Cost**: [`Catalog::get`] takes one round trip, [`Catalog::get_many`] one for each product, all at once; [`Catalog::put`]
//!   takes three, [`Catalog::remove`] four.
//! - **Memory**: each product twice.
//! - **Faults**: if a client stops between two steps, or a failover loses one of them, or `sku:sku123` is evicted, the index may
//!   disagree with a product: the name stays taken. Put the product again, or remove it; both repair it. If `skus` is evicted,
//!   the list is empty and names are free: put all products again. Use `noeviction`.
//!
//! ```
//! use patterns::catalog::{Catalog, Product};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let catalog = Catalog::new(connection, "");
//! let mug = Product { sku: "sku123".into(), name: "Café mug".into(), price: "19.99".parse()? };
//! catalog.put(&mug).await?;
//! assert_eq!(catalog.find("Cafe\u{301} mug").await?, Some(mug));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeSet;

use icu_normalizer::ComposingNormalizerBorrowed;
use redis::aio::ConnectionLike;

use crate::key::{Key, KeyError, check_id};
use crate::money::Cents;
use crate::script::{Reply, Script, StoreError, by_operation, join_all, quote, send};

/// How many fields of the index, and products, one step of [`Catalog::list`] reads.
const PAGE: usize = 500;

const FILE: &str = include_str!("catalog.lua");

/// Adds or changes a product, unless another product has its name.
pub static PUT: Script = Script::new("catalog.lua: put", FILE, &["put"]);
/// Removes a product from the index.
pub static REMOVE: Script = Script::new("catalog.lua: remove", FILE, &["remove"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&PUT, &REMOVE])
}

/// A product on sale.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Product {
    /// The code that the shop knows it by.
    pub sku: String,
    /// Its name: 1 to 512 bytes. The catalog stores it in Unicode's form NFC.
    pub name: String,
    /// What one unit costs, up to [`Cents::MAX_PRICE`]. It is stored as `19.99`.
    pub price: Cents,
}

/// What [`Catalog::put`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// The product is new.
    Added,
    /// The product existed. It now has this name and price.
    Changed,
}

/// The products under a prefix.
#[derive(Clone, Debug)]
pub struct Catalog<C> {
    connection: C,
    prefix: String,
}

impl<C: ConnectionLike + Clone> Catalog<C> {
    /// The products under a prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Adds a product, or changes its name and price. Three round trips.
    pub async fn put(&self, product: &Product) -> Result<Put, PutError> {
        let Product { sku, name, price } = product;
        let name = normalize(name);
        check_id(&name)?;
        self.key(sku)?;
        if *price > Cents::MAX_PRICE {
            return Err(PutError::PriceTooHigh(*price));
        }
        let call = PUT.call(&[self.index()?.as_str()]).arg(sku).arg(&name).arg(price.to_string());
        let mut reply: Reply = call.run(&self.connection).await?;
        let put = match reply.outcome.as_str() {
            "ADDED" => Put::Added,
            "CHANGED" => Put::Changed,
            "NAME_TAKEN" => return Err(PutError::NameTaken { name, by: reply.next()? }),
            _ => return Err(reply.unexpected().into()),
        };
        self.write(sku, Some(format!("{price} {name}"))).await?;
        Ok(put)
    }

    /// The product with this SKU, `None` if it is not on sale. One round trip.
    pub async fn get(&self, sku: &str) -> Result<Option<Product>, StoreError> {
        let key = self.key(sku)?;
        let mut read = redis::cmd("HMGET");
        read.arg(key.as_str()).arg("name").arg("price");
        let malformed = |what| StoreError::Malformed(quote(&format!("{} {what}", key.as_str())));
        let (name, price): (Option<String>, Option<String>) = send(&self.connection, &read).await?;
        match (name, price) {
            (None, None) => Ok(None),
            (Some(name), Some(price)) => {
                let price = price.parse().map_err(|_| malformed("price"))?;
                Ok(Some(Product { sku: sku.to_owned(), name, price }))
            }
            _ => Err(malformed("lacks its name or price")),
        }
    }

    /// The products with these SKUs, in the same order, each `None` if it is not on sale. All are read at once.
    pub async fn get_many(&self, skus: &[impl AsRef<str>]) -> Result<Vec<Option<Product>>, StoreError> {
        join_all(skus.iter().map(|sku| self.get(sku.as_ref()))).await.into_iter().collect()
    }

    /// The product with this SKU or exact name, `None` if there is none. If a text is both, the SKU wins. One round trip for a
    /// SKU, three for a name.
    pub async fn find(&self, sku_or_name: &str) -> Result<Option<Product>, StoreError> {
        if check_id(sku_or_name).is_err() {
            return Ok(None);
        }
        if let Some(product) = self.get(sku_or_name).await? {
            return Ok(Some(product));
        }
        let (index, name) = (self.index()?, normalize(sku_or_name));
        let field = format!("name:{name}");
        let sku: Option<String> =
            send(&self.connection, redis::cmd("HGET").arg(index.as_str()).arg(field)).await?;
        let Some(sku) = sku else { return Ok(None) };
        Ok(self.get(&sku).await?.filter(|product| product.name == name))
    }

    /// Removes a product; `false` if it was not on sale. Also frees the name of a product whose Hash was lost. Four round
    /// trips.
    pub async fn remove(&self, sku: &str) -> Result<bool, StoreError> {
        let key = self.key(sku)?;
        // The product goes first. A client that stops here leaves a taken name, but never two products with one name.
        let unlinked: bool = send(&self.connection, redis::cmd("UNLINK").arg(key.as_str())).await?;
        let reply: Reply = REMOVE.call(&[self.index()?.as_str()]).arg(sku).run(&self.connection).await?;
        let listed = reply.either("REMOVED", "UNKNOWN")?;
        self.write(sku, None).await?;
        Ok(unlinked || listed)
    }

    /// All products by SKU. It reads 500 at a time, all at once.
    pub async fn list(&self) -> Result<Vec<Product>, StoreError> {
        let skus: Vec<String> = self.skus().await?.into_iter().collect();
        let mut products = Vec::with_capacity(skus.len());
        for page in skus.chunks(PAGE) {
            products.extend(self.get_many(page).await?.into_iter().flatten());
        }
        Ok(products)
    }

    /// The key of one product.
    pub fn key(&self, sku: &str) -> Result<Key, KeyError> {
        Key::new(&self.prefix, "sku", &[sku])
    }

    /// The key of the index.
    pub fn index(&self) -> Result<Key, KeyError> {
        Key::new(&self.prefix, "skus", &[])
    }

    /// Writes or unlinks a product as the index says, until the index did not change meanwhile. So if several clients do it at
    /// once, the last one leaves what the index says.
    async fn write(&self, sku: &str, mut entry: Option<String>) -> Result<(), StoreError> {
        let (key, index) = (self.key(sku)?, self.index()?);
        let mut look = redis::cmd("HGET");
        look.arg(index.as_str()).arg(format!("sku:{sku}"));
        loop {
            let mut write = redis::cmd(if entry.is_some() { "HSET" } else { "UNLINK" });
            write.arg(key.as_str());
            if let Some((price, name)) = entry.as_ref().and_then(|entry| entry.split_once(' ')) {
                write.arg("name").arg(name).arg("price").arg(price);
            }
            let _: i64 = send(&self.connection, &write).await?;
            let now: Option<String> = send(&self.connection, &look).await?;
            if now == entry {
                return Ok(());
            }
            entry = now;
        }
    }

    /// An HSCAN cursor is useless if the Hash moves to another server between two pages. So read the index again until all SKUs
    /// that existed at the start are found; each has two fields.
    async fn skus(&self) -> Result<BTreeSet<String>, StoreError> {
        let index = self.index()?;
        let mut skus = BTreeSet::new();
        loop {
            let fields: usize = send(&self.connection, redis::cmd("HLEN").arg(index.as_str())).await?;
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(index.as_str()).arg(cursor).arg("MATCH").arg("sku:*").arg("COUNT").arg(2 * PAGE);
                let (next, page): (u64, Vec<(String, String)>) = send(&self.connection, &scan).await?;
                skus.extend(
                    page.iter().filter_map(|(field, _)| Some(field.strip_prefix("sku:")?.to_owned())),
                );
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
            if skus.len() >= fields / 2 {
                return Ok(skus);
            }
        }
    }
}

/// In the form NFC: a letter with its accents is one character where Unicode has one.
fn normalize(name: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(name).into_owned()
}

/// Why a product was not put on sale. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// Another product has this name. If that product is gone, [`Catalog::remove`] frees the name.
    #[error("the name {} already belongs to {}", quote(.name), quote(.by))]
    NameTaken {
        /// The name.
        name: String,
        /// The SKU of the other product.
        by: String,
    },
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {0} is too high: the maximum is {max}", max = Cents::MAX_PRICE)]
    PriceTooHigh(Cents),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for PutError {
    fn from(error: KeyError) -> Self {
        Self::Store(error.into())
    }
}
