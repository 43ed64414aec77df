//! What names and prefixes become before they are compared.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// How many characters of a name, and of a prefix, are compared. What comes after them is not looked at, in either.
pub(super) const LONGEST: usize = 100;
/// How many characters of a text are read at all.
const MOST_READ: usize = 4 * LONGEST;
/// From how many of its words a name can be found: the first ones.
const MOST_WORDS: usize = 8;

/// A text without what people do not type alike: case, accents, compatibility forms (`ﬁ`, full-width letters), white space
/// around and between words. At most 100 characters.
///
/// Decomposed (NFKD) so that an accent is a character of its own, which is left out. That holds for the accents of Latin,
/// Greek and Cyrillic letters; the vowel signs of Hindi or the voicing marks of Japanese make another word, and stay.
///
/// ```
/// use storefront::autocomplete::normalised;
///
/// assert_eq!(normalised("  CAFÉ   Noir "), "cafe noir");
/// assert_eq!(normalised("STRASSE"), normalised("Straße"));
/// assert_eq!(normalised("☕ 日本"), "☕ 日本");
/// ```
#[must_use]
pub fn normalised(text: &str) -> String {
    let folded = DecomposingNormalizerBorrowed::new_nfkd()
        .normalize_iter(text.chars().take(MOST_READ))
        // Upper case makes one of ß and ss, of ς and σ, of ı and i. It leaves ẞ alone, so that one becomes ß first.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase);
    let mut normal = String::new();
    let mut length = 0;
    let mut gap = false;
    // What has a case may be composed again.
    for character in DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(folded) {
        if character.is_whitespace() || character.is_control() {
            gap = length > 0;
        } else if !is_left_out(character) {
            let needed = 1 + usize::from(gap);
            if length + needed > LONGEST {
                break;
            }
            if std::mem::take(&mut gap) {
                normal.push(' ');
            }
            normal.push(character);
            length += needed;
        }
    }
    normal
}

/// What a product of this name is found by: its normalised name from each of its first eight words on. A word begins
/// after white space, and after ASCII punctuation other than `'`.
///
/// ```
/// use storefront::autocomplete::terms;
///
/// assert_eq!(terms("Chef's Coffee-Maker"), ["chef's coffee-maker", "coffee-maker", "maker"]);
/// ```
#[must_use]
pub fn terms(name: &str) -> Vec<String> {
    let normal = normalised(name);
    let mut terms: Vec<String> = Vec::new();
    let mut before = ' ';
    for (at, character) in normal.char_indices() {
        let opens = before == ' ' || (is_punctuation(before) && !is_punctuation(character));
        if opens && character != ' ' && terms.len() < MOST_WORDS {
            terms.push(normal[at..].to_owned());
        }
        before = character;
    }
    terms
}

fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation() && character != '\''
}

/// Accents, and what chooses or joins the shapes of letters and emoji.
fn is_left_out(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36f}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{fe00}'..='\u{fe0f}'
    )
}
