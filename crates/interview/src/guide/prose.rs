//! Prose: paragraphs, lists, tables. What stands in a line (bold, code, links) is left as it is.

use serde::Serialize;

/// A paragraph, an entry of a list, a table, or a listing. Only a listing keeps its line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paragraph {
    /// Text.
    Text(String),
    /// An entry of a list: its marker (`-`, `*`, or a number such as `1.`) and its text.
    Item(String, String),
    /// A table: the header, then the rows.
    Table(Vec<Vec<String>>),
    /// Source text that is shown and not executed, line by line as it is.
    Listing(Vec<String>),
}

impl Paragraph {
    /// All of its text: in one line, unless it is a listing.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Item(mark, text) => format!("{mark} {text}"),
            Self::Table(rows) => rows.iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join(" / "),
            Self::Listing(lines) => lines.join("\n"),
        }
    }
}

/// Lines become paragraphs.
pub(super) fn paragraphs<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Paragraph> {
    let mut all: Vec<Paragraph> = Vec::new();
    let mut goes_on = false;
    let mut in_listing = false;
    for line in lines {
        let text = line.trim();
        if line.starts_with("```") {
            in_listing = !in_listing;
            goes_on = false;
            if in_listing {
                all.push(Paragraph::Listing(Vec::new()));
            }
        } else if in_listing {
            if let Some(Paragraph::Listing(lines)) = all.last_mut() {
                lines.push(line.trim_end().to_owned());
            }
        } else if text.is_empty() {
            goes_on = false;
        } else if let Some(row) = text.strip_prefix('|') {
            let row: Vec<String> = cells(row);
            let is_rule = row.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':')));
            match all.last_mut() {
                Some(Paragraph::Table(_)) if goes_on && is_rule => {}
                Some(Paragraph::Table(rows)) if goes_on => rows.push(row),
                _ => all.push(Paragraph::Table(vec![row])),
            }
            goes_on = true;
        } else if let Some((mark, entry)) = item(text) {
            all.push(Paragraph::Item(mark.to_owned(), entry.to_owned()));
            goes_on = true;
        } else {
            match all.last_mut() {
                Some(Paragraph::Text(before) | Paragraph::Item(_, before)) if goes_on => {
                    before.push(' ');
                    before.push_str(text);
                }
                _ => all.push(Paragraph::Text(text.to_owned())),
            }
            goes_on = true;
        }
    }
    all
}

/// `- text`, `* text`, or `1. text`.
fn item(text: &str) -> Option<(&str, &str)> {
    let (mark, entry) = text.split_once(' ')?;
    let number = mark.strip_suffix('.').is_some_and(|digits| digits.parse::<u32>().is_ok());
    (mark == "-" || mark == "*" || number).then_some((mark, entry.trim()))
}

/// The cells of a row, whose first `|` is gone. A `|` within code, or behind a backslash, ends no cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().strip_suffix('|').unwrap_or(row);
    let mut all = vec![String::new()];
    let mut in_code = false;
    let mut characters = row.chars().peekable();
    while let Some(c) = characters.next() {
        let last = all.len() - 1;
        match c {
            '|' if !in_code => all.push(String::new()),
            '\\' if characters.peek() == Some(&'|') => all[last].extend(characters.next()),
            c => {
                in_code ^= c == '`';
                all[last].push(c);
            }
        }
    }
    all.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// A link: `[text](target)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its text, without the marks of code around it.
    pub text: String,
    /// Where it leads.
    pub target: String,
}

/// The links in a text.
pub fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, after)) = after.split_once(')') else {
            break;
        };
        if let Some((_, text)) = before.rsplit_once('[') {
            found.push(Link { text: text.trim_matches('`').to_owned(), target: target.to_owned() });
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_and_tables_are_told_apart() {
        let text = "One\ntwo.\n\nThree:\n- a\n  b\n- c\n\n1. first\n\n| x | y |\n|---|:-:|\n| `a|b` | 1 \\| 2 |\nEnd.\n```rust\n  - x\n\n```";
        let text_of = |text: &str| Paragraph::Text(text.into());
        let item = |mark: &str, text: &str| Paragraph::Item(mark.into(), text.into());
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            paragraphs(text.lines()),
            [
                text_of("One two."),
                text_of("Three:"),
                item("-", "a b"),
                item("-", "c"),
                item("1.", "first"),
                Paragraph::Table(vec![row("x", "y"), row("`a|b`", "1 | 2")]),
                text_of("End."),
                Paragraph::Listing(vec!["  - x".into(), String::new()]),
            ]
        );
    }

    #[test]
    fn links_are_found() {
        let link = |text: &str, target: &str| Link { text: text.into(), target: target.into() };
        assert_eq!(links("[`a`](x/y.rs), a[0] and [b](#c)"), [link("a", "x/y.rs"), link("b", "#c")]);
    }
}
