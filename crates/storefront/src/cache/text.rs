use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use serde::Serialize;

/// The longest text that becomes part of a key, in bytes.
const LONGEST: usize = 128;

/// Any text, such as what somebody searches for, as a part of a key's name: 1 to 128 bytes, of which `A-Z a-z 0-9 . _ -` stay
/// as they are and every other becomes `%` and two hexadecimal digits. So two texts never share a name, and `:` `{` `}` `*`
/// cannot change which key it is, its slot, or what a SCAN matches.
///
/// ```
/// use storefront::cache::KeyText;
///
/// assert_eq!("query".parse::<KeyText>()?.as_str(), "query");
/// assert_eq!("red {*} café".parse::<KeyText>()?.as_str(), "red%20%7B%2A%7D%20caf%C3%A9");
/// # Ok::<(), storefront::cache::KeyTextError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct KeyText(String);

impl KeyText {
    /// As it stands in the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyText {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        if !(1..=LONGEST).contains(&text.len()) {
            return Err(KeyTextError { bytes: text.len() });
        }
        let mut encoded = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        Ok(Self(encoded))
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is empty, or too long to be worth caching.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a text in a key's name has 1 to {LONGEST} bytes, not {bytes}")]
pub struct KeyTextError {
    bytes: usize,
}
