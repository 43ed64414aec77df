use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

macro_rules! statistics {
    ($($(#[$documentation:meta])* $name:ident,)*) => {
        /// What has happened since a cache was made, in this process.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[$documentation])* pub $name: u64,)*
        }

        #[derive(Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> Statistics {
                Statistics { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

statistics! {
    /// Calls answered at once with a fresh entry, or with the knowledge that there is nothing.
    hits,
    /// Calls answered at once with a stale entry while somebody else refreshed it.
    stale,
    /// Calls that waited and got what somebody else had loaded.
    shared,
    /// Calls that loaded.
    loads,
    /// Loads that failed.
    failed,
    /// Loads that were not stored: too slow, or the entry was invalidated meanwhile.
    late,
    /// Loads that were not stored because Redis could not be reached.
    not_stored,
    /// Stored values that could not be read, and were loaded anew.
    unreadable,
    /// Calls that gave up waiting.
    gave_up,
    /// Pauses made while waiting.
    pauses,
}

impl Statistics {
    /// The share of calls that were answered at once, 0 to 1; 0 before the first call.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        let at_once = self.hits + self.stale;
        let calls = at_once + self.shared + self.loads + self.gave_up;
        if calls == 0 { 0.0 } else { at_once as f64 / calls as f64 }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
