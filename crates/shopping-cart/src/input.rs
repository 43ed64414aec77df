//! Checks what people type: numbers, sessions, SKUs, names, and quantities. The patterns take any text as an ID. This program is
//! stricter, so that a typing error is found at once.

use std::fmt;
use std::str::FromStr;

use patterns::cart::{MAX_UNITS, Owner};
use serde::{Serialize, Serializer};

/// The most characters of a SKU or a session.
const LONGEST_ID: usize = 64;
/// The most characters (Unicode scalar values) of a name.
const LONGEST_NAME: usize = 100;
/// The highest number of a user, 2^53 - 1: the integers that JSON keeps exact.
const LAST_USER: u64 = (1 << 53) - 1;

/// Why an entry is not valid. It quotes the entry escaped and cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidInput(String);

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidInput {}

/// Quotes an entry. `escape_debug` escapes every control and formatting character, so the entry can neither move a terminal's
/// cursor nor reverse the direction of a line.
fn quoted(text: &str) -> String {
    const MOST: usize = 40;
    let cut = text.char_indices().nth(MOST).map_or(text, |(at, _)| &text[..at]);
    let bytes = if cut.len() < text.len() { format!("… ({} bytes)", text.len()) } else { String::new() };
    format!("\"{}\"{bytes}", cut.escape_debug())
}

macro_rules! checked_text {
    ($(#[$attribute:meta])* $name:ident, $check:expr) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidInput;

            fn from_str(text: &str) -> Result<Self, InvalidInput> {
                let check: fn(&str) -> Result<&str, InvalidInput> = $check;
                check(text).map(|text| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

checked_text! {
    /// A guest's session: 1 to 64 of `A-Z a-z 0-9 _ -`, but not only digits, which are a user.
    #[derive(Serialize)]
    SessionId, |text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits && consists_of(text, b"_-") {
            return Ok(text);
        }
        Err(InvalidInput(format!(
            "{} is not a session: it must be 1 to 64 letters, digits, _ or -, and not only digits",
            quoted(text)
        )))
    }
}

checked_text! {
    /// A stock keeping unit: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    Sku, |text| if consists_of(text, b"._-") {
        Ok(text)
    } else {
        Err(InvalidInput(format!("{} is not a SKU: it must be 1 to 64 letters, digits, dots, _ or -", quoted(text))))
    }
}

checked_text! {
    /// A first, last, or product name: 1 to 100 characters of any language, without white space at either end, and without
    /// characters that hide or reorder text.
    Name, |text| {
        // Before it is trimmed, because a CR LF at the end is a mistake to report, not white space.
        for (index, character) in text.chars().enumerate().take(4 * LONGEST_NAME) {
            if let Some(why) = forbidden(character) {
                let code = u32::from(character);
                return Err(InvalidInput(format!("a name cannot hold U+{code:04X}, {why} (character {})", index + 1)));
            }
        }
        let name = text.trim();
        if name.chars().nth(LONGEST_NAME).is_some() || text.chars().nth(4 * LONGEST_NAME).is_some() {
            let bytes = text.len();
            return Err(InvalidInput(format!("a name has at most {LONGEST_NAME} characters; this one has {bytes} bytes")));
        }
        if name.chars().all(joins) {
            return Err(InvalidInput("a name cannot be empty".to_owned()));
        }
        Ok(name)
    }
}

checked_text! {
    /// The number of a user, 1 to 2^53 - 1, without a sign or leading zeros, so that each user has one spelling and one key.
    UserId, |text| {
        let number = text.parse().ok().filter(|number: &u64| number.to_string() == text);
        if number.is_some_and(|number| (1..=LAST_USER).contains(&number)) {
            return Ok(text);
        }
        let text = quoted(text);
        Err(InvalidInput(format!("{text} is not a user id: it must be a whole number from 1 to {LAST_USER}")))
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        user_id(&self.0).serialize(serializer)
    }
}

/// In JSON, a number is a number. Other programs may give users other IDs.
#[must_use]
pub fn user_id(id: &str) -> serde_json::Value {
    id.parse().ok().filter(|number: &u64| number.to_string() == id).map_or_else(|| id.into(), Into::into)
}

/// Whose cart it is: digits are a user, anything else is a guest's session.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CartOwner {
    /// A customer with an account.
    User(UserId),
    /// A visitor who has not logged in.
    Guest(SessionId),
}

impl<'a> From<&'a CartOwner> for Owner<'a> {
    fn from(owner: &'a CartOwner) -> Self {
        match owner {
            CartOwner::User(id) => Self::User(id.as_str()),
            CartOwner::Guest(session) => Self::Guest(session.as_str()),
        }
    }
}

impl FromStr for CartOwner {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self::User)
        } else {
            text.parse().map(Self::Guest)
        }
    }
}

/// How many units to add or remove: 1 to 99.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Quantity(u32);

impl Quantity {
    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Quantity {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        // `u32::from_str` would take "+3".
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let units = text.parse().ok().filter(|units| digits && (1..=MAX_UNITS).contains(units));
        units.map(Self).ok_or_else(|| {
            let text = quoted(text);
            InvalidInput(format!("{text} is not a quantity: it must be a whole number from 1 to {MAX_UNITS}"))
        })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn consists_of(text: &str, punctuation: &[u8]) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(&byte))
}

fn forbidden(character: char) -> Option<&'static str> {
    match character {
        '\0' => Some("the NUL character"),
        '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some("which ends a line"),
        _ if character.is_control() => Some("a control character"),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("which reverses text")
        }
        '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => Some("which is invisible"),
        _ => None,
    }
}

/// Joins Persian words and emoji families: fine inside a name, but not a name on its own.
fn joins(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}') || character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of<T: FromStr<Err = InvalidInput>>(text: &str) -> Option<String> {
        text.parse::<T>().err().map(|error| error.to_string())
    }

    #[test]
    fn names_of_every_language_are_valid() {
        for name in
            ["Parker", "Zoë", "李小龍", "محمد", "شب‌نم", "👨‍👩‍👧‍👦 mug", "O'Neil-Smith", "100% \"cotton\" {M}"]
        {
            assert_eq!(error_of::<Name>(name), None);
        }
        assert_eq!("\u{3000} mug ".parse::<Name>().unwrap().as_str(), "mug");
        assert_eq!(error_of::<Name>(&"é".repeat(100)), None);
    }

    #[test]
    fn names_that_hide_or_reorder_text_are_refused_with_the_position() {
        for (name, says) in [
            ("a\0b", "U+0000, the NUL character (character 2)"),
            ("ab\r\n", "U+000D, which ends a line (character 3)"),
            ("\x1b[2J", "U+001B, a control character (character 1)"),
            ("abc\u{202e}gpj", "U+202E, which reverses text (character 4)"),
            ("a\u{200b}b", "U+200B, which is invisible (character 2)"),
            ("\u{feff}a", "U+FEFF, which is invisible (character 1)"),
            ("", "cannot be empty"),
            ("\u{200d}", "cannot be empty"),
            ("\u{3000}", "cannot be empty"),
            (&"x".repeat(1 << 20), "this one has 1048576 bytes"),
            (&" ".repeat(1 << 20), "this one has 1048576 bytes"),
        ] {
            let refused = error_of::<Name>(name).unwrap();
            assert!(refused.contains(says) && refused.len() < 100, "{refused}");
        }
    }

    #[test]
    fn ids_that_look_like_something_else_are_refused_harmlessly() {
        let long = "1".repeat(1 << 20);
        for id in ["", ":", "a:b", "{a}", "*", "a b", "a\nb", "a\0", "é", "\u{202e}", &long] {
            let refused = [
                error_of::<UserId>(id),
                error_of::<SessionId>(id),
                error_of::<CartOwner>(id),
                error_of::<Quantity>(id),
            ];
            for refused in refused.into_iter().chain([error_of::<Sku>(id)]) {
                let refused = refused.unwrap();
                assert!(refused.len() < 200 && !refused.contains(char::is_control), "{refused}");
                assert!(!refused.contains('\u{202e}'), "{refused}");
            }
        }
        assert!(matches!("1".parse(), Ok(CartOwner::User(_))));
        assert!(matches!("1a".parse(), Ok(CartOwner::Guest(_))));
        for refused in ["0", "01", "9007199254740992"] {
            assert!(error_of::<CartOwner>(refused).is_some(), "{refused} must not become a guest");
        }
        assert_eq!(user_id("9007199254740991"), 9_007_199_254_740_991_u64);
        assert_eq!(user_id("007"), "007");
    }
}
