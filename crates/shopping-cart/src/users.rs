//! The commands about customers.

use lab_connection::Failure;
use lab_runner::table::Facts;
use storefront::{CreateUserError, NewUser, UserId};

use crate::arguments::UserCommand;
use crate::refusal::{self, parse, parse_flag};
use crate::shop::Shop;

/// Runs one command.
pub async fn run(shop: &Shop, command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add { first_name, last_name, id } => {
            add(shop, first_name, last_name, id.as_deref()).await
        }
        UserCommand::Show { id } => show(shop, id).await,
        UserCommand::List => list(shop).await,
    }
}

async fn add(shop: &Shop, first_name: &str, last_name: &str, id: Option<&str>) -> Result<(), Failure> {
    let new = NewUser {
        first_name: parse_flag("--first-name", first_name)?,
        last_name: parse_flag("--last-name", last_name)?,
    };
    let user = match id {
        None => shop.users.create(new).await.map_err(|error| refusal::store(&error, shop))?,
        Some(id) => shop.users.create_with_id(parse(id)?, new).await.map_err(|error| match error {
            CreateUserError::Taken(id) => refusal::user_taken(id),
            CreateUserError::Store(error) => refusal::store(&error, shop),
            other => refusal::declined(refusal::sentence(&other)),
        })?,
    };
    shop.show(&user, || format!("User {} is {} {}.", user.id, user.first_name, user.last_name))
}

async fn show(shop: &Shop, id: &str) -> Result<(), Failure> {
    let id: UserId = parse(id)?;
    let user = shop.users.get(id).await.map_err(|error| refusal::store(&error, shop))?;
    let user = user.ok_or_else(|| refusal::unknown_user(id, shop))?;
    shop.show(&user, || format!("User {id}: {} {}", user.first_name, user.last_name))
}

async fn list(shop: &Shop) -> Result<(), Failure> {
    let users = shop.users.list().await.map_err(|error| refusal::store(&error, shop))?;
    shop.show(&users, || {
        if users.is_empty() {
            return "No customers yet: cargo cart user add --first-name Parker --last-name Perry".into();
        }
        let mut facts = Facts::new("", &["user", "first name", "last name"]);
        for user in &users {
            facts = facts.row([user.id.to_string(), user.first_name.to_string(), user.last_name.to_string()]);
        }
        facts.to_text(lab_runner::Terminal.width())
    })
}
