//! What the transcript shows can be typed into `redis-cli`, and nothing in it acts on a terminal.

use lab_connection::transcript::{command_line, for_terminal, reply_text};
use proptest::collection::vec;
use proptest::prelude::*;
use redis::Value;

/// `sdssplitargs`, by which `redis-cli` splits what one types.
fn split_as_redis_cli(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let at = |index: usize| line.get(index).copied().unwrap_or(0);
    let (mut words, mut i) = (Vec::new(), 0);
    loop {
        while is_space(at(i)) {
            i += 1;
        }
        if i >= line.len() {
            return Some(words);
        }
        let (mut word, mut in_double, mut in_single) = (Vec::new(), false, false);
        loop {
            let byte = at(i);
            if in_double {
                match byte {
                    0 => return None,
                    b'\\' if at(i + 1) == b'x' && hex(at(i + 2)).is_some() && hex(at(i + 3)).is_some() => {
                        word.push(hex(at(i + 2))? * 16 + hex(at(i + 3))?);
                        i += 3;
                    }
                    b'\\' if at(i + 1) != 0 => {
                        i += 1;
                        word.push(match at(i) {
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b't' => b'\t',
                            b'b' => 0x08,
                            b'a' => 0x07,
                            other => other,
                        });
                    }
                    b'"' => {
                        if at(i + 1) != 0 && !is_space(at(i + 1)) {
                            return None;
                        }
                        i += 1;
                        break;
                    }
                    other => word.push(other),
                }
            } else if in_single {
                match byte {
                    0 => return None,
                    b'\'' => {
                        i += 1;
                        break;
                    }
                    other => word.push(other),
                }
            } else {
                match byte {
                    b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
                    b'"' => in_double = true,
                    b'\'' => in_single = true,
                    other => word.push(other),
                }
            }
            i += 1;
        }
        words.push(word);
    }
}

/// No line holds what a terminal would act upon, or hide.
fn is_safe(text: &str) -> bool {
    text.split('\n').flat_map(str::chars).all(|c| {
        let bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let zero_width = matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}');
        !c.is_control() && !bidi && !zero_width && !matches!(c, '\u{2028}' | '\u{2029}')
    })
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..30),
        "[ -~]{0,30}".prop_map(String::into_bytes),
        vec(any::<char>(), 0..7).prop_map(|chars| chars.into_iter().collect::<String>().into_bytes()),
        "[\u{202a}-\u{202e}\u{200b}-\u{200f}\r\n\t\"'\\\\ a]{0,9}".prop_map(String::into_bytes),
    ]
}

fn reply() -> impl Strategy<Value = Value> {
    let text = vec(any::<char>(), 0..200).prop_map(|chars| chars.into_iter().collect::<String>());
    let leaf = prop_oneof![
        vec(any::<u8>(), 0..400).prop_map(Value::BulkString),
        text.clone().prop_map(Value::SimpleString),
        text.prop_map(|text| Value::VerbatimString { format: redis::VerbatimFormat::Text, text }),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        vec(any::<u8>(), 0..40).prop_map(Value::BigNumber),
        Just(Value::Nil),
    ];
    leaf.prop_recursive(4, 200, 30, |item| {
        prop_oneof![
            vec(item.clone(), 0..30).prop_map(Value::Array),
            vec(item.clone(), 0..30).prop_map(Value::Set),
            vec((item.clone(), item), 0..30).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn redis_cli_reads_back_what_was_sent(arguments in vec(argument(), 1..15)) {
        let mut cmd = redis::Cmd::new();
        // A name of its own, so that no argument counts as a password.
        cmd.arg("ECHO").arg(&arguments);
        let line = command_line(&cmd);
        let mut sent = vec![b"ECHO".to_vec()];
        sent.extend(arguments);
        prop_assert_eq!(split_as_redis_cli(line.as_bytes()), Some(sent), "{}", line);
    }

    #[test]
    fn no_command_reaches_the_terminal_raw(arguments in vec(vec(any::<u8>(), 0..300), 1..30)) {
        let line = command_line(redis::Cmd::new().arg(&arguments));
        prop_assert!(is_safe(&line) && !line.contains('\n'), "{:?}", line);
    }

    #[test]
    fn no_reply_reaches_the_terminal_raw(reply in reply()) {
        let text = reply_text(&reply);
        prop_assert!(is_safe(&text), "{:?}", text);
    }

    #[test]
    fn text_made_safe_is_one_safe_line(text in any::<String>()) {
        let safe = for_terminal(&text);
        prop_assert!(is_safe(&safe) && !safe.contains('\n'), "{:?}", safe);
    }
}

#[test]
fn plain_words_stay_bare_and_all_else_is_quoted() {
    let line = |value: &[u8]| command_line(redis::cmd("SET").arg("user:1").arg(value));
    assert_eq!(line(b"Parker"), "SET user:1 Parker");
    assert_eq!(line(b"{\"a\":1}"), r#"SET user:1 "{\"a\":1}""#);
    assert_eq!(line(b""), r#"SET user:1 """#);
    assert_eq!(line(b"two words\r\n"), r#"SET user:1 "two words\r\n""#);
    assert_eq!(line(b"\x00\xff\x1b[2J"), r#"SET user:1 "\x00\xff\x1b[2J""#);
    assert_eq!(line("Zoë 🛒".as_bytes()), "SET user:1 \"Zoë 🛒\"");
    assert_eq!(line("a\u{202e}b".as_bytes()), r#"SET user:1 "a\xe2\x80\xaeb""#);
}

#[test]
fn a_megabyte_is_cut_and_says_its_size() {
    let line = command_line(redis::cmd("SET").arg("k").arg(vec![b'x'; 1 << 20]));
    assert_eq!(line, format!("SET k {}… (1048576 bytes)", "x".repeat(120)));
    let text = reply_text(&Value::BulkString(vec![0; 1 << 20]));
    assert_eq!(text, format!("\"{}\"… (1048576 bytes)", r"\x00".repeat(30)));
}
