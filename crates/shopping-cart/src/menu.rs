//! The interactive menu, which `shopping-cart` without a command opens. It also reads its entries from a pipe.

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_runner::input::ask;

use crate::arguments::SkuCommand;
use crate::failures::parse;
use crate::input::{CartOwner, Quantity};
use crate::sample::stock_an_empty_shop;
use crate::shop::{Shop, wrapped};
use crate::{carts, skus};

const ENTRIES: &str = "
  1  list products      4  show the cart
  2  add to the cart    5  empty the cart
  3  remove from it     6  change the customer
  q  quit";

/// Shows the menu until the person quits or the input ends. A bad entry asks again; only a lost server is an error.
pub async fn run(shop: &Shop) -> Result<(), Failure> {
    if stock_an_empty_shop(shop).await? {
        say("The shop was empty. It has sample customers and products now.");
    }
    let mut owner: CartOwner = parse("1")?;
    let mut name = match shop.name_of(&owner).await {
        Ok(name) => name,
        Err(failure) if is_recoverable(&failure) => "user 1".to_owned(),
        Err(failure) => return Err(failure),
    };
    loop {
        say(&format!("\nShopping as {name}"));
        Terminal.line(ENTRIES.trim_start_matches('\n'));
        let Some(entry) = ask("> ").await else {
            return Ok(());
        };
        let done = match entry.as_str() {
            "1" => skus::run(shop, &SkuCommand::List).await,
            "2" => add(shop, &owner).await,
            "3" => remove(shop, &owner).await,
            "4" => carts::view(shop, &owner).await,
            "5" => empty(shop, &owner, &name).await,
            "6" => change_customer(shop, &mut owner, &mut name).await,
            "q" | "quit" | "exit" | "0" => return Ok(()),
            _ => {
                say("That is not on the menu.");
                Ok(())
            }
        };
        if let Err(failure) = done {
            report(failure)?;
        }
    }
}

fn say(text: &str) {
    Terminal.line(&wrapped(text));
}

/// Says what was wrong and goes on, unless the server is lost.
fn report(failure: Failure) -> Result<(), Failure> {
    match failure.class() {
        // The advice of these names commands, and a person in the menu has entries instead.
        Class::Usage | Class::Declined => say(failure.what()),
        _ if is_recoverable(&failure) => say(&failure.to_string()),
        _ => return Err(failure),
    }
    Ok(())
}

fn is_recoverable(failure: &Failure) -> bool {
    matches!(failure.class(), Class::Usage | Class::Declined | Class::WrongType | Class::BadValue)
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

/// The product may be off sale, so it is only looked up in the cart.
async fn remove(shop: &Shop, owner: &CartOwner) -> Result<(), Failure> {
    let Some(product) = ask(PRODUCT).await.filter(|entry| !entry.is_empty()) else {
        return Ok(());
    };
    match ask_quantity("How many [all]: ").await? {
        Some(quantity) => carts::remove(shop, owner, &product, quantity.as_deref()).await,
        None => Ok(()),
    }
}

/// Asks first. Anything but a yes keeps the cart, and so does the end of the input.
async fn empty(shop: &Shop, owner: &CartOwner, name: &str) -> Result<(), Failure> {
    say(&format!("This removes everything from the cart of {name}."));
    let answer = ask("Empty it? [y/N]: ").await.unwrap_or_default();
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        carts::clear(shop, owner).await
    } else {
        say("Nothing was removed.");
        Ok(())
    }
}

const PRODUCT: &str = "SKU or exact name (Enter: back): ";

/// A product that is on sale, as it was entered. `None` if the person goes back or the input ends.
async fn ask_product(shop: &Shop) -> Result<Option<String>, Failure> {
    while let Some(entry) = ask(PRODUCT).await.filter(|entry| !entry.is_empty()) {
        match shop.product(&entry).await {
            Ok(_) => return Ok(Some(entry)),
            Err(failure) => report(failure)?,
        }
    }
    Ok(None)
}

/// A quantity as it was entered, or `Some(None)` for Enter alone. `None` if the input ends.
async fn ask_quantity(question: &str) -> Result<Option<Option<String>>, Failure> {
    while let Some(entry) = ask(question).await {
        if entry.is_empty() {
            return Ok(Some(None));
        }
        match parse::<Quantity>(&entry) {
            Ok(_) => return Ok(Some(Some(entry))),
            Err(failure) => report(failure)?,
        }
    }
    Ok(None)
}

async fn change_customer(shop: &Shop, owner: &mut CartOwner, name: &mut String) -> Result<(), Failure> {
    const CUSTOMER: &str = "User number or guest session (Enter: back): ";
    while let Some(entry) = ask(CUSTOMER).await.filter(|entry| !entry.is_empty()) {
        let found = async {
            let owner: CartOwner = parse(&entry)?;
            let name = shop.name_of(&owner).await?;
            Ok((owner, name))
        };
        match found.await {
            Ok(found) => {
                (*owner, *name) = found;
                break;
            }
            Err(failure) => report(failure)?,
        }
    }
    Ok(())
}
