//! The commands about customers.

use lab_connection::Failure;
use lab_runner::table::Table;
use patterns::users::User;
use serde_json::{Value, json};

use crate::arguments::UserCommand;
use crate::failures::{self, parse, parse_flag};
use crate::input::{Name, UserId, user_id};
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
    let first_name: Name = parse_flag("--first-name", first_name)?;
    let last_name: Name = parse_flag("--last-name", last_name)?;
    let (first_name, last_name) = (first_name.as_str(), last_name.as_str());
    let user = match id {
        None => shop.users.create(first_name, last_name).await.map_err(|error| shop.failed(&error))?,
        Some(id) => {
            let id: UserId = parse(id)?;
            // The pattern accepts the same user again, for retries. A person who types it twice wants to know.
            let known = shop.users.get(id.as_str()).await.map_err(|error| shop.failed(&error))?;
            if known.is_some() {
                return Err(failures::user_taken(id.as_str()));
            }
            let created = shop.users.create_with_id(id.as_str(), first_name, last_name).await;
            created.map_err(|error| failures::create(&error, &shop.target))?
        }
    };
    shop.show(&document(&user), || format!("User {} is {} {}.", user.id, user.first_name, user.last_name))
}

async fn show(shop: &Shop, id: &str) -> Result<(), Failure> {
    let id: UserId = parse(id)?;
    let user = shop.user(&id).await?;
    shop.show(&document(&user), || format!("User {id}: {} {}", user.first_name, user.last_name))
}

async fn list(shop: &Shop) -> Result<(), Failure> {
    let users = shop.users.list().await.map_err(|error| shop.failed(&error))?;
    shop.show(&users.iter().map(document).collect::<Vec<_>>(), || {
        if users.is_empty() {
            return "No customers yet: cargo cart user add --first-name Parker --last-name Perry".into();
        }
        let mut table = Table::new("", &["user", "first name", "last name"]);
        for User { id, first_name, last_name } in &users {
            table = table.row([id.clone(), first_name.clone(), last_name.clone()]);
        }
        table.to_text(lab_runner::Terminal.width())
    })
}

fn document(user: &User) -> Value {
    json!({ "id": user_id(&user.id), "first_name": user.first_name, "last_name": user.last_name })
}
