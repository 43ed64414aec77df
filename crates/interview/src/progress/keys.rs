//! The names of the keys, the only place where they are spelled.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `interview:due` | `{interview}:due` | Sorted Set | question -> when it is due, milliseconds since 1970 |
//! | `interview:state` | `{interview}:state` | Hash | question -> JSON: interval, how often seen and missed, the last grade |

pub(super) struct Keys {
    /// When each question is due.
    pub(super) due: String,
    /// What is known of each question.
    pub(super) state: String,
}

impl Keys {
    /// One script touches both, so on a cluster they share a slot.
    pub(super) fn new(prefix: &str, cluster: bool) -> Self {
        let name = if cluster { "{interview}" } else { "interview" };
        Self { due: format!("{prefix}{name}:due"), state: format!("{prefix}{name}:state") }
    }
}
