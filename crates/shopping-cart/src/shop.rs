//! The storefront on the server that was chosen.

use std::time::Duration;

use lab_connection::{Connection, Failure, Target};
use lab_runner::Terminal;
use redis::RedisError;
use serde::Serialize;
use storefront::{Cart, CartOwner, Catalogue, ItemExpiry, Keys, Layout, Product, UserId, Users};

use crate::arguments::Arguments;
use crate::refusal;

/// Users, products and carts on one server, and how to show results.
pub struct Shop {
    /// The server.
    pub target: Target,
    /// The key names.
    pub keys: Keys,
    /// The customers.
    pub users: Users<Connection>,
    /// The products.
    pub catalogue: Catalogue<Connection>,
    /// The carts.
    pub cart: Cart<Connection>,
    json: bool,
}

/// The key names on this server.
#[must_use]
pub fn keys_on(target: &Target) -> Keys {
    let layout = if target.is_cluster() { Layout::Cluster } else { Layout::Standalone };
    Keys::new(target.prefix(), layout)
}

/// How single lines expire on this server; a server that refuses to tell gets the way that works everywhere.
pub async fn item_expiry_on(target: &Target) -> ItemExpiry {
    ItemExpiry::of_server(&mut target.connection()).await.unwrap_or_default()
}

impl Shop {
    /// Opens the shop with the options of the command line.
    pub async fn on(target: &Target, arguments: &Arguments) -> Self {
        let keys = keys_on(target);
        let cart = Cart::new(target.connection(), keys.clone(), arguments.cart.into())
            .with_ttl(Duration::from_secs(arguments.cart_ttl.into()))
            .with_item_expiry(item_expiry_on(target).await);
        Self {
            users: Users::new(target.connection(), keys.clone()),
            catalogue: Catalogue::new(target.connection(), keys.clone()),
            cart,
            keys,
            json: arguments.json,
            target: target.clone(),
        }
    }

    /// Prints a result: as JSON when that was asked for, else the text.
    pub fn show(&self, result: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(result).map_err(|error| refusal::unprintable(&error))?;
            Terminal.line(&json);
        } else {
            Terminal.line(&text());
        }
        Ok(())
    }

    /// The product with this SKU or exact name.
    pub async fn product(&self, sku_or_name: &str) -> Result<Product, Failure> {
        let found = self.catalogue.find(sku_or_name).await.map_err(|error| refusal::store(&error, self))?;
        found.ok_or_else(|| refusal::unknown_product(sku_or_name, self))
    }

    /// "Parker Perry (user 1)", or "guest abc123".
    pub async fn name_of(&self, owner: &CartOwner) -> Result<String, Failure> {
        match owner {
            CartOwner::Guest(session) => Ok(format!("guest {session}")),
            CartOwner::User(id) => self.user_name(*id).await,
        }
    }

    /// "Parker Perry (user 1)"; an unknown user is an error.
    pub async fn user_name(&self, id: UserId) -> Result<String, Failure> {
        let user = self.users.get(id).await.map_err(|error| refusal::store(&error, self))?;
        let user = user.ok_or_else(|| refusal::unknown_user(id, self))?;
        Ok(format!("{} {} (user {id})", user.first_name, user.last_name))
    }

    /// What this error means on this server.
    pub fn explain(&self, error: &RedisError) -> Failure {
        self.target.explain(error)
    }
}

/// `1 line`, `2 lines`.
#[must_use]
pub fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
