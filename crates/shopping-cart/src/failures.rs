//! Errors of the shop, each with what to do next.

use std::fmt::Display;
use std::str::FromStr;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target};
use patterns::cart::CartError;
use patterns::catalog::Product;
use patterns::script::StoreError;
use patterns::users::CreateError;

use crate::input::UserId;

const UNCHANGED: &str = "Nothing was changed.";
/// Longer texts are cut. Every SKU and most names are shorter.
const LONGEST_SHOWN: usize = 64;

/// Parses a value that a person typed. Its type says what is wrong with it.
pub fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: T::Err| Failure::new(Class::Usage, sentence(&error), UNCHANGED))
}

/// [`parse`] for the value of a flag. It names the flag.
pub fn parse_flag<T: FromStr<Err: Display>>(flag: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: T::Err| Failure::new(Class::Usage, format!("{flag}: {error}."), UNCHANGED))
}

/// The shop works, and declines. `what` is a sentence.
pub fn declined(what: impl AsRef<str>) -> Failure {
    Failure::new(Class::Declined, what, UNCHANGED)
}

/// No such customer.
pub fn unknown_user(id: &UserId, target: &Target) -> Failure {
    let failure = declined(format!("There is no user {id}."))
        .try_next("cargo cart user list")
        .try_next(format!("cargo cart user add --id {id} --first-name Parker --last-name Perry"));
    with_private_server_hint(failure, target)
}

/// The number is taken.
pub fn user_taken(id: &str) -> Failure {
    declined(format!("There is already a user {id}.")).try_next("leave --id out for the next free number")
}

/// No such product.
pub fn unknown_product(sku_or_name: &str, target: &Target) -> Failure {
    let mut shown: String = sku_or_name.chars().take(LONGEST_SHOWN).collect();
    if shown.len() < sku_or_name.len() {
        shown = format!("{shown}… ({} bytes)", sku_or_name.len());
    }
    let failure = declined(format!("No product has the SKU or the exact name '{shown}'."))
        .try_next("cargo cart sku list");
    with_private_server_hint(failure, target)
}

/// A private server starts empty, so what the last command wrote is gone.
fn with_private_server_hint(failure: Failure, target: &Target) -> Failure {
    if target.private().is_none() {
        return failure;
    }
    failure.try_next("keep a server up with `cargo server`: a private one starts empty at each command")
}

/// No command, and no terminal for the menu.
#[must_use]
pub fn no_command() -> Failure {
    Failure::new(Class::Usage, "No command was given.", "The menu needs a terminal.")
        .try_next("cargo cart --help")
        .try_next("cargo cart menu, which also reads entries from a pipe")
}

/// The menu prints text only.
#[must_use]
pub fn no_menu_in_json() -> Failure {
    Failure::new(Class::Usage, "The menu has no JSON.", "The commands print JSON; the menu is for people.")
        .try_next("cargo cart --help, for the commands")
        .try_next("leave --json out, for the menu")
}

/// A result that cannot be written as JSON. All of ours can.
#[must_use]
pub fn unprintable(error: &serde_json::Error) -> Failure {
    Failure::new(Class::Other, "The result cannot be written as JSON.", error.to_string())
}

/// Redis returned an error, or a key holds a value that the shop never writes.
pub fn store(error: &StoreError, target: &Target) -> Failure {
    match error {
        StoreError::Redis(error) => target.explain(error),
        StoreError::WrongType(_) => {
            Failure::new(Class::WrongType, sentence(error), "Another program wrote this key.")
                .try_next("look at it in Redis Insight, or with TYPE in redis-cli; rename or remove it")
                .try_next("--prefix NAME: keeps our keys apart from other data")
        }
        StoreError::Key(error) => Failure::new(Class::Usage, sentence(error), UNCHANGED),
        other => Failure::new(Class::BadValue, sentence(other), "Another program wrote this key.")
            .try_next("look at it in Redis Insight, and remove what does not belong there"),
    }
}

/// Why no customer was added.
pub fn create(error: &CreateError, target: &Target) -> Failure {
    match error {
        CreateError::Taken(id) => user_taken(id),
        CreateError::Store(error) => store(error, target),
        other => declined(sentence(other)),
    }
}

/// Why nothing was added.
pub fn add(error: &CartError, name: &str, product: &Product, target: &Target) -> Failure {
    match error {
        CartError::Store(error) => cart(error, target),
        other => declined(format!(
            "{} ({}) was not added to the cart of {name}: {other}.",
            product.name, product.sku
        )),
    }
}

/// Why nothing was removed.
pub fn remove(error: &CartError, name: &str, product: &str, target: &Target) -> Failure {
    match error {
        CartError::Store(error) => cart(error, target),
        other => declined(format!("{product} was not removed from the cart of {name}: {other}.")),
    }
}

/// Why a cart could not be shown.
pub fn view(error: &CartError, target: &Target) -> Failure {
    match error {
        CartError::Store(error) => cart(error, target),
        other => declined(sentence(other)),
    }
}

/// An error of any cart operation.
pub fn cart(error: &StoreError, target: &Target) -> Failure {
    match error {
        StoreError::Malformed(_) => {
            store(error, target).try_next("cargo cart clear USER, which removes the cart")
        }
        other => store(other, target),
    }
}

/// An error message as a sentence.
pub fn sentence(error: &impl Display) -> String {
    let text = error.to_string();
    let mut rest = text.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", rest.as_str())
}
