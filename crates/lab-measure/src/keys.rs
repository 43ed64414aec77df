//! The only place where the key names of this crate are spelled: here what several commands share, below what one of
//! them needs for itself.

mod biglist;
mod concurrency;
mod memory;
mod peers;
mod query;

use crate::people::push_number;

/// Builds key names, each behind the prefix of the target.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Names behind `prefix`, which may be empty.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Hash: a user.
    #[must_use]
    pub fn user(&self, number: u64) -> String {
        format!("{}user:{number}", self.prefix)
    }

    /// The same name appended to `bytes`, without an allocation.
    pub fn push_user(&self, bytes: &mut Vec<u8>, number: u64) {
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(b"user:");
        push_number(bytes, number);
    }

    /// What KEYS and SCAN look for to find every user. A prefix holds no character with a meaning in patterns.
    #[must_use]
    pub fn users_pattern(&self) -> String {
        self.named("user:*")
    }

    /// String: a user as plain text; what `--kind strings` writes.
    #[must_use]
    pub fn user_text(&self, number: u64) -> String {
        format!("{}user_text:{number}", self.prefix)
    }

    /// The same name appended to `bytes`, without an allocation.
    pub fn push_user_text(&self, bytes: &mut Vec<u8>, number: u64) {
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(b"user_text:");
        push_number(bytes, number);
    }

    /// Set: numbers of the users of a city.
    #[must_use]
    pub fn city(&self, city: &str) -> String {
        format!("{}city:{city}:users", self.prefix)
    }

    /// Set: numbers of the users of a department.
    #[must_use]
    pub fn department(&self, department: &str) -> String {
        format!("{}department:{department}:users", self.prefix)
    }

    /// Sorted Set: numbers of all users by their salary.
    #[must_use]
    pub fn users_by_salary(&self) -> String {
        format!("{}users_by_salary", self.prefix)
    }

    /// List: the numbers that Server A writes and Server B reads.
    #[must_use]
    pub fn biglist(&self) -> String {
        format!("{}biglist", self.prefix)
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Hash: how many records of a kind were written last, whichever command did, so that the next one can remove exactly
    /// those. Written before the first record.
    #[must_use]
    pub fn loaded(&self, kind: &str) -> String {
        self.named(&format!("bulk:loaded:{kind}"))
    }

    /// String: how far a load has come; on the nodes of a cluster with a hash tag behind it.
    #[must_use]
    pub fn journal(&self, kind: &str) -> String {
        self.named(&format!("bulk:journal:{kind}"))
    }

    /// Hashes: the same user, written by the server and made here, while the two are compared.
    #[must_use]
    pub fn probes(&self) -> (String, String) {
        (self.named("bulk:probe:plain"), self.named("bulk:probe:made"))
    }

    /// What the names of all texts match; other names match too.
    #[must_use]
    pub fn user_texts_pattern(&self) -> String {
        self.named("user_text:*")
    }

    /// The number in the name of a user or a text.
    #[must_use]
    pub fn number_in(&self, key: &[u8]) -> Option<u64> {
        let name = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let digits = name.strip_prefix("user:").or_else(|| name.strip_prefix("user_text:"))?;
        digits.parse().ok()
    }
}
