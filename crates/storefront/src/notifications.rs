//! Telling a customer something, at least once.
/// The keys of one customer's notifications, all in one slot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotificationKeys {
    /// What waits: a List.
    pub waiting: String,
    /// What was taken and not acknowledged: a Hash.
    pub taken: String,
    /// When what was taken is delivered again: a Sorted Set.
    pub deadlines: String,
    /// The events sent lately: a Sorted Set.
    pub sent: String,
    /// How many were sent, read and dropped: a Hash.
    pub counts: String,
}

impl NotificationKeys {
    /// All of them, in the order in which the scripts take them.
    #[must_use]
    pub fn all(&self) -> [&str; 5] {
        [&self.waiting, &self.taken, &self.deadlines, &self.sent, &self.counts]
    }
}
