//! The catalogue: one Hash for each product, and two indexes that lead from a SKU to its name and back.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{RedisError, Script};
use serde::Serialize;

use crate::fields::{self, Two};
use crate::money;
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::{Cents, Keys, Layout, ProductName, Sku};

static PUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("scripts/put_product.lua")))
});
static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("scripts/remove_product.lua")))
});

/// The fields of a product's Hash.
const FIELDS: [&str; 2] = ["name", "price"];
/// How many products one round trip of [`Catalogue::list`] reads.
const PAGE: usize = 500;

/// What HSCAN answers: the next cursor, then fields and values.
type Scanned = (u64, Vec<(Vec<u8>, Vec<u8>)>);

/// A product on sale.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Product {
    /// The code the shop knows it by.
    pub sku: Sku,
    /// What it is called. No two products have the same name.
    pub name: ProductName,
    /// What one unit costs, up to [`Cents::MAX_PRICE`]. Stored as `19.99`, which reads well in Redis Insight and goes
    /// back to cents without a float.
    #[serde(serialize_with = "money::both")]
    pub price: Cents,
}

/// What [`Catalogue::put`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// The product is new.
    Added,
    /// The product was on sale already; it now has this name and price.
    Changed,
}

/// The products of a shop.
///
/// On a cluster a product and the indexes are in different slots, so changes take two steps. They are ordered so that
/// a crash between them, or two changes of one SKU at once, leave at worst an index entry that leads to nothing: every
/// read looks at the product itself, and putting or removing it again sets the indexes right. Of two products that are put
/// there at once under one name both may get it; the name then leads to one of them.
#[derive(Clone, Debug)]
pub struct Catalogue<C> {
    connection: C,
    keys: Keys,
}

impl<C: ConnectionLike + Clone> Catalogue<C> {
    /// The catalogue under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Adds a product, or changes its name and price. One round trip, two on a cluster; at most two more where the index
    /// gives the name to another product.
    pub async fn put(&self, product: &Product) -> Result<Put, PutError> {
        if product.price > Cents::MAX_PRICE {
            return Err(PutError::PriceTooHigh { price: product.price });
        }
        let mut reply = self.index(product, None).await?;
        if reply.outcome == "NAME_TAKEN" {
            let by: Sku = fields::parse(reply.next()?, &self.keys.sku_names(), product.name.as_str())?;
            // A product whose Hash was deleted by hand must not keep its name for ever.
            let holder = self.get(&by).await?;
            if holder.is_some_and(|holder| holder.name == product.name) {
                return Err(PutError::NameTaken { name: product.name.clone(), by });
            }
            reply = self.index(product, Some(&by)).await?;
        }
        let put = match reply.outcome.as_str() {
            "ADDED" => Put::Added,
            "CHANGED" => Put::Changed,
            "NAME_TAKEN" => {
                let by: Sku = fields::parse(reply.next()?, &self.keys.sku_names(), product.name.as_str())?;
                return Err(PutError::NameTaken { name: product.name.clone(), by });
            }
            _ => return Err(reply.into_error().into()),
        };
        if self.keys.layout() == Layout::Cluster {
            let mut set = redis::cmd("HSET");
            set.arg(self.keys.sku(&product.sku)).arg("name").arg(product.name.as_str());
            set.arg("price").arg(product.price.to_string()).exec_async(&mut self.connection.clone()).await?;
        }
        Ok(put)
    }

    /// The product with this SKU, `None` if it is not on sale. One round trip.
    pub async fn get(&self, sku: &Sku) -> Result<Option<Product>, StoreError> {
        let found = fields::of(&self.connection, &self.keys.sku(sku), FIELDS).await?;
        self.parse(sku, found)
    }

    /// The products with these SKUs, in the same order, each `None` if not on sale. One round trip; on a cluster one for
    /// each product, all at once.
    pub async fn get_many(&self, skus: &[Sku]) -> Result<Vec<Option<Product>>, StoreError> {
        let keys: Vec<String> = skus.iter().map(|sku| self.keys.sku(sku)).collect();
        let found = fields::of_many(&self.connection, self.keys.layout(), &keys, FIELDS).await?;
        skus.iter().zip(found).map(|(sku, fields)| self.parse(sku, fields)).collect()
    }

    /// The product whose SKU or exact name this is, `None` if there is none; where a text is both, the SKU wins. One
    /// round trip for a SKU, up to three for a name.
    pub async fn find(&self, sku_or_name: &str) -> Result<Option<Product>, StoreError> {
        if let Ok(sku) = sku_or_name.parse()
            && let Some(product) = self.get(&sku).await?
        {
            return Ok(Some(product));
        }
        let Ok(name) = sku_or_name.parse::<ProductName>() else {
            return Ok(None);
        };
        let index = self.keys.sku_names();
        let sku: Option<Vec<u8>> = redis::cmd("HGET")
            .arg(&index)
            .arg(name.as_str())
            .query_async(&mut self.connection.clone())
            .await?;
        if sku.is_none() {
            return Ok(None);
        }
        let sku = fields::parse(sku, &index, name.as_str())?;
        Ok(self.get(&sku).await?.filter(|product| product.name == name))
    }

    /// Takes a product off sale; `false` if it was not on sale. Carts that hold it keep their line, marked in their view.
    /// One round trip, two on a cluster.
    pub async fn remove(&self, sku: &Sku) -> Result<bool, StoreError> {
        match self.keys.layout() {
            Layout::Standalone => {
                let mut call = REMOVE.key(self.keys.skus());
                call.key(self.keys.sku_names()).key(self.keys.sku(sku)).arg(sku.as_str());
                removed(script::run(&call, &self.connection).await?)
            }
            Layout::Cluster => {
                let unlinked: bool = redis::cmd("UNLINK")
                    .arg(self.keys.sku(sku))
                    .query_async(&mut self.connection.clone())
                    .await?;
                Ok(self.remove_from_indexes(sku).await? || unlinked)
            }
        }
    }

    /// All products by SKU, read in pages of some 500: two round trips for each page. On a cluster one for each product
    /// instead, all of a page at once, and the list of SKUs is read again if it has moved meanwhile.
    pub async fn list(&self) -> Result<Vec<Product>, StoreError> {
        // HSCAN may give a field twice; the set does not.
        let mut skus = BTreeSet::new();
        match self.keys.layout() {
            Layout::Standalone => self.scan_skus(&mut skus).await?,
            Layout::Cluster => self.scan_moving_skus(&mut skus).await?,
        }
        let skus: Vec<Sku> = skus.into_iter().collect();
        let mut products = Vec::with_capacity(skus.len());
        for page in skus.chunks(PAGE) {
            products.extend(self.get_many(page).await?.into_iter().flatten());
        }
        Ok(products)
    }

    /// A cursor leads nowhere when the Hash has moved to another server between two pages, and fields are passed over. So it
    /// is read again until as many were seen as there were at its beginning. What is put meanwhile counts among those, so it
    /// can hide one that was passed over; a list that changes is never exact.
    async fn scan_moving_skus(&self, skus: &mut BTreeSet<Sku>) -> Result<(), StoreError> {
        loop {
            let count: usize =
                redis::cmd("HLEN").arg(self.keys.skus()).query_async(&mut self.connection.clone()).await?;
            self.scan_skus(skus).await?;
            if skus.len() >= count {
                return Ok(());
            }
        }
    }

    async fn scan_skus(&self, skus: &mut BTreeSet<Sku>) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let (next, page): Scanned = redis::cmd("HSCAN")
                .arg(self.keys.skus())
                .arg(cursor)
                .arg("COUNT")
                .arg(PAGE)
                .query_async(&mut self.connection.clone())
                .await?;
            for (sku, _) in page {
                let shown = String::from_utf8_lossy(&sku).into_owned();
                skus.insert(fields::parse::<Sku>(Some(sku), &self.keys.skus(), &shown)?);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Enters a product in the indexes, on one server also its Hash; takes its name from `ghost` if that has it.
    async fn index(&self, product: &Product, ghost: Option<&Sku>) -> Result<Reply, RedisError> {
        let mut call = PUT.key(self.keys.skus());
        call.key(self.keys.sku_names());
        if self.keys.layout() == Layout::Standalone {
            call.key(self.keys.sku(&product.sku));
        }
        call.arg(product.sku.as_str()).arg(product.name.as_str()).arg(product.price.to_string());
        call.arg(ghost.map_or("", Sku::as_str));
        script::run(&call, &self.connection).await
    }

    async fn remove_from_indexes(&self, sku: &Sku) -> Result<bool, StoreError> {
        let mut call = REMOVE.key(self.keys.skus());
        call.key(self.keys.sku_names()).arg(sku.as_str());
        removed(script::run(&call, &self.connection).await?)
    }

    fn parse(&self, sku: &Sku, fields: Two) -> Result<Option<Product>, StoreError> {
        let [name, price] = fields;
        if name.is_none() && price.is_none() {
            return Ok(None);
        }
        let key = self.keys.sku(sku);
        let name = fields::parse(name, &key, "name")?;
        let price = fields::parse(price, &key, "price")?;
        Ok(Some(Product { sku: sku.clone(), name, price }))
    }
}

fn removed(reply: Reply) -> Result<bool, StoreError> {
    match reply.outcome.as_str() {
        "REMOVED" => Ok(true),
        "UNKNOWN" => Ok(false),
        _ => Err(reply.into_error()),
    }
}

/// Why a product was not put on sale. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// Another product has this name; adding to a cart by name would be a guess.
    #[error("the name {name} belongs to {by} already")]
    NameTaken {
        /// The name.
        name: ProductName,
        /// Whose it is.
        by: Sku,
    },
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {price} is too high: the most is {}", Cents::MAX_PRICE)]
    PriceTooHigh {
        /// The price.
        price: Cents,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(PutError);
