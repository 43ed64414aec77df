//! Key names of `peers`.

use super::Keys;

/// What `redis-benchmark` replaces by a random number of twelve digits.
const RANDOM: &str = "__rand_int__";

impl Keys {
    /// What `redis-benchmark` is told to write: a name with a place for a random number.
    #[must_use]
    pub fn benchmark_users(&self) -> String {
        self.named(&format!("user:{RANDOM}"))
    }

    /// Hash: what `redis-benchmark` makes of it. No name of a user, because it is filled up with zeros.
    #[must_use]
    pub fn benchmark_user(&self, number: u64) -> String {
        self.named(&format!("user:{number:012}"))
    }
}
