//! The users, products, and carts on the chosen server.

use std::time::Duration;

use lab_connection::{Connection, Failure, Target};
use lab_runner::{Terminal, render};
use patterns::cart::Cart;
use patterns::catalog::{Catalog, Product};
use patterns::money::Cents;
use patterns::script::StoreError;
use patterns::users::{User, Users};
use serde::Serialize;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::failures;
use crate::input::{CartOwner, UserId};

/// Users, products, and carts on one server, and how to print results.
pub struct Shop {
    /// The server.
    pub target: Target,
    /// The customers.
    pub users: Users<Connection>,
    /// The products.
    pub catalog: Catalog<Connection>,
    /// The carts.
    pub cart: Cart<Connection>,
    json: bool,
}

impl Shop {
    /// The shop with the options of the command line.
    pub fn on(target: &Target, arguments: &Arguments) -> Self {
        let (connection, prefix) = (target.connection(), target.prefix());
        Self {
            users: Users::new(connection.clone(), prefix),
            catalog: Catalog::new(connection.clone(), prefix),
            cart: Cart::new(connection, prefix)
                .with_representation(arguments.cart.into())
                .with_ttl(Duration::from_secs(arguments.cart_ttl.into())),
            json: arguments.json,
            target: target.clone(),
        }
    }

    /// Prints a result: as JSON if `--json` was given, otherwise as text.
    pub fn show(&self, result: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(result).map_err(|error| failures::unprintable(&error))?;
            Terminal.line(&json);
        } else {
            Terminal.line(&wrapped(&text()));
        }
        Ok(())
    }

    /// The product with this SKU or exact name.
    pub async fn product(&self, sku_or_name: &str) -> Result<Product, Failure> {
        let found = self.catalog.find(sku_or_name).await.map_err(|error| self.failed(&error))?;
        found.ok_or_else(|| failures::unknown_product(sku_or_name, &self.target))
    }

    /// "Parker Perry (user 1)", or "guest abc123".
    pub async fn name_of(&self, owner: &CartOwner) -> Result<String, Failure> {
        match owner {
            CartOwner::Guest(session) => Ok(format!("guest {session}")),
            CartOwner::User(id) => self.user_name(id).await,
        }
    }

    /// "Parker Perry (user 1)"; an unknown user is an error.
    pub async fn user_name(&self, id: &UserId) -> Result<String, Failure> {
        let User { first_name, last_name, .. } = self.user(id).await?;
        Ok(format!("{first_name} {last_name} (user {id})"))
    }

    /// The customer with this number.
    pub async fn user(&self, id: &UserId) -> Result<User, Failure> {
        let user = self.users.get(id.as_str()).await.map_err(|error| self.failed(&error))?;
        user.ok_or_else(|| failures::unknown_user(id, &self.target))
    }

    /// Explains an error of the users, the products, or a key of a cart.
    pub fn failed(&self, error: &StoreError) -> Failure {
        failures::store(error, &self.target)
    }
}

/// Wrapped at spaces where a line is wider than the terminal. Tables fit already.
#[must_use]
pub fn wrapped(text: &str) -> String {
    render::wrap(text, Terminal.width(), "", "")
}

/// `1 line`, `2 lines`.
#[must_use]
pub fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// An amount in JSON: the exact cents, and as people write it.
#[must_use]
pub fn amount_json(amount: Cents) -> Value {
    json!({ "cents": amount, "text": amount.to_string() })
}
