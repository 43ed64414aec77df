//! The cart application, on the patterns [`patterns::cart`], [`patterns::users`], and [`patterns::catalog`].
//!
//! In reading order:
//!
//! 1. `arguments`: the command line.
//! 2. `typed`: what people type, checked. `shop`: the patterns on the server that was chosen.
//! 3. `users`, `skus`, `carts`: the commands; `watch` and `menu` go on until one leaves.
//! 4. `refusal`: what the shop says no to, as an error that says what to do next.
//! 5. `story` and [`compare`]: the lessons, also part of the tour; `sample` is their data.

mod arguments;
mod carts;
pub mod compare;
mod menu;
mod refusal;
mod registry;
mod sample;
mod shop;
mod skus;
mod story;
mod typed;
mod users;
mod watch;

use lab_connection::Failure;
use lab_runner::{Course, Terminal, course};

pub use crate::arguments::Arguments;
use crate::arguments::Command;
pub use crate::registry::CartLesson;
use crate::shop::Shop;

/// Runs one command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    // Told before a server is looked for, or even started.
    if let None | Some(Command::Menu) = &arguments.command {
        if arguments.json {
            return Err(refusal::no_menu_in_json());
        }
        if arguments.command.is_none() && !Terminal.interactive() {
            return Err(refusal::no_command());
        }
    }
    let target = course::open(&arguments.target).await?;
    let lesson = match &arguments.command {
        Some(Command::Demo) => Some(CartLesson::Cart),
        Some(Command::Compare) => Some(CartLesson::CartShapes),
        _ => None,
    };
    if let Some(lesson) = lesson {
        return course::run(&target, &CartLesson::lessons(), &[lesson.lesson()], arguments.output())
            .await
            .map(|_taught| ());
    }
    let shop = Shop::on(&target, &arguments);
    match &arguments.command {
        None | Some(Command::Menu) => menu::run(&shop).await,
        Some(Command::User(command)) => users::run(&shop, command).await,
        Some(Command::Sku(command)) => skus::run(&shop, command).await,
        Some(Command::Watch { owner }) => watch::run(&shop, owner).await,
        Some(command) => carts::run(&shop, command).await,
    }
}
