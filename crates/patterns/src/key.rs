//! Key names: how a pattern names its keys, and why they share a slot.
//!
//! A pattern has one root key for each thing it keeps, such as `cart:1`. Redis Cluster hashes the whole name if it has no
//! braces, and otherwise only what is inside the first pair. So a companion with the whole root in braces is in the root's
//! slot, and one layout works on a single server and on a cluster:
//!
//! ```
//! use patterns::key::Key;
//!
//! let cart = Key::new("", "cart", &["1"])?;
//! assert_eq!(cart.as_str(), "cart:1");
//! assert_eq!(cart.companion("prices"), "cart:{cart:1}:prices");
//!
//! // A prefix is taken as it is. If it has a hash tag of its own, that tag puts everything behind it in one slot.
//! let cart = Key::new("{shop}:", "cart", &["1"])?;
//! assert_eq!(cart.companion("prices"), "{shop}:cart:{{shop}:cart:1}:prices");
//! # Ok::<(), patterns::key::KeyError>(())
//! ```
//!
//! Both names begin with `cart:`. One ACL pattern (`~cart:*`), one SCAN, and one folder in Redis Insight cover them.

use std::fmt::Write as _;

/// The most bytes an ID has.
pub const MAX_ID_BYTES: usize = 512;

/// The name of a root key, and of the keys beside it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    name: String,
    /// Where the namespace ends: prefix and pattern name.
    namespace: usize,
}

impl Key {
    /// The prefix, the pattern's own name, and the IDs, with colons between them: `cart:1`, `rate_limit:203.0.113.7:minute`.
    /// Without IDs it is the name alone, `popular_products`.
    ///
    /// An ID is any text of 1 to 512 bytes. The few characters that would change the slot or what a SCAN matches are
    /// escaped: see [`escape`]. A colon is escaped in every ID but the first, so that two lists of IDs never make one name.
    pub fn new(prefix: &str, name: &str, ids: &[&str]) -> Result<Self, KeyError> {
        check_prefix(prefix)?;
        let mut key = format!("{prefix}{name}");
        let namespace = key.len();
        for (position, id) in ids.iter().enumerate() {
            check_id(id)?;
            key.push(':');
            push_escaped(&mut key, id, position > 0);
        }
        Ok(Self { name: key, namespace })
    }

    /// The name of the root key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name of a key beside it, in the same slot.
    #[must_use]
    pub fn companion(&self, name: &str) -> String {
        format!("{}:{{{}}}:{name}", &self.name[..self.namespace], self.name)
    }
}

/// The text with `{ } * ? [ \ : %` as `%` and two hexadecimal digits, for an ID inside a companion's name. All other
/// characters stay as they are. [`unescape`] undoes it.
#[must_use]
pub fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    push_escaped(&mut escaped, id, true);
    escaped
}

/// The original ID; `None` if the text does not come from [`escape`] or [`Key::new`].
#[must_use]
pub fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut id = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        if !is_special(char::from(code), true) {
            return None;
        }
        id.push(char::from(code));
        id.push_str(&part[2..]);
    }
    Some(id)
}

/// The glob for `SCAN … MATCH` and an ACL's `~` that matches all keys of one pattern: `cart:*`.
#[must_use]
pub fn scan_pattern(prefix: &str, name: &str) -> String {
    let mut pattern = String::new();
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + name + ":*"
}

/// Why there is no key of that name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An ID is empty or too long.
    #[error("an ID has 1 to {MAX_ID_BYTES} bytes, and this one has {bytes}")]
    IdLength {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The prefix has braces, but Redis sees no hash tag in it.
    #[error(
        "the prefix {prefix:?} has braces that are not a hash tag; write a tag like {{shop}}: or leave them out"
    )]
    Prefix {
        /// The prefix.
        prefix: String,
    },
}

/// Checks that an ID has 1 to 512 bytes, even if it becomes a field or a member instead of a name.
pub fn check_id(id: &str) -> Result<(), KeyError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        Err(KeyError::IdLength { bytes: id.len() })
    } else {
        Ok(())
    }
}

/// Either no braces, or a hash tag. Otherwise a root and its companions would be in different slots.
fn check_prefix(prefix: &str) -> Result<(), KeyError> {
    let has_tag = || {
        let (_, after) = prefix.split_once('{')?;
        let (tag, _) = after.split_once('}')?;
        (!tag.is_empty()).then_some(())
    };
    if prefix.contains(['{', '}']) && has_tag().is_none() {
        return Err(KeyError::Prefix { prefix: prefix.to_owned() });
    }
    Ok(())
}

fn push_escaped(key: &mut String, id: &str, colons: bool) {
    for character in id.chars() {
        if is_special(character, colons) {
            // Writing to a String cannot fail.
            let _ = write!(key, "%{:02X}", u32::from(character));
        } else {
            key.push(character);
        }
    }
}

fn is_special(character: char, colons: bool) -> bool {
    matches!(character, '{' | '}' | '*' | '?' | '[' | '\\' | '%') || colons && character == ':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_readable_and_never_meet() {
        let key = |ids: &[&str]| Key::new("", "rate_limit", ids).unwrap().as_str().to_owned();
        assert_eq!(key(&["ann@example.com"]), "rate_limit:ann@example.com");
        assert_eq!(key(&["2001:db8::1", "minute"]), "rate_limit:2001:db8::1:minute");
        assert_eq!(key(&["/v1/Zoë", "a:b"]), "rate_limit:/v1/Zoë:a%3Ab");
        assert_eq!(key(&["{a}*?[b]\\%"]), "rate_limit:%7Ba%7D%2A%3F%5Bb]%5C%25");
        assert_ne!(key(&["a:b", "c"]), key(&["a", "b:c"]));
        for id in ["{a}*?[b]\\%", "2001:db8::1", "%7B", "Zoë", "100%"] {
            assert_eq!(unescape(&escape(id)).as_deref(), Some(id));
        }
        for text in ["%", "%7", "%41", "%zz", "a%é"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    #[test]
    fn a_prefix_is_taken_as_it_is_unless_it_would_split_the_slots() {
        for prefix in ["", "shop:", "{shop}:", "a{b}{c", "a{b}}", "*:"] {
            assert!(Key::new(prefix, "cart", &["1"]).unwrap().as_str().starts_with(prefix), "{prefix}");
        }
        for prefix in ["{", "}", "{}", "{}{a}", "}{", "a{b"] {
            assert!(matches!(Key::new(prefix, "cart", &["1"]), Err(KeyError::Prefix { .. })), "{prefix}");
        }
        assert_eq!(scan_pattern("s*:", "cart"), "s\\*:cart:*");
    }

    #[test]
    fn an_id_has_1_to_512_bytes() {
        assert!(Key::new("", "cart", &[&"é".repeat(256)]).is_ok());
        for id in [String::new(), "a".repeat(513)] {
            assert_eq!(Key::new("", "cart", &[&id]), Err(KeyError::IdLength { bytes: id.len() }));
        }
    }
}
