//! The names of notifications.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `notifications:user123` | `notifications:{user123}` | List | what waits for the customer as JSON, the newest first |
//! | `notifications:user123:taken` | `notifications:{user123}:taken` | Hash | event to what a device has taken and not acknowledged |
//! | `notifications:user123:deadlines` | `notifications:{user123}:deadlines` | Sorted Set | event, scored by the millisecond at which it is delivered again |
//! | `notifications:user123:sent` | `notifications:{user123}:sent` | Sorted Set | the events sent lately, scored by when |
//! | `notifications:user123:counts` | `notifications:{user123}:counts` | Hash | `sent`, `read`, `dropped` |

use crate::CustomerId;
use crate::notifications::NotificationKeys;

impl super::Keys {
    /// The keys of this customer's notifications.
    #[must_use]
    pub fn notifications(&self, customer: &CustomerId) -> NotificationKeys {
        let waiting = format!("{}notifications:{}", self.prefix, self.tagged(customer.as_str()));
        NotificationKeys {
            taken: format!("{waiting}:taken"),
            deadlines: format!("{waiting}:deadlines"),
            sent: format!("{waiting}:sent"),
            counts: format!("{waiting}:counts"),
            waiting,
        }
    }
}
