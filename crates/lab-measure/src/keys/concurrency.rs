//! Key names of `concurrency`.

use super::Keys;

impl Keys {
    /// String: what one of the clients writes and reads.
    #[must_use]
    pub fn concurrency(&self, client: usize) -> String {
        self.named(&format!("concurrency:{client}"))
    }
}
