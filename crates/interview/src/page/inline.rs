//! The marks within a line: `code`, **bold**, [links](to/somewhere).

use std::fmt::Write;

use anstyle::Style;
use lab_runner::Terminal;

use super::COMMAND;

const BOLD: Style = Style::new().bold();

/// With color where there is some: code is colored, bold is bold. Where there is none, code keeps its marks, because
/// without them nobody sees where it ends.
pub(super) fn styled(text: &str) -> String {
    rendered(text, Terminal.colored())
}

/// Without color: for cells of a table.
pub(super) fn plain(text: &str) -> String {
    rendered(text, false)
}

fn rendered(text: &str, colored: bool) -> String {
    let mut out = String::new();
    let mut bold = false;
    let mut rest = text;
    // Writing to a String cannot fail.
    while !rest.is_empty() {
        if let Some((code, after)) = rest.strip_prefix('`').and_then(|code| code.split_once('`')) {
            // The end of one style ends all of them, so bold begins anew.
            let _ = match (colored, bold) {
                (true, false) => write!(out, "{COMMAND}{code}{COMMAND:#}"),
                (true, true) => write!(out, "{COMMAND}{code}{COMMAND:#}{BOLD}"),
                (false, _) => write!(out, "`{code}`"),
            };
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            bold = !bold;
            let _ = match (colored, bold) {
                (true, true) => write!(out, "{BOLD}"),
                (true, false) => write!(out, "{BOLD:#}"),
                (false, _) => Ok(()),
            };
            rest = after;
        } else if let Some((name, target, after)) = link(rest) {
            let _ = write!(out, "{} ({target})", rendered(name, colored));
            rest = after;
        } else {
            let c = rest.chars().next().unwrap_or_default();
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// `[name](target)` at the beginning: both, and what follows.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, after) = rest.split_once(')')?;
    (!name.contains('[')).then_some((name, target, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_styles_or_stay_readable() {
        let text = "**Never** `KEYS *`, see [`sets`](crates/x.rs): a[0] and 2*3";
        assert_eq!(rendered(text, false), "Never `KEYS *`, see `sets` (crates/x.rs): a[0] and 2*3");
        let styled = rendered(text, true);
        assert!(
            styled.starts_with(&format!("{BOLD}Never{BOLD:#} {COMMAND}KEYS *{COMMAND:#}, see ")),
            "{styled:?}"
        );
    }

    #[test]
    fn marks_that_never_end_are_text() {
        assert_eq!(rendered("a ` b [c](d", false), "a ` b [c](d");
    }
}
