//! How a script is put together: where the news goes, the stock of one product, and what the script is for.

use std::sync::LazyLock;

use redis::Script;

use crate::Layout;

/// What a script is for.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    SetUp,
    Restock,
    Reserve,
    Confirm,
    Release,
    Extend,
    Level,
    Sweep,
}

/// Every operation in one layout.
pub(super) struct Scripts([Script; 8]);

static ONE_SERVER: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(include_str!("scripts/one_server.lua")));
static CLUSTER: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(include_str!("scripts/cluster.lua")));

pub(super) static DUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/due.lua")));
pub(super) static OUTBOX: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/outbox.lua")));
pub(super) static DELIVER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/deliver.lua")));
pub(super) static DELIVERED: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/delivered.lua")));

impl Scripts {
    pub(super) fn of(layout: Layout) -> &'static Self {
        match layout {
            Layout::Standalone => &ONE_SERVER,
            Layout::Cluster => &CLUSTER,
        }
    }

    pub(super) fn get(&self, operation: Operation) -> &Script {
        // The order is that of `Operation`.
        &self.0[operation as usize]
    }

    fn new(abroad: &str) -> Self {
        // `abroad` uses what `stock.lua` begins with, and `stock.lua` uses `abroad` further down: so the name comes first.
        let shared = [
            "local abroad\n",
            include_str!("../cart/scripts/integer.lua"),
            include_str!("scripts/stock.lua"),
            abroad,
        ]
        .concat();
        let script = |operation: &str| Script::new(&(shared.clone() + operation));
        Self([
            script(include_str!("scripts/set_up.lua")),
            script(include_str!("scripts/restock.lua")),
            Script::new(
                &[include_str!("scripts/reserve_at_once.lua"), &shared, include_str!("scripts/reserve.lua")]
                    .concat(),
            ),
            script(include_str!("scripts/confirm.lua")),
            script(include_str!("scripts/release.lua")),
            script(include_str!("scripts/extend.lua")),
            script(include_str!("scripts/level.lua")),
            script(include_str!("scripts/sweep.lua")),
        ])
    }
}
