//! Key names of the lesson `uniques`. All of them share a hash tag: BITOP and PFMERGE take keys of one slot only.

use super::Keys;

impl Keys {
    /// Set: the visitors of a day.
    #[must_use]
    pub fn visitor_set(&self, day: &str) -> String {
        self.named(&format!("{{visitors}}:{day}:set"))
    }

    /// String: a bit for each visitor of a day.
    #[must_use]
    pub fn visitor_bits(&self, day: &str) -> String {
        self.named(&format!("{{visitors}}:{day}:bitmap"))
    }

    /// HyperLogLog: the visitors of a day, estimated.
    #[must_use]
    pub fn visitor_estimate(&self, day: &str) -> String {
        self.named(&format!("{{visitors}}:{day}:hll"))
    }

    /// String: one visitor with a huge number.
    #[must_use]
    pub fn sparse_bits(&self) -> String {
        self.named("{visitors}:sparse:bitmap")
    }
}
