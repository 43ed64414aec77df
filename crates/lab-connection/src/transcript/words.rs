//! A command line, split into words as `redis-cli` does it (`sdssplitargs` in its source).

/// The words of a line; `None` when a quote stays open, or is closed in the middle of a word.
///
/// - In double quotes `\n \r \t \b \a`, `\xHH` and `\` before any other character mean what they mean in C.
/// - In single quotes only `\'` means something else than itself.
pub fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    split_or_why(line).ok()
}

/// Whether a quote of the line stays open, so that the next line continues its word.
#[must_use]
pub fn quote_stays_open(line: &str) -> bool {
    matches!(split_or_why(line), Err(BadQuote::StaysOpen))
}

/// Why a line has no words.
enum BadQuote {
    StaysOpen,
    ClosesInAWord,
}

fn split_or_why(line: &str) -> Result<Vec<Vec<u8>>, BadQuote> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes().trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        while let [byte, tail @ ..] = rest
            && !byte.is_ascii_whitespace()
        {
            if matches!(byte, b'"' | b'\'') {
                // Quotes may open in the middle of a word, but a word ends where they close.
                rest = take_quoted(*byte, tail, &mut word)?;
                break;
            }
            word.push(*byte);
            rest = tail;
        }
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    Ok(words)
}

/// Appends what stands before the closing quote to `word`, and returns what stands behind it.
fn take_quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], BadQuote> {
    let in_double_quotes = quote == b'"';
    loop {
        let (byte, tail) = match rest {
            [byte, tail @ ..] if *byte == quote => {
                return match tail.first() {
                    Some(byte) if !byte.is_ascii_whitespace() => Err(BadQuote::ClosesInAWord),
                    _ => Ok(tail),
                };
            }
            [b'\\', b'x', high, low, tail @ ..]
                if in_double_quotes && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(*high) * 16 + hex(*low), tail)
            }
            [b'\\', escaped, tail @ ..] if in_double_quotes => {
                let byte = match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                };
                (byte, tail)
            }
            [b'\\', b'\'', tail @ ..] => (b'\'', tail),
            [byte, tail @ ..] => (*byte, tail),
            [] => return Err(BadQuote::StaysOpen),
        };
        word.push(byte);
        rest = tail;
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}
