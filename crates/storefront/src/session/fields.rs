use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::shown::Shown;

/// The fields that every session has for itself.
pub(super) const OWN: [&str; 6] = ["user", "created_ms", "ends_ms", "indexed_until_ms", "state", "moved_to"];
const LONGEST: usize = 32;

/// What a field of a session is called: 1 to 32 of `a-z 0-9 _`, and none of the names that a session needs for itself
/// (`user`, `created_ms`, `ends_ms`, `indexed_until_ms`, `state`, `moved_to`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct FieldName(String);

impl FieldName {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldName {
    type Err = FieldNameError;

    fn from_str(text: &str) -> Result<Self, FieldNameError> {
        let spelled =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !spelled || !(1..=LONGEST).contains(&text.len()) {
            return Err(FieldNameError::Spelling(Shown(text).to_string()));
        }
        if OWN.contains(&text) {
            return Err(FieldNameError::Taken(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text names no field of a session.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldNameError {
    /// The text, escaped and cut.
    #[error("{0} is not the name of a field: it must be 1 to {LONGEST} of a-z, 0-9 and _")]
    Spelling(String),
    /// A session has this field for itself.
    #[error("a session needs the field {0} for itself")]
    Taken(String),
}
