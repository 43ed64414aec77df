//! Key names of the lesson `transactions`. Keys that one transaction or script touches share a hash tag, because on a
//! cluster they must be in one slot.

use super::Keys;

impl Keys {
    /// String: one of two that are always written together.
    #[must_use]
    pub fn pair_first(&self) -> String {
        self.named("{pair}:first")
    }

    /// String: the other of the two.
    #[must_use]
    pub fn pair_second(&self) -> String {
        self.named("{pair}:second")
    }

    /// List: what lets a stopped pipeline go on.
    #[must_use]
    pub fn pair_gate(&self) -> String {
        self.named("{pair}:gate")
    }

    /// String: where an order stands.
    #[must_use]
    pub fn order_status(&self) -> String {
        self.named("{order:7}:status")
    }

    /// String: what an order costs, in cents.
    #[must_use]
    pub fn order_total(&self) -> String {
        self.named("{order:7}:total")
    }

    /// String: how often an order was changed.
    #[must_use]
    pub fn order_changes(&self) -> String {
        self.named("{order:7}:changes")
    }

    /// String: the money of an owner, in cents.
    #[must_use]
    pub fn account(&self, owner: &str) -> String {
        self.named(&format!("{{bank}}:account:{owner}"))
    }

    /// String: a notice that has nothing to do with money.
    #[must_use]
    pub fn bank_notice(&self) -> String {
        self.named("{bank}:notice")
    }
}
