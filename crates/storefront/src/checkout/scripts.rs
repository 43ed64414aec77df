use std::sync::LazyLock;

use redis::Script;

use crate::{ItemExpiry, Representation};

pub(super) static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/open.lua")));
pub(super) static MOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/move.lua")));
pub(super) static SCHEDULE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../cart/scripts/integer.lua"), include_str!("scripts/schedule.lua")))
});
pub(super) static UNSCHEDULE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/unschedule.lua")));
/// Orders that are due are found like products that are.
pub(super) static DUE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("../inventory/scripts/due.lua")));

/// Takes units out of a cart of this kind. It is put together like the cart's own scripts.
pub(super) fn take_out(representation: Representation, expiry: ItemExpiry) -> &'static Script {
    const FIELD_TTL: &str = include_str!("../cart/scripts/field_ttl.lua");
    const DEADLINE_SET: &str = include_str!("../cart/scripts/deadline_set.lua");
    const HASH: &str = include_str!("../cart/scripts/hash.lua");
    const SORTED_SET: &str = include_str!("../cart/scripts/sorted_set.lua");
    static WITH_FIELD_TTL: LazyLock<Script> = LazyLock::new(|| of(HASH, FIELD_TTL));
    static WITH_DEADLINE_SET: LazyLock<Script> = LazyLock::new(|| of(HASH, DEADLINE_SET));
    static OF_SORTED_SET: LazyLock<Script> = LazyLock::new(|| of(SORTED_SET, DEADLINE_SET));
    match (representation, expiry) {
        (Representation::Hash, ItemExpiry::FieldTtl) => &WITH_FIELD_TTL,
        (Representation::Hash, ItemExpiry::DeadlineSet) => &WITH_DEADLINE_SET,
        (Representation::SortedSet, _) => &OF_SORTED_SET,
    }
}

fn of(representation: &str, expiry: &str) -> Script {
    let parts = [
        include_str!("../scripts/types.lua"),
        include_str!("../cart/scripts/integer.lua"),
        representation,
        expiry,
        include_str!("../cart/scripts/cart.lua"),
        include_str!("scripts/take_out.lua"),
    ];
    Script::new(&parts.concat())
}
