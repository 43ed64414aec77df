//! Lua scripts.

use super::{exercise, no_check};
use crate::checks;
use crate::exercise::Exercise;
use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::Verdict;

pub static EXERCISES: &[&Exercise] = &[
    exercise!(Lua, "total-of-a-cart", ".lua"),
    exercise!(Lua, "keep-the-top-ten", ".lua"),
    exercise!(Lua, "name-no-keys", ".lua"),
    exercise!(Lua, "reserve-all-or-nothing", ".lua"),
    exercise!(Lua, "rebuild-once", ".lua"),
    exercise!(Lua, "limit-requests", ".lua"),
    exercise!(Lua, "refill-the-bucket", ".lua"),
    exercise!(Lua, "take-a-job", ".lua"),
    exercise!(Lua, "release-a-lock", ".lua"),
    exercise!(Lua, "extend-your-lock", ".lua"),
    exercise!(Lua, "refuse-a-stale-writer", ".lua"),
    exercise!(Lua, "credit-once", ".lua"),
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
