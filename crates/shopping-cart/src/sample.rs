//! Sample customers and products: the ones of the documents first, then generated ones that are always the same.

use fake::Fake;
use fake::faker::name::en::{FirstName, LastName};
use lab_connection::Failure;
use rand::SeedableRng;
use rand::rngs::StdRng;
use storefront::{CreateUserError, NewUser, Product, PutError, UserId};

use crate::refusal::{self, parse};
use crate::shop::Shop;

/// SKU, name and price of what is on sale; the first two are the documents'.
pub const PRODUCTS: [(&str, &str, &str); 6] = [
    ("sku123", "Wireless mouse", "19.99"),
    ("sku456", "Mechanical keyboard", "89.50"),
    ("sku789", "USB-C cable, 2 m", "7.95"),
    ("sku234", "Laptop stand", "34.00"),
    ("sku567", "Webcam", "59.90"),
    ("sku890", "Desk lamp", "24.75"),
];

/// How many customers there are; user 1 is Parker Perry.
const CUSTOMERS: u64 = 3;
/// Any fixed number: it makes the generated names the same in every run.
const SEED: u64 = 6379;

/// The customers, user 1 first.
pub fn customers() -> Result<Vec<(UserId, NewUser)>, Failure> {
    let mut rng = StdRng::seed_from_u64(SEED);
    (1..=CUSTOMERS)
        .map(|number| {
            let (first, last): (String, String) =
                (FirstName().fake_with_rng(&mut rng), LastName().fake_with_rng(&mut rng));
            let (first, last) =
                if number == 1 { ("Parker", "Perry") } else { (first.as_str(), last.as_str()) };
            Ok((parse(&number.to_string())?, NewUser { first_name: parse(first)?, last_name: parse(last)? }))
        })
        .collect()
}

/// The products on sale.
pub fn products() -> Result<Vec<Product>, Failure> {
    PRODUCTS
        .iter()
        .map(|(sku, name, price)| Ok(Product { sku: parse(sku)?, name: parse(name)?, price: parse(price)? }))
        .collect()
}

/// Opens a shop that has neither customers nor products; any other is left as it is.
pub async fn stock_an_empty_shop(shop: &Shop) -> Result<bool, Failure> {
    let users = shop.users.list().await.map_err(|error| refusal::store(&error, shop))?;
    let on_sale = shop.catalogue.list().await.map_err(|error| refusal::store(&error, shop))?;
    if !users.is_empty() || !on_sale.is_empty() {
        return Ok(false);
    }
    for (id, customer) in customers()? {
        shop.users.create_with_id(id, customer).await.map_err(|error| match error {
            CreateUserError::Store(error) => refusal::store(&error, shop),
            other => refusal::declined(refusal::sentence(&other)),
        })?;
    }
    for product in products()? {
        shop.catalogue.put(&product).await.map_err(|error| match error {
            PutError::Store(error) => refusal::store(&error, shop),
            other => refusal::declined(refusal::sentence(&other)),
        })?;
    }
    Ok(true)
}
