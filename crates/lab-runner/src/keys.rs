//! Key names behind the prefix of the server.

use std::fmt::Display;

/// Puts the prefix before key names.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys behind `prefix`, which may be empty.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The key of this name, such as `user:1`.
    pub fn key(&self, name: impl Display) -> String {
        format!("{}{name}", self.prefix)
    }
}
