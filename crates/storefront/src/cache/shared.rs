use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use super::statistics::Counters;

/// What the clones of a cache have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    calls: AtomicU64,
    /// Seeded by the system, differently in each process and for each cache.
    random: RandomState,
}

/// One call: the token with which it may load, and a chance for its jitter.
pub(super) struct Call {
    pub(super) token: String,
    /// From 0 to 1.
    pub(super) chance: f64,
}

impl Shared {
    /// No two calls have the same token. It has to differ, not to be secret: who can read it can delete the lock as well.
    pub(super) fn call(&self) -> Call {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let [one, other] = [(number, 0_u8), (number, 1)].map(|of| self.random.hash_one(of));
        Call { token: format!("{one:016x}{other:016x}"), chance: one as f64 / u64::MAX as f64 }
    }
}

impl Call {
    /// Half of a time to all of it, so that those who began to wait together do not ask again together.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the time")]
    pub(super) fn some_of(&self, milliseconds: u64) -> u64 {
        milliseconds - (milliseconds as f64 / 2.0 * self.chance) as u64
    }
}
