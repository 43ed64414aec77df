//! Names of people and products: any language and emoji, nothing that hides or rearranges text.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The most characters (Unicode scalar values) a name has.
const LONGEST: usize = 100;

macro_rules! name {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                checked(text).map(|name| Self(name.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// A person's first or last name: 1 to 100 characters, white space around it removed.
    PersonName
}

name! {
    /// What a product is called: 1 to 100 characters, white space around it removed.
    ///
    /// ```
    /// use storefront::ProductName;
    ///
    /// assert_eq!("  Café ☕ 日本 ".parse::<ProductName>()?.as_str(), "Café ☕ 日本");
    /// let error = "abc\u{202e}gpj.exe".parse::<ProductName>().unwrap_err();
    /// assert_eq!(error.to_string(), "a name cannot hold U+202E, which turns text around (character 4)");
    /// # Ok::<(), storefront::NameError>(())
    /// ```
    ProductName
}

/// Why a text is no name. None of these repeats the text itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing one could see.
    #[error("a name cannot be empty")]
    Empty,
    /// More than 100 characters.
    #[error("a name has at most {LONGEST} characters; this one has {bytes} bytes")]
    TooLong {
        /// The length of the text in bytes.
        bytes: usize,
    },
    /// A character that would garble a terminal, a log line or a page.
    #[error("a name cannot hold U+{:04X}, {why} (character {position})", u32::from(*.character))]
    Forbidden {
        /// The first such character.
        character: char,
        /// Where it is, counted from 1 in characters.
        position: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

fn checked(text: &str) -> Result<&str, NameError> {
    // Looked at before anything is trimmed: a CR LF at the end is a mistake to report, not white space.
    for (index, character) in text.chars().enumerate().take(4 * LONGEST) {
        if let Some(why) = forbidden(character) {
            return Err(NameError::Forbidden { character, position: index + 1, why });
        }
    }
    let name = text.trim();
    if name.chars().nth(LONGEST).is_some() || text.chars().nth(4 * LONGEST).is_some() {
        return Err(NameError::TooLong { bytes: text.len() });
    }
    if name.chars().all(joins) {
        return Err(NameError::Empty);
    }
    Ok(name)
}

fn forbidden(character: char) -> Option<&'static str> {
    match character {
        '\0' => Some("the NUL character"),
        '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some("which ends a line"),
        _ if character.is_control() => Some("a control character"),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("which turns text around")
        }
        '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => Some("which cannot be seen"),
        _ => None,
    }
}

/// What Persian words and emoji families are joined by: welcome inside a name, no name on its own.
fn joins(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}') || character.is_whitespace()
}
