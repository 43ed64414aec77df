//! The only place where the key names of this crate are spelled, lesson by lesson.

mod hashes;
mod lists;
mod sets;
mod sorted_sets;
mod transactions;
mod uniques;

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

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}
