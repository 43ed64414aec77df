//! The commands about products.

use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::table::Table;
use patterns::catalog::{Product, Put, PutError};
use serde_json::{Value, json};

use crate::arguments::SkuCommand;
use crate::failures::{self, parse};
use crate::input::{Name, Sku};
use crate::shop::{Shop, amount_json};

/// Runs one command.
pub async fn run(shop: &Shop, command: &SkuCommand) -> Result<(), Failure> {
    match command {
        SkuCommand::Add { sku, name, price } => add(shop, sku, name, price).await,
        SkuCommand::Show { product } => {
            let product = shop.product(product).await?;
            shop.show(&document(&product), || format!("{}: {}, {}", product.sku, product.name, product.price))
        }
        SkuCommand::Remove { product } => remove(shop, product).await,
        SkuCommand::List => list(shop).await,
    }
}

async fn add(shop: &Shop, sku: &str, name: &str, price: &str) -> Result<(), Failure> {
    let (sku, name) = (parse::<Sku>(sku)?, parse::<Name>(name)?);
    let product = Product { sku: sku.to_string(), name: name.to_string(), price: parse(price)? };
    let put = shop.catalog.put(&product).await.map_err(|error| match error {
        PutError::Store(error) => shop.failed(&error),
        other => failures::declined(failures::sentence(&other)),
    })?;
    let word = match put {
        Put::Added => "is on sale",
        Put::Changed => "is now sold",
    };
    let Product { sku, name, price } = &product;
    shop.show(&document(&product), || format!("{name} ({sku}) {word} at {price}."))
}

async fn remove(shop: &Shop, product: &str) -> Result<(), Failure> {
    let Product { sku, name, .. } = shop.product(product).await?;
    let removed = shop.catalog.remove(&sku).await.map_err(|error| shop.failed(&error))?;
    if !removed {
        return Err(failures::unknown_product(&sku, &shop.target));
    }
    shop.show(&json!({ "removed": sku }), || {
        format!("{name} ({sku}) is no longer sold. Carts that have it say so and do not count it.")
    })
}

async fn list(shop: &Shop) -> Result<(), Failure> {
    let products = shop.catalog.list().await.map_err(|error| shop.failed(&error))?;
    shop.show(&products.iter().map(document).collect::<Vec<_>>(), || product_table(&products))
}

fn document(product: &Product) -> Value {
    let Product { sku, name, price } = product;
    json!({ "sku": sku, "name": name, "price": amount_json(*price) })
}

/// The products as a table.
#[must_use]
pub fn product_table(products: &[Product]) -> String {
    if products.is_empty() {
        return "No products yet: cargo cart sku add sku123 --name \"Wireless mouse\" --price 19.99".into();
    }
    let mut table = Table::new("", &["SKU", "product", "price"]);
    for Product { sku, name, price } in products {
        table = table.row([sku.clone(), name.clone(), price.to_string()]);
    }
    table.to_text(Terminal.width())
}
