//! The shapes in which a product can be stored.

use std::collections::HashMap;
use std::fmt::Display;

use lab_runner::{Keys, labeled};
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, RedisResult};

use crate::catalog::Product;

labeled! {
    /// How a product is stored.
    pub enum Shape {
        /// The whole document as text.
        Text => "JSON string",
        /// A field for each property. A list is JSON text in its field.
        Hash => "Hash",
        /// The server understands it. Needs JSON.SET.
        Json => "JSON value",
    }
}

impl Shape {
    /// The key of the product with this number.
    pub fn key(self, keys: &Keys, id: u64) -> String {
        match self {
            Self::Text => keys.key(format_args!("document:{id}")),
            Self::Hash => keys.key(format_args!("document:{id}:hash")),
            Self::Json => keys.key(format_args!("document:{id}:json")),
        }
    }

    /// Stores the product, instead of what was there.
    pub async fn store(
        self,
        connection: &mut impl ConnectionLike,
        key: &str,
        product: &Product,
    ) -> RedisResult<()> {
        self.store_command(key, product)?.exec_async(connection).await
    }

    pub(super) fn store_command(self, key: &str, product: &Product) -> RedisResult<Cmd> {
        Ok(match self {
            Self::Text => redis::cmd("SET").arg(key).arg(to_json(product)?).take(),
            // The fields are always the same, so nothing of an older product is left.
            Self::Hash => redis::cmd("HSET").arg(key).arg(&fields(product)?).take(),
            Self::Json => redis::cmd("JSON.SET").arg(key).arg("$").arg(to_json(product)?).take(),
        })
    }

    /// Reads the whole product. A missing one is an error.
    pub async fn load(self, connection: &mut impl ConnectionLike, key: &str) -> RedisResult<Product> {
        match self {
            Self::Text => from_json(&redis::cmd("GET").arg(key).query_async::<String>(connection).await?),
            Self::Hash => from_fields(redis::cmd("HGETALL").arg(key).query_async(connection).await?),
            Self::Json => {
                from_json(&redis::cmd("JSON.GET").arg(key).query_async::<String>(connection).await?)
            }
        }
    }
}

/// The product as JSON text.
pub fn to_json(product: &Product) -> RedisResult<String> {
    serde_json::to_string(product).map_err(unreadable)
}

/// The product in a JSON text.
pub fn from_json(text: &str) -> RedisResult<Product> {
    serde_json::from_str(text).map_err(unreadable)
}

/// Fields and values of a Hash. Every value is a string there, even a number.
pub(super) fn fields(product: &Product) -> RedisResult<[(&'static str, String); 8]> {
    Ok([
        ("id", product.id.to_string()),
        ("name", product.name.clone()),
        ("price_cents", product.price_cents.to_string()),
        ("stock", product.stock.to_string()),
        ("brand", product.brand.clone()),
        ("category", product.category.clone()),
        ("tags", serde_json::to_string(&product.tags).map_err(unreadable)?),
        ("description", product.description.clone()),
    ])
}

fn from_fields(mut fields: HashMap<String, String>) -> RedisResult<Product> {
    let mut take =
        |name: &str| fields.remove(name).ok_or_else(|| unreadable(format!("field {name} is missing")));
    Ok(Product {
        id: take("id")?.parse().map_err(unreadable)?,
        name: take("name")?,
        brand: take("brand")?,
        category: take("category")?,
        price_cents: take("price_cents")?.parse().map_err(unreadable)?,
        stock: take("stock")?.parse().map_err(unreadable)?,
        tags: serde_json::from_str(&take("tags")?).map_err(unreadable)?,
        description: take("description")?,
    })
}

/// Another client has stored something that is no product.
pub(super) fn unreadable(why: impl Display) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_string()).into()
}
