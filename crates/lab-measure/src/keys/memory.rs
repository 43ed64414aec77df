//! Key names of `memory`. They are its own, so that weighing never meets the users of other commands; and without
//! hash tags, so that a cluster spreads them.

use super::Keys;

impl Keys {
    /// Hash or String: one user in one encoding. A name counts in every record, so it is as short as the documented
    /// `user:1`: encodings of single users have names of four letters.
    #[must_use]
    pub fn memory_user(&self, encoding: &str, number: u64) -> String {
        self.named(&format!("{encoding}:{number}"))
    }

    /// Hash or String: a bucket of users in one encoding.
    #[must_use]
    pub fn memory_bucket(&self, encoding: &str, bucket: u64) -> String {
        self.named(&format!("memory:{encoding}:{bucket}"))
    }

    /// Hash or List: one column of a bucket of users.
    #[must_use]
    pub fn memory_column(&self, encoding: &str, bucket: u64, column: &str) -> String {
        self.named(&format!("memory:{encoding}:{bucket}:{column}"))
    }

    /// String: the dictionary without which compressed users cannot be read.
    #[must_use]
    pub fn memory_dictionary(&self, encoding: &str) -> String {
        self.named(&format!("memory:{encoding}:dictionary"))
    }

    /// The names of the indexes that are weighed.
    #[must_use]
    pub fn memory_indexes(&self) -> Self {
        Self { prefix: self.named("memory:") }
    }

    /// Hash: how many users the last run wrote and how large its buckets were, so that the next one can remove exactly
    /// those.
    #[must_use]
    pub fn memory_written(&self) -> String {
        self.named("memory:written")
    }
}
