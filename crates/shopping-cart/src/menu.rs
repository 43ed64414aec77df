//! The interactive menu: what a bare `shopping-cart` opens.
//!
//! It also reads its entries from a pipe. A bad entry asks again; the end of input leaves.

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_runner::input::ask;

use crate::refusal::parse;
use crate::sample::stock_an_empty_shop;
use crate::shop::Shop;
use crate::typed::{CartOwner, Quantity};
use crate::{carts, skus};

const ENTRIES: &str = "
  1  products           4  show the cart
  2  add to the cart    5  empty the cart
  3  remove from it     6  another customer
  q  leave";

/// Shows the menu until somebody leaves. Only a server that is gone ends it with an error.
pub async fn run(shop: &Shop) -> Result<(), Failure> {
    if stock_an_empty_shop(shop).await? {
        Terminal.line("The shop was empty; it has sample customers and products now.");
    }
    let mut owner: CartOwner = parse("1")?;
    let mut name = match shop.name_of(&owner).await {
        Ok(name) => name,
        Err(failure) if goes_on(&failure) => "user 1".to_owned(),
        Err(failure) => return Err(failure),
    };
    loop {
        Terminal.line(&format!("\nShopping as {name}{ENTRIES}"));
        let Some(entry) = ask("> ").await else {
            return Ok(());
        };
        let done = match entry.as_str() {
            "1" => show_products(shop).await,
            "2" => add(shop, &owner).await,
            "3" => remove(shop, &owner).await,
            "4" => carts::view(shop, &owner).await,
            "5" => carts::clear(shop, &owner).await,
            "6" => match another_customer(shop).await {
                Ok(Some(chosen)) => {
                    (owner, name) = chosen;
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(failure) => Err(failure),
            },
            "q" | "quit" | "exit" | "0" => return Ok(()),
            _ => {
                Terminal.line("That is not on the menu.");
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            Err(failure) => complain(failure)?,
        }
    }
}

/// Says what was wrong and goes on, unless the server is gone.
fn complain(failure: Failure) -> Result<(), Failure> {
    match failure.class() {
        // The ways on that it names are commands; here one is in the menu.
        Class::Usage | Class::Declined => Terminal.line(failure.what()),
        _ if goes_on(&failure) => Terminal.line(&failure.to_string()),
        _ => return Err(failure),
    }
    Ok(())
}

/// A wrong entry or a shop that says no is no reason to leave; a server that cannot be reached is.
fn goes_on(failure: &Failure) -> bool {
    matches!(failure.class(), Class::Usage | Class::Declined | Class::WrongType | Class::BadValue)
}

async fn show_products(shop: &Shop) -> Result<(), Failure> {
    skus::run(shop, &crate::arguments::SkuCommand::List).await
}

async fn add(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let Some(product) = ask_product(shop).await? else {
        return Ok(());
    };
    match ask_quantity("How many [1]: ").await? {
        Some(quantity) => carts::add(shop, owner, &product, quantity.as_deref().unwrap_or("1"), None).await,
        None => Ok(()),
    }
}

/// What is no longer sold can be taken out all the same, so the product is only looked for in the cart.
async fn remove(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let Some(product) = ask(PRODUCT).await.filter(|entry| !entry.is_empty()) else {
        return Ok(());
    };
    match ask_quantity("How many [all]: ").await? {
        Some(quantity) => carts::remove(shop, owner, &product, quantity.as_deref()).await,
        None => Ok(()),
    }
}

const PRODUCT: &str = "SKU or exact name (Enter alone goes back): ";

/// A product that is on sale, as it was entered. Asks again until it is one; `None` for nothing, and at the end of input.
async fn ask_product(shop: &Shop) -> Result<Option<String>, Failure> {
    while let Some(entry) = ask(PRODUCT).await.filter(|entry| !entry.is_empty()) {
        match shop.product(&entry).await {
            Ok(_) => return Ok(Some(entry)),
            Err(failure) => complain(failure)?,
        }
    }
    Ok(None)
}

/// A quantity as it was entered, within `Some(None)` for Enter alone. Asks again until it is one; `None` at the end of
/// input.
async fn ask_quantity(question: &str) -> Result<Option<Option<String>>, Failure> {
    while let Some(entry) = ask(question).await {
        if entry.is_empty() {
            return Ok(Some(None));
        }
        match parse::<Quantity>(&entry) {
            Ok(_) => return Ok(Some(Some(entry))),
            Err(failure) => complain(failure)?,
        }
    }
    Ok(None)
}

async fn another_customer(shop: &Shop) -> Result<Option<(CartOwner, String)>, Failure> {
    let question = "User number, or a guest's session such as abc123 (Enter alone goes back): ";
    while let Some(entry) = ask(question).await.filter(|entry| !entry.is_empty()) {
        let chosen = async {
            let owner: CartOwner = parse(&entry)?;
            let name = shop.name_of(&owner).await?;
            Ok((owner, name))
        };
        match chosen.await {
            Ok(chosen) => return Ok(Some(chosen)),
            Err(failure) => complain(failure)?,
        }
    }
    Ok(None)
}
