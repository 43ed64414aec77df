//! Quoting by the rules of `redis-cli`: what it reads with `sdssplitargs`, and prints with `sdscatrepr`.

use std::fmt::Write;

use super::SHOWN_CHARS;
use super::printable::{Piece, pieces, push_hex};

/// No character takes more bytes than four, so the first `chars` characters are in this many bytes.
const fn looked_at(chars: usize) -> usize {
    chars.saturating_add(1).saturating_mul(4)
}

/// An argument as one types it: a bare word where that is safe, else in double quotes.
pub fn argument(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(looked_at(SHOWN_CHARS))];
    if head.is_empty() || !head.iter().all(|&byte| is_bare(byte)) {
        return string(bytes, SHOWN_CHARS);
    }
    let shown = head.len().min(SHOWN_CHARS);
    // Only ASCII got here.
    let mut out: String = head[..shown].iter().copied().map(char::from).collect();
    note_cut(&mut out, shown, bytes.len());
    out
}

/// A string as replies show it: always in double quotes, and no more of it than `chars` characters.
pub fn string(bytes: &[u8], chars: usize) -> String {
    let mut out = String::from("\"");
    let consumed = push_shown(&mut out, bytes, chars, escaped);
    out.push('"');
    note_cut(&mut out, consumed, bytes.len());
    out
}

/// A text without quotes, as replies show a status or an error, no more of it than `chars` characters. Line breaks stay
/// when `multi_line`.
pub fn text(bytes: &[u8], multi_line: bool, chars: usize) -> String {
    let mut out = String::new();
    let consumed = push_shown(&mut out, bytes, chars, |piece, out| match piece {
        Piece::Visible(c) => out.push(c),
        Piece::Byte(b'\n') if multi_line => out.push('\n'),
        // The other half of a line's end in INFO.
        Piece::Byte(b'\r') if multi_line => {}
        Piece::Byte(byte) => push_hex(out, byte),
    });
    note_cut(&mut out, consumed, bytes.len());
    out
}

/// Anything else could end the word, open a quote, or (outside ASCII) count as a space in some locale.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\')
}

fn escaped(piece: Piece, out: &mut String) {
    match piece {
        Piece::Visible('"') => out.push_str("\\\""),
        Piece::Visible('\\') => out.push_str("\\\\"),
        Piece::Visible(c) => out.push(c),
        Piece::Byte(b'\n') => out.push_str("\\n"),
        Piece::Byte(b'\r') => out.push_str("\\r"),
        Piece::Byte(b'\t') => out.push_str("\\t"),
        Piece::Byte(0x07) => out.push_str("\\a"),
        Piece::Byte(0x08) => out.push_str("\\b"),
        Piece::Byte(byte) => push_hex(out, byte),
    }
}

/// Appends pieces while they fit into `chars` characters and returns how many bytes they stand for.
fn push_shown(out: &mut String, bytes: &[u8], chars: usize, push: impl Fn(Piece, &mut String)) -> usize {
    let (mut consumed, mut shown) = (0, 0);
    for piece in pieces(&bytes[..bytes.len().min(looked_at(chars))]) {
        let before = out.len();
        push(piece, out);
        shown += out[before..].chars().count();
        if shown > chars {
            out.truncate(before);
            break;
        }
        consumed += match piece {
            Piece::Visible(c) => c.len_utf8(),
            Piece::Byte(_) => 1,
        };
    }
    consumed
}

/// Outside the quotes, so that it cannot be taken for data.
fn note_cut(out: &mut String, shown: usize, length: usize) {
    if shown < length {
        let _ = write!(out, "… ({length} bytes)");
    }
}
