//! What the transcript prints as a command line, the guide's reader understands.

use interview::words;
use lab_connection::transcript::{SHOWN_ARGUMENTS, SHOWN_CHARS, command_line};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// Any bytes at all; what the transcript would cut is not meant to be read back.
    #[test]
    fn a_printed_command_line_is_read_back(arguments in vec(vec(any::<u8>(), 0..SHOWN_CHARS / 4), 1..SHOWN_ARGUMENTS)) {
        let mut command = redis::cmd("SET");
        for argument in &arguments {
            command.arg(argument);
        }
        let line = command_line(&command);
        let mut expected = vec![b"SET".to_vec()];
        expected.extend(arguments);
        prop_assert_eq!(words::split(&line), Some(expected), "{}", line);
    }

    /// The characters that mean something to quoting, more often than chance would have them.
    #[test]
    fn quotes_and_backslashes_are_read_back(arguments in vec("[\"'\\\\ \\n\\tax41é]{0,12}", 1..6)) {
        let mut command = redis::cmd("SET");
        command.arg(&arguments);
        let mut expected = vec![b"SET".to_vec()];
        expected.extend(arguments.into_iter().map(String::into_bytes));
        prop_assert_eq!(words::split(&command_line(&command)), Some(expected));
    }

    /// Whatever somebody types, it is understood or refused.
    #[test]
    fn nothing_panics(line in "\\PC{0,60}") {
        let _ = words::split(&line);
    }
}

fn words_of(line: &str) -> Option<Vec<String>> {
    let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
    words::split(line).map(|words| words.into_iter().map(text).collect())
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
            words_of(line),
            expected.map(|words| words.into_iter().map(str::to_owned).collect()),
            "{line}"
        );
    }
}

#[test]
fn unbalanced_quotes_are_refused() {
    for line in ["SET k \"open", "SET k 'open", "SET k \"a\"b", "SET k 'a'b", "SET k \"a\\"] {
        assert_eq!(words::split(line), None, "{line}");
    }
}
