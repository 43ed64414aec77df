//! How a script is put together: what all share, the operations of one representation, one way to expire, and what the
//! script is for. So each rule is written once, and each script is sent as one text that Redis caches by its SHA-1.

use std::sync::LazyLock;

use redis::Script;

use super::{ItemExpiry, Representation};

/// What a script is for.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Add,
    Remove,
    View,
    Count,
    Clear,
    Merge,
    ClaimGuest,
    ApplyClaim,
    FinishClaim,
}

/// Every operation of one kind of cart.
pub(super) struct Scripts([Script; 9]);

static HASH_WITH_FIELD_TTL: LazyLock<Scripts> =
    LazyLock::new(|| Scripts::new(include_str!("scripts/hash.lua"), include_str!("scripts/field_ttl.lua")));
static HASH_WITH_DEADLINE_SET: LazyLock<Scripts> = LazyLock::new(|| {
    Scripts::new(include_str!("scripts/hash.lua"), include_str!("scripts/deadline_set.lua"))
});
static SORTED_SET: LazyLock<Scripts> = LazyLock::new(|| {
    Scripts::new(include_str!("scripts/sorted_set.lua"), include_str!("scripts/deadline_set.lua"))
});

impl Scripts {
    pub(super) fn of(representation: Representation, expiry: ItemExpiry) -> &'static Self {
        match (representation, expiry) {
            (Representation::Hash, ItemExpiry::FieldTtl) => &HASH_WITH_FIELD_TTL,
            (Representation::Hash, ItemExpiry::DeadlineSet) => &HASH_WITH_DEADLINE_SET,
            (Representation::SortedSet, _) => &SORTED_SET,
        }
    }

    pub(super) fn get(&self, operation: Operation) -> &Script {
        // The order is that of `Operation`.
        &self.0[operation as usize]
    }

    fn new(representation: &str, expiry: &str) -> Self {
        let shared = [
            include_str!("../scripts/types.lua"),
            include_str!("scripts/integer.lua"),
            representation,
            expiry,
            include_str!("scripts/cart.lua"),
        ]
        .concat();
        let script = |parts: &[&str]| Script::new(&(shared.clone() + &parts.concat()));
        let transfer = include_str!("scripts/transfer.lua");
        let claim = include_str!("scripts/claim.lua");
        Self([
            script(&[include_str!("../scripts/money.lua"), include_str!("scripts/add.lua")]),
            script(&[include_str!("scripts/remove.lua")]),
            script(&[include_str!("scripts/view.lua")]),
            script(&[include_str!("scripts/count.lua")]),
            script(&[include_str!("scripts/clear.lua")]),
            script(&[transfer, include_str!("scripts/merge.lua")]),
            script(&[include_str!("scripts/merge_claim.lua")]),
            script(&[transfer, claim, include_str!("scripts/merge_apply.lua")]),
            script(&[claim, include_str!("scripts/merge_finish.lua")]),
        ])
    }
}
