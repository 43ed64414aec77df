//! The names of sessions.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `session:abc123` | `session:abc123` | Hash | one session: whose, until when, and its fields |
//! | `user_sessions:1` | `user_sessions:{1}` | Sorted Set | the sessions of a user, by the millisecond after which they are over |
//! | `user_sessions:1:ending` | `user_sessions:{1}:ending` | Sorted Set | those of them that 'log out everywhere' is ending |
//!
//! On a cluster a session and its user's index are in different slots, so no script there has both.

use crate::{SessionId, UserId};

impl super::Keys {
    /// The Hash of one session.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> String {
        format!("{}session:{id}", self.prefix)
    }

    /// The Sorted Set of a user's sessions.
    #[must_use]
    pub fn user_sessions(&self, user: UserId) -> String {
        format!("{}user_sessions:{}", self.prefix, self.tagged(&user.to_string()))
    }

    /// The Sorted Set of a user's sessions that are being ended.
    #[must_use]
    pub fn ending_sessions(&self, user: UserId) -> String {
        format!("{}:ending", self.user_sessions(user))
    }
}
