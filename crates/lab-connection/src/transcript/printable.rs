//! Which characters may reach a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// A piece of some bytes: either a character that shows as itself, or a byte that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A printable character.
    Visible(char),
    /// A byte of a control, invisible or unassigned character, or of no character at all.
    Byte(u8),
}

/// `bytes` as a sequence of pieces, in order and complete.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let characters = chunk.valid().chars().flat_map(character);
        characters.chain(chunk.invalid().iter().copied().map(Piece::Byte))
    })
}

/// Text from a server or a person, made safe to print: printable Unicode stays, and each byte of any other
/// character (control, bidirectional override, zero-width, unassigned, private use) becomes `\xHH`. Line breaks
/// are escaped too, so the result is one line.
#[must_use]
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for piece in pieces(text.as_bytes()) {
        match piece {
            Piece::Visible(c) => safe.push(c),
            Piece::Byte(byte) => push_hex(&mut safe, byte),
        }
    }
    Cow::Owned(safe)
}

/// Appends a byte as `\xHH`.
pub fn push_hex(out: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

fn character(c: char) -> impl Iterator<Item = Piece> {
    let mut buffer = [0; 4];
    let visible = is_visible(c);
    let length = if visible { 1 } else { c.encode_utf8(&mut buffer).len() };
    (0..length).map(move |index| if visible { Piece::Visible(c) } else { Piece::Byte(buffer[index]) })
}

fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    !is_blank_letter(c) && is_printable(c)
}

/// The standard library keeps the tables: `escape_debug` leaves a character alone unless it is a control, format,
/// separator, surrogate, private or unassigned one. Behind another character, it leaves combining marks alone too,
/// without which many scripts cannot be read.
fn is_printable(c: char) -> bool {
    let mut buffer = [b'a'; 5];
    let end = 1 + c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..end]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// Characters that count as letters or marks but show nothing: fillers and variation selectors, good for hiding
/// text in plain sight. One selector stays: U+FE0F, with which most keyboards write an emoji.
fn is_blank_letter(c: char) -> bool {
    matches!(
        c,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0e}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_emoji_stay_readable() {
        for text in
            ["Zürich", "héllo", "e\u{301}", "東京", "नमस्ते", "🛒", "❤️", "price: 5 €", "\"quoted\" \\ back"]
        {
            assert_eq!(for_terminal(text), text);
        }
    }

    #[test]
    fn what_a_terminal_acts_on_or_hides_is_escaped() {
        assert_eq!(for_terminal("a\x1b[31mb\r\n\0\x7f"), r"a\x1b[31mb\x0d\x0a\x00\x7f");
        assert_eq!(for_terminal("\u{9b}31m"), r"\xc2\x9b31m", "C1: one character that starts a sequence");
        for hidden in
            ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200d}', '\u{feff}', '\u{ad}', '\u{fe0e}', '\u{e0041}']
        {
            assert!(for_terminal(&hidden.to_string()).starts_with("\\x"), "{hidden:?}");
        }
    }
}
