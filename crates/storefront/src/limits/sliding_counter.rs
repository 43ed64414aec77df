//! Two windows in one String, the older one weighted.
//!
//! The script computes in requests times milliseconds: at most 2 × 10^6 × 8.64 × 10^7, far below 2^53, so nothing is rounded.

use std::sync::LazyLock;

use super::recorded_time::Scripts;

pub(super) static SCRIPTS: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::by_the_clock(include_str!("scripts/sliding_counter.lua")));
