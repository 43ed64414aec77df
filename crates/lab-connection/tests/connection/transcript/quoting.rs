//! What the transcript shows can be typed into `redis-cli`, and nothing in it acts on a terminal.

use lab_connection::transcript::{command_line, for_terminal, reply_text, words};
use proptest::collection::vec;
use proptest::prelude::*;
use redis::Value;

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
    fn what_is_shown_is_split_into_what_was_sent(arguments in vec(argument(), 1..15)) {
        let mut cmd = redis::Cmd::new();
        // A name of its own, so that no argument counts as a password.
        cmd.arg("ECHO").arg(&arguments);
        let line = command_line(&cmd);
        let mut sent = vec![b"ECHO".to_vec()];
        sent.extend(arguments);
        prop_assert_eq!(words::split(&line), Some(sent), "{}", line);
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

/// By the rules of `sdssplitargs` in its source.
#[test]
fn words_are_split_as_redis_cli_splits_them() {
    let split = |line| words::split(line).map(|words| words.join(&b'|'));
    for (line, expected) in [
        ("  SET k\tv ", &b"SET|k|v"[..]),
        (r#""two words" 'and two' "" x"#, b"two words|and two||x"),
        (r#""\x41\xff\n\r\t\b\a\"\\\q\x4""#, b"A\xff\n\r\t\x08\x07\"\\qx4"),
        (r"'it\'s \n \x41'", br"it's \n \x41"),
        (r#"ab"c d" e'f g'"#, b"abc d|ef g"),
    ] {
        assert_eq!(split(line).as_deref(), Some(expected), "{line}");
    }
    for line in [r#""open"#, "'open", r#""a"b"#, "'a'b", r#""a""b""#] {
        assert_eq!(split(line), None, "{line}");
    }
}

#[test]
fn a_megabyte_is_cut_and_says_its_size() {
    let line = command_line(redis::cmd("SET").arg("k").arg(vec![b'x'; 1 << 20]));
    assert_eq!(line, format!("SET k {}… (1048576 bytes)", "x".repeat(120)));
    let text = reply_text(&Value::BulkString(vec![0; 1 << 20]));
    assert_eq!(text, format!("\"{}\"… (1048576 bytes)", r"\x00".repeat(30)));
}
