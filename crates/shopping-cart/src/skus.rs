//! The commands about products.

use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::table::Facts;
use serde_json::json;
use storefront::{Product, Put, PutError};

use crate::arguments::SkuCommand;
use crate::refusal::{self, parse};
use crate::shop::Shop;

/// Runs one command.
pub async fn run(shop: &Shop, command: &SkuCommand) -> Result<(), Failure> {
    match command {
        SkuCommand::Add { sku, name, price } => add(shop, sku, name, price).await,
        SkuCommand::Show { product } => {
            let product = shop.product(product).await?;
            shop.show(&product, || format!("{}: {}, {}", product.sku, product.name, product.price))
        }
        SkuCommand::Remove { product } => remove(shop, product).await,
        SkuCommand::List => list(shop).await,
    }
}

async fn add(shop: &Shop, sku: &str, name: &str, price: &str) -> Result<(), Failure> {
    let product = Product { sku: parse(sku)?, name: parse(name)?, price: parse(price)? };
    let put = shop.catalogue.put(&product).await.map_err(|error| match error {
        PutError::Store(error) => refusal::store(&error, shop),
        other => refusal::declined(refusal::sentence(&other)),
    })?;
    let word = match put {
        Put::Added => "is on sale",
        Put::Changed => "is now sold",
    };
    let Product { sku, name, price } = &product;
    shop.show(&product, || format!("{name} ({sku}) {word} at {price}."))
}

async fn remove(shop: &Shop, product: &str) -> Result<(), Failure> {
    let Product { sku, name, .. } = shop.product(product).await?;
    let removed = shop.catalogue.remove(&sku).await.map_err(|error| refusal::store(&error, shop))?;
    if !removed {
        return Err(refusal::unknown_product(sku.as_str(), shop));
    }
    shop.show(&json!({ "removed": sku }), || {
        format!("{name} ({sku}) is no longer sold. Carts that hold it say so and do not count it.")
    })
}

async fn list(shop: &Shop) -> Result<(), Failure> {
    let products = shop.catalogue.list().await.map_err(|error| refusal::store(&error, shop))?;
    shop.show(&products, || product_table(&products))
}

/// The products as a table.
#[must_use]
pub fn product_table(products: &[Product]) -> String {
    if products.is_empty() {
        return "No products yet: cargo cart sku add sku123 --name \"Wireless mouse\" --price 19.99".into();
    }
    let mut facts = Facts::new("", &["SKU", "product", "price"]);
    for Product { sku, name, price } in products {
        facts = facts.row([sku.to_string(), name.to_string(), price.to_string()]);
    }
    facts.to_text(Terminal.width())
}
