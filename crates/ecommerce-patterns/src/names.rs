//! Names that are written in a lesson, as the storefront's types.

use std::fmt::Debug;
use std::str::FromStr;

/// The name as its type. All of them are valid, which the tests hold the lessons to.
pub(crate) fn known<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| unreachable!("{text}: {error:?}"))
}
