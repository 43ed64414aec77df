//! Lua scripts.

use super::{exercise, no_check};
use crate::checks;
use crate::exercise::Exercise;
use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::Verdict;

pub static EXERCISES: &[&Exercise] = &[
    exercise!(Lua, "total-of-a-cart", "cart", ".lua"),
    exercise!(Lua, "keep-the-top-ten", "sorted-sets", ".lua"),
    exercise!(Lua, "name-no-keys", "transactions", ".lua"),
    exercise!(Lua, "reserve-all-or-nothing", "inventory", ".lua"),
    exercise!(Lua, "rebuild-once", "caching", ".lua"),
    exercise!(Lua, "limit-requests", "rate-limits", ".lua"),
    exercise!(Lua, "refill-the-bucket", "rate-limits", ".lua"),
    exercise!(Lua, "take-a-job", "job-queue", ".lua"),
    exercise!(Lua, "release-a-lock", "locks", ".lua"),
    exercise!(Lua, "extend-your-lock", "locks", ".lua"),
    exercise!(Lua, "refuse-a-stale-writer", "locks", ".lua"),
    exercise!(Lua, "credit-once", "idempotency", ".lua"),
];

pub async fn check(name: &str, script: &Lua, lab: &Lab) -> Verdict {
    match name {
        "total-of-a-cart" => checks::total_of_a_cart::check(script, lab).await,
        "keep-the-top-ten" => checks::keep_the_top_ten::check(script, lab).await,
        "name-no-keys" => checks::name_no_keys::check(script, lab).await,
        "reserve-all-or-nothing" => checks::reserve_all_or_nothing::check(script, lab).await,
        "rebuild-once" => checks::rebuild_once::check(script, lab).await,
        "limit-requests" => checks::limit_requests::check(script, lab).await,
        "refill-the-bucket" => checks::refill_the_bucket::check(script, lab).await,
        "take-a-job" => checks::take_a_job::check(script, lab).await,
        "release-a-lock" => checks::release_a_lock::check(script, lab).await,
        "extend-your-lock" => checks::extend_your_lock::check(script, lab).await,
        "refuse-a-stale-writer" => checks::refuse_a_stale_writer::check(script, lab).await,
        "credit-once" => checks::credit_once::check(script, lab).await,
        _ => Err(no_check(name)),
    }
}
