//! Expected replies against real ones, with `…` for what may differ.

use interview::matching::{Alignment, fits};

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn an_ellipsis_stands_for_any_text_of_its_line() {
    for (expected, actual, same) in [
        ("OK", "OK", true),
        ("OK", "ok", false),
        ("(integer) …", "(integer) 5", true),
        ("count:…", "count:", true),
        ("(integer) …", "(nil)", false),
        ("id=… addr=…:… name=", "id=3 addr=127.0.0.1:99 name=", true),
        ("id=… addr=…:… name=", "id=3 addr=127.0.0.1 name=", false),
        ("…ab", "aab", true),
        ("a…a", "a", false),
        ("…", "anything", true),
    ] {
        assert_eq!(fits(&lines(expected), &lines(actual)), same, "{expected} / {actual}");
    }
}

#[test]
fn a_line_of_only_an_ellipsis_stands_for_any_lines() {
    for (expected, actual, same) in [
        ("…\nb\n…", "a\nb\nc\nd", true),
        ("…\nb\n…", "b", true),
        ("…\nb", "a\nb\nc", false),
        ("a\n…", "a", true),
        ("…", "", true),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("…\nb\n…\nb", "b\nc\nb", true),
        ("…\nb\n…\nb", "c\nb", false),
    ] {
        assert_eq!(fits(&lines(expected), &lines(actual)), same, "{expected:?} / {actual:?}");
    }
}

#[test]
fn a_difference_is_shown_where_it_is() {
    let shown =
        Alignment::of(&lines("1) \"a\"\n2) \"b\"\n…\nz"), &lines("1) \"a\"\n2) \"c\"\nx\ny\nz")).to_string();
    assert_eq!(shown, "    1) \"a\"\n  - 2) \"b\"\n    … (3 lines)\n    z\n");
    let shown = Alignment::of(&lines("OK\n(nil)"), &lines("OK")).to_string();
    assert_eq!(shown, "    OK\n  - (nil)\n");
    let shown = Alignment::of(&lines("(integer) 1"), &lines("(integer) 2")).to_string();
    assert_eq!(shown, "  - (integer) 1\n  + (integer) 2\n");
}
