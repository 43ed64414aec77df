//! Sample customers and products. The generated ones are the same in every run.

use fake::Fake;
use fake::faker::name::en::{FirstName, LastName};
use lab_connection::Failure;
use patterns::catalog::{Product, PutError};
use patterns::users::User;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::failures::{self, parse};
use crate::shop::Shop;

/// SKU, name, and price.
const PRODUCTS: [(&str, &str, &str); 6] = [
    ("sku123", "Wireless mouse", "19.99"),
    ("sku456", "Mechanical keyboard", "89.50"),
    ("sku789", "USB-C cable, 2 m", "7.95"),
    ("sku234", "Laptop stand", "34.00"),
    ("sku567", "Webcam", "59.90"),
    ("sku890", "Desk lamp", "24.75"),
];

/// How many customers there are. User 1 is Parker Perry.
const CUSTOMERS: u64 = 3;
/// Any fixed number makes the generated names the same in every run.
const SEED: u64 = 6379;

/// The customers, user 1 first.
pub fn customers() -> Vec<User> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let customer = |number: u64| {
        let (first, last): (String, String) =
            (FirstName().fake_with_rng(&mut rng), LastName().fake_with_rng(&mut rng));
        let (first_name, last_name) =
            if number == 1 { ("Parker".to_owned(), "Perry".to_owned()) } else { (first, last) };
        User { id: number.to_string(), first_name, last_name }
    };
    (1..=CUSTOMERS).map(customer).collect()
}

/// The products on sale.
pub fn products() -> Result<Vec<Product>, Failure> {
    let product = |(sku, name, price): &(&str, &str, &str)| {
        Ok(Product { sku: (*sku).to_owned(), name: (*name).to_owned(), price: parse(price)? })
    };
    PRODUCTS.iter().map(product).collect()
}

/// Adds the samples to a shop that has neither customers nor products. Returns whether it did.
pub async fn stock_an_empty_shop(shop: &Shop) -> Result<bool, Failure> {
    let users = shop.users.list().await.map_err(|error| shop.failed(&error))?;
    let on_sale = shop.catalog.list().await.map_err(|error| shop.failed(&error))?;
    if !users.is_empty() || !on_sale.is_empty() {
        return Ok(false);
    }
    for User { id, first_name, last_name } in customers() {
        let created = shop.users.create_with_id(&id, &first_name, &last_name).await;
        created.map_err(|error| failures::create(&error, &shop.target))?;
    }
    for product in products()? {
        shop.catalog.put(&product).await.map_err(|error| match error {
            PutError::Store(error) => shop.failed(&error),
            other => failures::declined(failures::sentence(&other)),
        })?;
    }
    Ok(true)
}
