//! All exercises, in the order of the lessons.

use crate::checks;
use crate::commands::Commands;
use crate::exercise::{Exercise, Kind};
use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Verdict};

/// An exercise from its folder, with its check. (One in Rust is compiled with its check: see [`rust`](crate::rust).)
macro_rules! exercise {
    (Commands $name:literal $check:ident) => {
        exercise!(
            Commands,
            $name,
            ".redis",
            Some(|answer, lab| Box::pin(async move {
                checks::$check::check(&Commands::parse(answer)?, lab).await
            }))
        )
    };
    (Lua $name:literal $check:ident) => {
        exercise!(
            Lua,
            $name,
            ".lua",
            Some(|answer, lab| Box::pin(async move { checks::$check::check(&Lua::new(answer), lab).await }))
        )
    };
    (Rust $name:literal) => {
        exercise!(Rust, $name, ".rs", None)
    };
    ($kind:ident, $name:literal, $extension:literal, $check:expr) => {
        Exercise {
            name: $name,
            kind: Kind::$kind,
            text: include_str!(concat!("../exercises/", $name, "/exercise.md")),
            starter: include_str!(concat!("../exercises/", $name, "/starter", $extension)),
            solution: include_str!(concat!("../exercises/", $name, "/solution", $extension)),
            check: $check,
        }
    };
}

/// All exercises, in the order of the lessons.
pub static EXERCISES: &[Exercise] = &[
    exercise!(Commands "keep-the-time-to-live" keep_the_time_to_live),
    exercise!(Commands "sell-one-ticket" sell_one_ticket),
    exercise!(Commands "change-a-profile" change_a_profile),
    exercise!(Commands "keep-the-last-hundred" keep_the_last_hundred),
    exercise!(Rust "find-all-carts"),
    exercise!(Commands "read-the-next-page" read_the_next_page),
    exercise!(Commands "add-up-the-sales" add_up_the_sales),
    exercise!(Lua "keep-the-top-ten" keep_the_top_ten),
    exercise!(Rust "turn-the-page"),
    exercise!(Commands "count-each-visitor-once" count_each_visitor_once),
    exercise!(Commands "move-the-money" move_the_money),
    exercise!(Lua "name-no-keys" name_no_keys),
    exercise!(Rust "change-all-prices"),
    exercise!(Rust "watch-on-your-own"),
    exercise!(Rust "read-many-users"),
    exercise!(Commands "delete-a-big-list" delete_a_big_list),
    exercise!(Lua "total-of-a-cart" total_of_a_cart),
    exercise!(Lua "rebuild-once" rebuild_once),
    exercise!(Rust "load-it-once"),
    exercise!(Rust "drop-what-changed"),
    exercise!(Lua "reserve-all-or-nothing" reserve_all_or_nothing),
    exercise!(Lua "limit-requests" limit_requests),
    exercise!(Lua "refill-the-bucket" refill_the_bucket),
    exercise!(Rust "see-every-change"),
    exercise!(Commands "store-the-work" store_the_work),
    exercise!(Commands "finish-what-you-began" finish_what_you_began),
    exercise!(Rust "confirm-when-it-is-done"),
    exercise!(Lua "take-a-job" take_a_job),
    exercise!(Rust "wait-on-your-own"),
    exercise!(Rust "lose-no-job"),
    exercise!(Commands "reserve-a-seat" reserve_a_seat),
    exercise!(Lua "release-a-lock" release_a_lock),
    exercise!(Lua "extend-your-lock" extend_your_lock),
    exercise!(Lua "refuse-a-stale-writer" refuse_a_stale_writer),
    exercise!(Rust "stop-when-it-is-lost"),
    exercise!(Lua "credit-once" credit_once),
    exercise!(Rust "count-it-once"),
    exercise!(Commands "put-keys-in-one-slot" put_keys_in_one_slot),
    exercise!(Commands "keep-hashes-small" keep_hashes_small),
];

/// Checks an answer of commands or Lua.
pub async fn check(exercise: &Exercise, answer: &str, lab: &Lab) -> Verdict {
    match exercise.check {
        Some(check) => check(answer, lab).await,
        None => Err(Fault::new(format!("{} has no check here.", exercise.name))),
    }
}

/// The exercise of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Exercise> {
    EXERCISES.iter().find(|exercise| exercise.name == name)
}
