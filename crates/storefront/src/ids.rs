//! Identifiers that become part of key names.
//!
//! `:` `{` `}` `*` `?` `[` and control characters would change the namespace, the slot or what a SCAN matches, so none of
//! these types can hold one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shown::Shown;

/// The most characters a [`Sku`] or a [`SessionId`] has.
const LONGEST: usize = 64;

/// The number of a user: 1 to 2^53 - 1, the integers that a sorted-set score, Lua and JSON keep exact.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u64")]
pub struct UserId(u64);

impl UserId {
    /// The highest number, 2^53 - 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// This number; an error outside 1 to 2^53 - 1.
    pub fn new(id: u64) -> Result<Self, IdError> {
        if (1..=Self::MAX.0).contains(&id) {
            Ok(Self(id))
        } else {
            Err(IdError::User { text: Shown(&id.to_string()).to_string() })
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for UserId {
    type Error = IdError;

    fn try_from(id: u64) -> Result<Self, IdError> {
        Self::new(id)
    }
}

/// Decimal digits without sign or leading zero, so that each user has one spelling and one key.
impl FromStr for UserId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refused = || IdError::User { text: Shown(text).to_string() };
        if !text.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with('0') {
            return Err(refused());
        }
        text.parse().ok().and_then(|id| Self::new(id).ok()).ok_or_else(refused)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The session that names a guest's cart: 1 to 64 of `A-Z a-z 0-9 _ -`, and not digits alone, so that no guest can name
/// the cart of a user.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct SessionId(String);

impl SessionId {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if only_digits || !consists_of(text, b"_-") {
            return Err(IdError::Session { text: Shown(text).to_string() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whose cart it is. Written as the user's number or the guest's session: `1`, `abc123`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CartOwner {
    /// Someone with an account.
    User(UserId),
    /// Someone who has not logged in.
    Guest(SessionId),
}

/// Digits are a user, everything else a session.
impl FromStr for CartOwner {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self::User)
        } else {
            text.parse().map(Self::Guest)
        }
    }
}

impl fmt::Display for CartOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Guest(session) => session.fmt(f),
        }
    }
}

impl From<UserId> for CartOwner {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

impl From<SessionId> for CartOwner {
    fn from(session: SessionId) -> Self {
        Self::Guest(session)
    }
}

/// A stock keeping unit, the code a shop knows a product by: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct Sku(String);

impl Sku {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sku {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if consists_of(text, b"._-") {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Sku { text: Shown(text).to_string() })
        }
    }
}

impl TryFrom<String> for Sku {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! identifier {
    ($(#[$documentation:meta])* $name:ident, $what:literal, $punctuation:literal, $signs:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if consists_of(text, $signs) {
                    Ok(Self(text.to_owned()))
                } else {
                    let text = Shown(text).to_string();
                    Err(IdError::Other { text, what: $what, punctuation: $punctuation })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

identifier! {
    /// Who looks, buys and is told: a customer as the key names spell one, `user123` or `user_12345`. 1 to 64 of
    /// `A-Z a-z 0-9 _ -`.
    CustomerId, "a customer", "_ or -", b"_-"
}

impl From<UserId> for CustomerId {
    /// The customer behind an account: user 123 is `user123`.
    fn from(id: UserId) -> Self {
        Self(format!("user{id}"))
    }
}

identifier! {
    /// One hold on stock, named by whoever asks for it, so that asking again is no second hold. 1 to 64 of
    /// `A-Z a-z 0-9 . _ -`.
    ReservationId, "a reservation", "dots, _ or -", b"._-"
}

identifier! {
    /// One order, named by the customer's client before it is placed, so that placing it again is no second order. 1 to 64
    /// of `A-Z a-z 0-9 . _ -`.
    OrderId, "an order", "dots, _ or -", b"._-"
}

identifier! {
    /// One thing that happened, named where it happened, so that hearing of it twice counts once. 1 to 64 of
    /// `A-Z a-z 0-9 . _ -`.
    EventId, "an event", "dots, _ or -", b"._-"
}

identifier! {
    /// Who calls an API: the name of a key, never the secret itself. 1 to 64 of `A-Z a-z 0-9 . _ -`.
    ApiKey, "an API key's name", "dots, _ or -", b"._-"
}

identifier! {
    /// A brand, a category, an interest, a city: what things are grouped by. 1 to 64 of `A-Z a-z 0-9 & ' . _ -` and space.
    Label, "a label", "spaces, &, ', dots, _ or -", b" &'._-"
}

/// Why a text is no identifier. The text it quotes is escaped and cut.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not a [`UserId`].
    #[error("{text} is not a user id: it must be a whole number from 1 to {}", UserId::MAX)]
    User {
        /// What was given.
        text: String,
    },
    /// Not a [`SessionId`].
    #[error("{text} is not a session: it must be 1 to 64 letters, digits, _ or -, and not digits alone")]
    Session {
        /// What was given.
        text: String,
    },
    /// Not a [`Sku`].
    #[error("{text} is not a SKU: it must be 1 to 64 letters, digits, dots, _ or -")]
    Sku {
        /// What was given.
        text: String,
    },
    /// Not one of the others.
    #[error("{text} is not {what}: it must be 1 to 64 letters, digits, {punctuation}")]
    Other {
        /// What was given.
        text: String,
        /// What it should have been.
        what: &'static str,
        /// What is allowed beside letters and digits, as the end of a sentence.
        punctuation: &'static str,
    },
}

fn consists_of(text: &str, punctuation: &[u8]) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(&byte))
}
