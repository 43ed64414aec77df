//! Commands, and data modeling.

use super::{exercise, no_check};
use crate::checks;
use crate::commands::Commands;
use crate::exercise::Exercise;
use crate::lab::Lab;
use crate::verdict::Verdict;

pub static EXERCISES: &[&Exercise] = &[
    exercise!(Commands, "keep-the-time-to-live", ".redis"),
    exercise!(Commands, "sell-one-ticket", ".redis"),
    exercise!(Commands, "change-a-profile", ".redis"),
    exercise!(Commands, "keep-the-last-hundred", ".redis"),
    exercise!(Commands, "read-the-next-page", ".redis"),
    exercise!(Commands, "add-up-the-sales", ".redis"),
    exercise!(Commands, "count-each-visitor-once", ".redis"),
    exercise!(Commands, "move-the-money", ".redis"),
    exercise!(Commands, "delete-a-big-list", ".redis"),
    exercise!(Commands, "keep-hashes-small", ".redis"),
    exercise!(Commands, "reserve-a-seat", ".redis"),
    exercise!(Commands, "store-the-work", ".redis"),
    exercise!(Commands, "finish-what-you-began", ".redis"),
    exercise!(Commands, "put-keys-in-one-slot", ".redis"),
];

pub async fn check(name: &str, commands: &Commands, lab: &Lab) -> Verdict {
    match name {
        "keep-the-time-to-live" => checks::keep_the_time_to_live::check(commands, lab).await,
        "sell-one-ticket" => checks::sell_one_ticket::check(commands, lab).await,
        "change-a-profile" => checks::change_a_profile::check(commands, lab).await,
        "keep-the-last-hundred" => checks::keep_the_last_hundred::check(commands, lab).await,
        "read-the-next-page" => checks::read_the_next_page::check(commands, lab).await,
        "add-up-the-sales" => checks::add_up_the_sales::check(commands, lab).await,
        "count-each-visitor-once" => checks::count_each_visitor_once::check(commands, lab).await,
        "move-the-money" => checks::move_the_money::check(commands, lab).await,
        "delete-a-big-list" => checks::delete_a_big_list::check(commands, lab).await,
        "keep-hashes-small" => checks::keep_hashes_small::check(commands, lab).await,
        "reserve-a-seat" => checks::reserve_a_seat::check(commands, lab).await,
        "store-the-work" => checks::store_the_work::check(commands, lab).await,
        "finish-what-you-began" => checks::finish_what_you_began::check(commands, lab).await,
        "put-keys-in-one-slot" => checks::put_keys_in_one_slot::check(commands, lab).await,
        _ => Err(no_check(name)),
    }
}
