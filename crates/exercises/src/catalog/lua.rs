//! Lua scripts.

use super::{exercise, no_check};
use crate::checks;
use crate::exercise::Exercise;
use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::Verdict;

pub static EXERCISES: &[&Exercise] = &[exercise!(Lua, "release-a-lock", "locks", ".lua")];

pub async fn check(name: &str, script: &Lua, lab: &Lab) -> Verdict {
    match name {
        "release-a-lock" => checks::release_a_lock::check(script, lab).await,
        _ => Err(no_check(name)),
    }
}
