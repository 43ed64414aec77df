//! Autocomplete: suggests products while a customer types.
//!
//! A product is found by the beginning of any of its words. Case, accents, and punctuation don't matter: `cafe`, `CAFÉ` and
//! `“Café”` are the same ([`normalized`]). The most popular products come first.
//!
//! `KEYS co*` or SCAN goes through all keys for each letter typed. A list of the best products for each prefix is fast to read.
//! But when its products leave, it must be filled again, and for a short prefix that means reading the whole catalog. And an
//! index that only adds suggests products that are gone. Here one Sorted Set, ordered by its bytes, holds a member for each
//! prefix of each word, with the rank inside the member. So the best products for a prefix are side by side, nothing is ever
//! refilled, and the record of each product says which members to remove.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `autocomplete:{autocomplete}:index` | Sorted Set, all scores 0 | a member for each prefix and each term of each product,
//! and its record |
//!
//! - **Promise**: each suggestion is a product in the index, with its current name. For prefixes of up to 8 characters (see
//!   [`Autocomplete::with_listed_characters`]), the suggestions are the most popular of all products. For a longer prefix, it
//!   reads [`MAX_HITS`] terms in alphabetical order, so with more hits than that, it may miss a popular product.
//! - **Cost**: one round trip for each call. A change writes at most 74 members and removes as many, each O(log members),
//!   however large the catalog is. A suggestion is one ZRANGE of what is shown. A longer prefix is a script over at most 1,000
//!   terms.
//! - **Memory**: for a name of three words, about 25 members and 3 kB. With [`Autocomplete::with_listed_characters`] 0, it is a
//!   fifth. Nothing expires.
//! - **Faults**: a change that is sent twice has no further effect. If the key is evicted (use `noeviction`), or if a failover
//!   loses the last changes, the index is as it was before them: put those products again. Nothing else goes wrong, because
//!   everything about a product is in this one key. Removing works when memory is full. Redis Cluster moves a key in one piece,
//!   which takes long for a large catalog, so make an index for each category or language, each with its own prefix. It stores
//!   no times.
//!
//! ```
//! use patterns::autocomplete::Autocomplete;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let autocomplete = Autocomplete::new(connection, "");
//!
//! autocomplete.put("mug1", "Café mug", 40).await?;
//! autocomplete.put("mug2", "Mug for campers", 70).await?;
//! let found = autocomplete.suggest("MU", 10).await?;
//! assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Mug for campers", "Café mug"]);
//! assert_eq!(autocomplete.suggest("cafe", 10).await?[0].id, "mug1");
//!
//! autocomplete.remove("mug1").await?;
//! assert_eq!(autocomplete.suggest("cafe", 10).await?, []);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use icu_normalizer::DecomposingNormalizerBorrowed;
use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, quote, send};

/// The most suggestions that one call returns.
pub const MAX_SUGGESTIONS: usize = 20;

/// How many terms a script reads for a prefix that is not listed. This bounds its time.
pub const MAX_HITS: usize = 1_000;

/// The longest prefix, in characters, that can be configured to be listed.
pub const MAX_LISTED_CHARACTERS: usize = 8;

/// How many characters of a name and of a prefix are compared. The rest is ignored.
const MAX_CHARACTERS: usize = 100;
/// How many characters of a text are read at all. Every name fits.
const MAX_READ: usize = 512;
/// A name is found by its first words.
const MAX_WORDS: usize = 8;

const FILE: &str = include_str!("autocomplete.lua");

/// Replaces all members of a product with those of a new record.
pub static PUT: Script = Script::new("autocomplete.lua: put", FILE, &["members", "put"]);
/// Removes all members of a product.
pub static REMOVE: Script = Script::new("autocomplete.lua: remove", FILE, &["members", "remove"]);
/// Finds the most popular products with a term that begins with a prefix.
pub static SUGGEST: Script = Script::new("autocomplete.lua: suggest", FILE, &["suggest"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&PUT, &REMOVE, &SUGGEST])
}

/// A product that completes what was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suggestion {
    /// Its ID.
    pub id: String,
    /// Its name as it was put.
    pub name: String,
    /// The popularity it was put with.
    pub popularity: u64,
}

/// The products under a prefix, by what people type.
#[derive(Clone, Debug)]
pub struct Autocomplete<C> {
    connection: C,
    prefix: String,
    listed: usize,
}

impl<C: ConnectionLike + Clone> Autocomplete<C> {
    /// An index that lists prefixes of up to 8 characters.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), listed: MAX_LISTED_CHARACTERS }
    }

    /// The longest prefixes that have members of their own: 0 to [`MAX_LISTED_CHARACTERS`]; a larger number becomes that. A
    /// smaller number needs less memory, but then longer prefixes read all their terms, at most [`MAX_HITS`]. To change it, put
    /// every product again.
    #[must_use]
    pub fn with_listed_characters(self, characters: usize) -> Self {
        Self { listed: characters.min(MAX_LISTED_CHARACTERS), ..self }
    }

    /// Adds a product to the index, or changes its name and popularity. `true` if it is new. ID and name have 1 to 512 bytes.
    /// One round trip.
    pub async fn put(&self, id: &str, name: &str, popularity: u64) -> Result<bool, StoreError> {
        check_id(id)?;
        check_id(name)?;
        let begins = record_of(id);
        let mut record =
            format!("{begins}{}\n{:016x} {}", self.listed, u64::MAX - popularity, escape_line_breaks(name));
        for term in terms(name) {
            record.push('\n');
            record.push_str(&term);
        }
        let reply: Reply = PUT.call(&[self.key()?]).arg(begins).arg(record).run(&self.connection).await?;
        reply.either("ADDED", "CHANGED")
    }

    /// Removes a product from the index; `false` if it is not in the index. One round trip.
    pub async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        check_id(id)?;
        let reply: Reply = REMOVE.call(&[self.key()?]).arg(record_of(id)).run(&self.connection).await?;
        reply.either("REMOVED", "UNKNOWN")
    }

    /// The most popular products with a word that begins with this text, at most `count` and at most [`MAX_SUGGESTIONS`].
    /// Products of equal popularity are in the order of their names, then of their IDs, by bytes. An empty prefix, before the
    /// first letter is typed, finds the most popular products of all. One round trip.
    pub async fn suggest(&self, prefix: &str, count: usize) -> Result<Vec<Suggestion>, StoreError> {
        let count = count.min(MAX_SUGGESTIONS);
        let key = self.key()?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let prefix = normalized(prefix);
        let lines: Vec<Vec<u8>> = if prefix.chars().nth(self.listed).is_none() {
            let mut range = redis::cmd("ZRANGE");
            // A vertical tab is the next byte after a line break.
            range.arg(&key).arg(format!("[{prefix}\n")).arg(format!("({prefix}\x0b"));
            send(&self.connection, range.arg("BYLEX").arg("LIMIT").arg(0).arg(count)).await?
        } else {
            SUGGEST.call(&[&key]).arg(prefix).arg(count).arg(MAX_HITS).run(&self.connection).await?
        };
        let read = |line: &Vec<u8>| {
            let line = String::from_utf8_lossy(line);
            suggestion(&line).ok_or_else(|| StoreError::Malformed(quote(&format!("{key} {line}"))))
        };
        lines.iter().map(read).collect()
    }

    /// The key of the index.
    pub fn key(&self) -> Result<String, StoreError> {
        Ok(Key::new(&self.prefix, "autocomplete", &[])?.companion("index"))
    }
}

/// How the record of a product begins.
fn record_of(id: &str) -> String {
    format!("ID:{}\n", escape_line_breaks(id))
}

/// Reads `ffffffffffffffd7 Café mug\nmug1`, after the prefix if there is one.
fn suggestion(line: &str) -> Option<Suggestion> {
    let (product, id) = line.rsplit_once('\n')?;
    let (rank, name) = product.rsplit('\n').next()?.split_once(' ')?;
    let popularity = u64::MAX - u64::from_str_radix(rank, 16).ok()?;
    Some(Suggestion { id: from_a_line(id), name: from_a_line(name), popularity })
}

fn escape_line_breaks(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn from_a_line(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' if characters.next() == Some('n') => '\n',
            other => other,
        });
    }
    text
}

/// What a product of this name is found by: its normalized name, from each of its first eight words on. So `blue mug` finds
/// `Big Blue Mug`.
///
/// ```
/// use patterns::autocomplete::terms;
///
/// assert_eq!(terms("Chef’s “Coffee”-Maker"), ["chefs coffee maker", "coffee maker", "maker"]);
/// ```
#[must_use]
pub fn terms(name: &str) -> Vec<String> {
    let text = normalized(name);
    let words = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
    words.filter(|at| *at < text.len()).take(MAX_WORDS).map(|at| text[at..].to_owned()).collect()
}

/// A text without the differences in how people type it: case, accents, ligatures, compatibility forms (`ﬁ`, full-width
/// letters), apostrophes, and invisible characters. Punctuation and white space become one space between two words. At most 100
/// characters.
///
/// It is decomposed (NFKD), so the composed and the decomposed form of a name are the same, and an accent is a separate
/// character that can be removed. Accents of Latin, Greek, and Cyrillic letters are removed, and so are the optional vowel
/// points of Arabic and Hebrew. The vowel signs of Hindi or Thai and the voicing marks of Japanese change the word, so they
/// stay.
///
/// ```
/// use patterns::autocomplete::normalized;
///
/// assert_eq!(normalized("  “CAFÉ”   Noir "), "cafe noir");
/// assert_eq!(normalized("STRASSE"), normalized("Straße"));
/// assert_eq!(normalized("Smørrebrød Æbleskiver Łódź"), "smorrebrod aebleskiver lodz");
/// assert_eq!(normalized("☕ 日本"), "☕ 日本");
/// ```
#[must_use]
pub fn normalized(text: &str) -> String {
    let nfkd = DecomposingNormalizerBorrowed::new_nfkd();
    let folded = nfkd
        .normalize_iter(text.chars().take(MAX_READ).filter(|character| !is_removed(*character)))
        // Upper case unifies ß and ss, ς and σ, and ı and i. It does not change ẞ, so that becomes ß first.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase);
    let mut normal = String::new();
    let mut length = 0;
    let mut gap = false;
    // Changing the case may compose characters again.
    for character in nfkd.normalize_iter(folded).filter(|character| !is_removed(*character)) {
        if character.is_whitespace() || character.is_control() || is_punctuation(character) {
            gap = length > 0;
            continue;
        }
        let mut letter = [0; 4];
        let letters = typed_as(character).unwrap_or_else(|| character.encode_utf8(&mut letter));
        let needed = letters.chars().count() + usize::from(gap);
        if length + needed > MAX_CHARACTERS {
            break;
        }
        if std::mem::take(&mut gap) {
            normal.push(' ');
        }
        normal.push_str(letters);
        length += needed;
    }
    normal
}

/// What people type for a letter that Unicode does not decompose.
fn typed_as(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ⱥ' => "a",
        'æ' => "ae",
        'ƀ' | 'ɓ' => "b",
        'ȼ' | 'ƈ' => "c",
        'đ' | 'ð' | 'ɖ' | 'ɗ' => "d",
        'ɇ' | 'ə' | 'ɛ' | 'ǝ' => "e",
        'ƒ' => "f",
        'ǥ' | 'ɠ' => "g",
        'ħ' => "h",
        'ɨ' | 'ı' => "i",
        'ɉ' => "j",
        'ƙ' | 'ĸ' => "k",
        'ł' | 'ƚ' | 'ⱡ' => "l",
        'ŋ' | 'ɲ' | 'ƞ' => "n",
        'ø' | 'ɵ' | 'ɔ' => "o",
        'œ' => "oe",
        'ƥ' => "p",
        'ɍ' => "r",
        'ß' => "ss",
        'ŧ' | 'ƭ' | 'ʈ' | 'ⱦ' => "t",
        'þ' => "th",
        'ʉ' => "u",
        'ʋ' => "v",
        'ɏ' | 'ƴ' => "y",
        'ƶ' | 'ȥ' => "z",
        _ => return None,
    })
}

/// What is between words.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        || matches!(character, '¡' | '§' | '«' | '¶' | '»' | '¿' | '−'
            // Armenian and Hebrew.
            | '\u{589}' | '\u{58a}' | '\u{5be}' | '\u{5c0}' | '\u{5c3}' | '\u{5c6}'
            // Arabic.
            | '\u{60c}' | '\u{60d}' | '\u{61b}' | '\u{61d}'..='\u{61f}' | '\u{66a}'..='\u{66d}' | '\u{6d4}'
            // The bars that end a sentence in Hindi.
            | '\u{964}' | '\u{965}'
            // Dashes, quotes, dots, and brackets of all languages.
            | '\u{2010}'..='\u{2017}' | '\u{201c}'..='\u{2027}' | '\u{2030}' | '\u{2031}' | '\u{2038}'..='\u{205e}'
            | '\u{2e00}'..='\u{2e5d}'
            // Chinese and Japanese.
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{3030}' | '\u{30fb}')
}

/// What makes no difference, wherever it is.
fn is_removed(character: char) -> bool {
    matches!(character,
        // Apostrophes, inch marks, and what people type for them; the Catalan dot; trademark signs.
        '\'' | '`' | '"' | '´' | '·' | '©' | '®' | '™' | '℠' | '\u{2b9}'..='\u{2bf}' | '\u{2c8}'
            | '\u{5f3}' | '\u{5f4}' | '\u{2018}'..='\u{201b}' | '\u{2032}'..='\u{2037}'
        // Accents.
            | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
        // Hebrew points, and Arabic ones with the stroke that lengthens a word.
            | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}' | '\u{fb1e}'
            | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
            | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{8ca}'..='\u{8ff}'
        // Invisible: soft hyphen, joiners, direction marks, word joiner, byte order mark, fillers, and variation selectors.
            | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{ffa0}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{e0000}'..='\u{e0fff}')
}
