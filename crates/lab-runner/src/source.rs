//! Source lines for the screen, taken from the file itself when the program is compiled, so they cannot drift.

use std::panic::Location;

/// Columns of one level of indentation, as rustfmt has it.
const INDENT: usize = 4;

/// A source file of a lesson. Make it with [`source!`](crate::source!).
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its path from the root of the workspace.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The file at this path inside the crate that calls the macro, such as `source!("src/counters.rs")`.
#[macro_export]
macro_rules! source {
    ($path:literal) => {
        $crate::source::Source {
            path: concat!("crates/", env!("CARGO_PKG_NAME"), "/", $path),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)),
        }
    };
}

/// Consecutive lines of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The file's path from the root of the workspace.
    pub path: String,
    /// The number of the first line, from 1.
    pub line: usize,
    /// The lines, without the indentation that they share.
    pub text: String,
}

impl Source {
    /// The whole file.
    #[must_use]
    pub fn whole(&self) -> Excerpt {
        Excerpt { path: self.path.to_owned(), line: 1, text: self.text.trim_end().to_owned() }
    }

    /// The function of this name, from its `fn` to its closing brace.
    ///
    /// # Panics
    ///
    /// If the file has no such function: the test of every lesson shows all that it shows.
    #[must_use]
    pub fn function(&self, name: &str) -> Excerpt {
        match self.find_function(name) {
            Some(excerpt) => excerpt,
            None => panic!("{} has no function {name:?}", self.path),
        }
    }

    /// [`Source::function`], if the file has it.
    pub(crate) fn find_function(&self, name: &str) -> Option<Excerpt> {
        let lines: Vec<&str> = self.text.lines().collect();
        let needles = [format!("fn {name}("), format!("fn {name}<")];
        let is_start = |line: &&str| needles.iter().any(|needle| line.contains(needle.as_str()));
        let first = lines.iter().position(is_start)?;
        let closing = format!("{}}}", " ".repeat(indent(lines[first])));
        let count = lines[first..].iter().position(|line| *line == closing).map_or(1, |last| last + 1);
        Some(self.excerpt(first, &lines[first..first + count]))
    }

    /// What a lesson does in the step that begins at `step`: the statements after it, up to the next one that speaks to the
    /// learner. Nothing if they wait for nothing, for then they send nothing either.
    pub(crate) fn step(&self, step: &Location<'_>) -> Option<Excerpt> {
        let (first_line, column) = (step.line() as usize, step.column() as usize);
        let start =
            self.text.split_inclusive('\n').take(first_line.checked_sub(1)?).map(str::len).sum::<usize>();
        let start = start + column.checked_sub(1)?;
        let end = start + statement_length(self.text.get(start..)?)?;
        let first = self.text[..end].lines().count();
        let lines: Vec<&str> = self.text.lines().skip(first).collect();
        // A chain of methods begins above its `.step(`, and that line has the indentation of the statement.
        let above: Vec<&str> = self.text.lines().take(first_line).collect();
        let depth = indent(above.iter().rfind(|line| !line.trim_start().starts_with('.'))?);
        let speaks = |line: &&str| {
            let text = line.trim_start();
            let begins = ["ctx.", "return ctx.", "Ok(())", "let guess = ctx", "guess."];
            let speaks = begins.iter().any(|begin| text.starts_with(begin));
            !text.is_empty() && (speaks || indent(line) < depth)
        };
        let count = lines.iter().position(speaks).unwrap_or(lines.len());
        let last = lines[..count].iter().rposition(|line| line.contains(".await"))?;
        // To the end of the statement; what follows it only prepares a check.
        let end = last + lines[last..count].iter().position(|line| line.ends_with([';', '}'])).unwrap_or(0);
        // And to the end of a loop around it.
        if let Some(closed) = (end..count).find(|&end| unclosed(&lines[..=end]).is_empty()) {
            return Some(self.excerpt(first, &lines[..=closed]));
        }
        // Or without the `if` around it, whose end speaks to the learner.
        let opened = unclosed(&lines[..=end]);
        let kept = (0..=end).filter(|line| !opened.contains(line));
        let outdented = |line: usize| {
            let inside = opened.iter().filter(|&&opener| opener < line).count();
            lines[line].get(INDENT * inside..).unwrap_or_default()
        };
        let kept: Vec<(usize, &str)> = kept.map(|line| (line, outdented(line))).collect();
        let (skipped, _) = kept.first()?;
        let kept: Vec<&str> = kept.iter().map(|(_, line)| *line).collect();
        kept.iter().any(|line| line.contains(".await")).then(|| self.excerpt(first + skipped, &kept))
    }

    /// `lines` begin with the line of index `first`.
    fn excerpt(&self, first: usize, lines: &[&str]) -> Excerpt {
        let blank = lines.iter().take_while(|line| line.trim().is_empty()).count();
        let lines = &lines[blank..];
        let shared = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| indent(line)).min();
        let dedented: Vec<&str> =
            lines.iter().map(|line| line.get(shared.unwrap_or(0)..).unwrap_or_default()).collect();
        let text = dedented.join("\n").trim_end().to_owned();
        Excerpt { path: self.path.to_owned(), line: first + blank + 1, text }
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines that open a block which none of them closes.
fn unclosed(lines: &[&str]) -> Vec<usize> {
    let (mut opened, mut strings) = (Vec::new(), Strings::default());
    for (index, line) in lines.iter().enumerate() {
        for (at, c) in line.char_indices() {
            match c {
                _ if strings.has(c) => {}
                '/' if line[at..].starts_with("//") => break,
                '{' => opened.push(index),
                '}' => drop(opened.pop()),
                _ => {}
            }
        }
    }
    opened
}

/// The bytes up to and including the semicolon that ends the statement, which may hold strings with anything in them.
fn statement_length(text: &str) -> Option<usize> {
    let (mut depth, mut strings) = (0_usize, Strings::default());
    for (at, c) in text.char_indices() {
        match c {
            _ if strings.has(c) => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ';' if depth == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where code is read character by character: whether it is in a string.
#[derive(Default)]
struct Strings {
    inside: bool,
    escaped: bool,
}

impl Strings {
    /// Whether the next character belongs to a string or is one of its quotes.
    fn has(&mut self, next: char) -> bool {
        match next {
            _ if self.escaped => self.escaped = false,
            '\\' if self.inside => self.escaped = true,
            '"' => self.inside = !self.inside,
            _ => return self.inside,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LESSON: Source = source!("src/source/example.rs.txt");

    /// Where `step` stands for the `count`th time; a [`Location`] cannot be made, so the test asks the scanner itself.
    fn after(count: usize) -> usize {
        let (start, _) = LESSON.text.match_indices("ctx.step(").nth(count).unwrap();
        start + statement_length(&LESSON.text[start..]).unwrap()
    }

    #[test]
    fn a_statement_ends_behind_its_strings() {
        assert!(LESSON.text[..after(0)].ends_with("(or \\\"three\\\"); it cannot.\")?;"));
    }

    #[test]
    fn a_block_that_stays_open_is_found() {
        assert_eq!(unclosed(&["for a in [1, 2] {", "    get(a).await?;"]), [0]);
        assert_eq!(unclosed(&["for a in [1, 2] {", "    get(a).await?; // not a }", "}"]), [] as [usize; 0]);
        assert_eq!(unclosed(&["let text = \"{\";", "if can {"]), [1]);
    }

    #[test]
    fn a_function_is_shown_whole_and_without_its_indentation() {
        let shown = LESSON.function("by_incr");
        assert_eq!(shown.line, 14);
        assert_eq!(
            shown.text,
            "async fn by_incr(key: &str) -> i64 {\n    // One step on the server.\n    incr(key).await\n}"
        );
        assert_eq!(shown.path, "crates/lab-runner/src/source/example.rs.txt");
    }
}
