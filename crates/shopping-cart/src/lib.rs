//! The cart application, on the patterns [`patterns::cart`], [`patterns::users`], and [`patterns::catalog`].
//!
//! In reading order:
//!
//! 1. `arguments`: the command line.
//! 2. `input` checks what people type. `shop` has the patterns on the chosen server.
//! 3. `users`, `skus`, `carts`: the commands. `watch` and `menu` run until the person quits.
//! 4. `failures`: errors that say what to do next.
//! 5. `story` and [`compare`]: the lessons. `sample` is their data.

mod arguments;
mod carts;
pub mod compare;
mod failures;
mod input;
mod menu;
mod registry;
mod sample;
mod shop;
mod skus;
mod story;
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
    // Checked before a server is looked for or started.
    if let None | Some(Command::Menu) = &arguments.command {
        if arguments.json {
            return Err(failures::no_menu_in_json());
        }
        if arguments.command.is_none() && !Terminal.interactive() {
            return Err(failures::no_command());
        }
    }
    let lesson = match &arguments.command {
        Some(Command::Demo) => Some(CartLesson::Cart),
        Some(Command::Compare) => Some(CartLesson::CartShapes),
        _ => None,
    };
    if let Some(lesson) = lesson {
        let target = course::open(&arguments.target).await?;
        let chosen = [lesson.lesson()];
        return course::run(&target, &CartLesson::lessons(), &chosen, &arguments.output()).await.map(|_| ());
    }
    arguments.output().report.refuse("This command")?;
    let target = course::connect(&arguments.target).await?;
    let shop = Shop::on(&target, &arguments);
    match &arguments.command {
        None | Some(Command::Menu) => menu::run(&shop).await,
        Some(Command::User(command)) => users::run(&shop, command).await,
        Some(Command::Sku(command)) => skus::run(&shop, command).await,
        Some(Command::Watch { owner }) => watch::run(&shop, owner).await,
        Some(command) => carts::run(&shop, command).await,
    }
}
