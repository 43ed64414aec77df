//! Commands, and data modeling.

use super::{exercise, no_check};
use crate::checks;
use crate::commands::Commands;
use crate::exercise::Exercise;
use crate::lab::Lab;
use crate::verdict::Verdict;

pub static EXERCISES: &[&Exercise] = &[exercise!(Commands, "sell-one-ticket", "counters", ".redis")];

pub async fn check(name: &str, commands: &Commands, lab: &Lab) -> Verdict {
    match name {
        "sell-one-ticket" => checks::sell_one_ticket::check(commands, lab).await,
        _ => Err(no_check(name)),
    }
}
