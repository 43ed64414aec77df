//! A command line, split into words as `redis-cli` does it (`sdssplitargs` in its source).

/// The words of a line; `None` when a quote stays open, or is closed in the middle of a word.
///
/// - In double quotes `\n \r \t \b \a`, `\xHH` and `\` before any other character mean what they mean in C.
/// - In single quotes only `\'` means something else than itself.
#[must_use]
pub fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut rest = line.as_bytes();
    let mut words = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        words.push(take_word(&mut rest)?);
    }
}

/// Quotes may open in the middle of a word, but a word ends where they close.
fn take_word(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut word = Vec::new();
    while let [byte, tail @ ..] = *rest {
        if byte.is_ascii_whitespace() {
            break;
        }
        *rest = tail;
        match byte {
            b'"' => {
                take_quoted(rest, &mut word, double_quoted)?;
                return Some(word);
            }
            b'\'' => {
                take_quoted(rest, &mut word, single_quoted)?;
                return Some(word);
            }
            byte => word.push(*byte),
        }
    }
    Some(word)
}

/// What the beginning of a quoted text stands for: a byte and how much of the text it takes, or the end.
type Read = fn(&[u8]) -> Option<(Option<u8>, usize)>;

fn take_quoted(rest: &mut &[u8], word: &mut Vec<u8>, read: Read) -> Option<()> {
    loop {
        let (byte, length) = read(rest)?;
        *rest = &rest[length..];
        match byte {
            Some(byte) => word.push(byte),
            None => return rest.first().is_none_or(u8::is_ascii_whitespace).then_some(()),
        }
    }
}

fn double_quoted(text: &[u8]) -> Option<(Option<u8>, usize)> {
    match text {
        [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Some((Some(hex(*high) * 16 + hex(*low)), 4))
        }
        [b'\\', escaped, ..] => {
            let byte = match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'a' => 0x07,
                other => *other,
            };
            Some((Some(byte), 2))
        }
        [b'"', ..] => Some((None, 1)),
        [byte, ..] => Some((Some(*byte), 1)),
        [] => None,
    }
}

fn single_quoted(text: &[u8]) -> Option<(Option<u8>, usize)> {
    match text {
        [b'\\', b'\'', ..] => Some((Some(b'\''), 2)),
        [b'\'', ..] => Some((None, 1)),
        [byte, ..] => Some((Some(*byte), 1)),
        [] => None,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
        split(line).map(|words| words.into_iter().map(text).collect())
    }

    #[test]
    fn quotes_and_escapes_mean_what_they_mean_in_redis_cli() {
        for (line, expected) in [
            ("SET  greeting\thello ", vec!["SET", "greeting", "hello"]),
            (r#"SET k "two words""#, vec!["SET", "k", "two words"]),
            (r#"SET k "a\n\t\x41\"\\""#, vec!["SET", "k", "a\n\tA\"\\"]),
            (r"SET k 'it\'s \n'", vec!["SET", "k", r"it's \n"]),
            (r#"SET k """#, vec!["SET", "k", ""]),
            (r#"no-run="two words" x"#, vec!["no-run=two words", "x"]),
            (r#"SET k {"a":1}"#, vec![]),
            ("", vec![]),
        ] {
            // A JSON document without quotes around it is a mistake in redis-cli, too.
            let expected = if line.contains('{') { None } else { Some(expected) };
            assert_eq!(
                words(line),
                expected.map(|words| words.into_iter().map(str::to_owned).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in ["SET k \"open", "SET k 'open", "SET k \"a\"b", "SET k 'a'b", "SET k \"a\\"] {
            assert_eq!(split(line), None, "{line}");
        }
    }
}
