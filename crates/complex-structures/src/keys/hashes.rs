//! Key names of the lesson `hashes`.

use super::Keys;

impl Keys {
    /// Hash: the profile of a customer.
    #[must_use]
    pub fn profile(&self, id: u64) -> String {
        self.named(&format!("profile:{id}"))
    }

    /// String: one property of a profile, where each has a key of its own.
    #[must_use]
    pub fn profile_property(&self, id: u64, property: &str) -> String {
        self.named(&format!("profile:{id}:{property}"))
    }

    /// Hash: a profile whose nickname many want to set first, each approach with one of its own.
    #[must_use]
    pub fn claimed_profile(&self, approach: &str) -> String {
        self.named(&format!("profile:claimed:{approach}"))
    }

    /// Hash: gets one field after the other.
    #[must_use]
    pub fn growing_hash(&self) -> String {
        self.named("settings:growing")
    }

    /// Hash: one field, whose value gets longer.
    #[must_use]
    pub fn lengthening_hash(&self) -> String {
        self.named("settings:lengthening")
    }
}
