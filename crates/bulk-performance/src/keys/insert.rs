//! Key names of `insert`.

use super::Keys;

impl Keys {
    /// Hash: how many records of each kind the last `insert` may have written, so that the next one can remove them.
    #[must_use]
    pub fn inserted(&self) -> String {
        self.loaded("insert")
    }
}
