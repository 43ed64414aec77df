//! One question: its number, its level, the parts of its answer.

use super::fault::Fault;
use super::prose::{Paragraph, paragraphs};
use super::{Example, Level, Question, anchor, links};
use crate::block::Block;

/// Languages of listings, which are shown and not executed.
const LISTINGS: [&str; 6] = ["rust", "sh", "lua", "toml", "conf", "text"];

/// The parts of an answer, in their order.
const PARTS: [&str; 4] = ["Say", "Why", "Trap", "See"];

/// Reads what stands under `### N. Title`; `line` is the heading's, the body begins on the next.
pub(super) fn read(line: usize, heading: &str, body: &[&str]) -> Result<Question, Fault> {
    let (number, title) = heading
        .split_once(". ")
        .and_then(|(number, title)| Some((number.parse().ok()?, title.trim().to_owned())))
        .ok_or_else(|| Fault::at(line, "the heading of a question is `### N. Title`"))?;
    let mut body = Body { lines: body, line: line + 1 };
    let level = level(&mut body)?;
    let [say, why, trap] = [body.part("Say")?, body.part("Why")?, body.part("Trap")?];
    let examples = body.examples()?;
    let see_at = body.line;
    let see = body.part("See")?;
    if see.iter().all(|paragraph| links(&paragraph.text()).is_empty()) {
        return Err(Fault::at(see_at, "**See:** links to a file of this workspace: [`sets`](crates/…)"));
    }
    body.end()?;
    Ok(Question { line, number, slug: anchor(&title), title, level, say, why, trap, examples, see })
}

fn level(body: &mut Body<'_>) -> Result<Level, Fault> {
    body.skip_blank();
    let name = body.lines.first().and_then(|line| line.strip_prefix("Level: ")).map(str::trim_end);
    let level = name.and_then(|name| Level::ALL.into_iter().find(|level| level.name() == name));
    let expected = "a question begins with `Level: beginner` (or intermediate, advanced, expert)";
    let level = level.ok_or_else(|| body.fault(expected))?;
    body.advance(1);
    Ok(level)
}

/// The lines that are still to be read, and the number of the first of them.
struct Body<'a> {
    lines: &'a [&'a str],
    line: usize,
}

impl<'a> Body<'a> {
    fn fault(&self, problem: &str) -> Fault {
        Fault::at(self.line, problem)
    }

    fn advance(&mut self, count: usize) -> &'a [&'a str] {
        let (taken, rest) = self.lines.split_at(count);
        self.lines = rest;
        self.line += count;
        taken
    }

    fn skip_blank(&mut self) {
        self.advance(self.lines.iter().take_while(|line| line.trim().is_empty()).count());
    }

    /// Everything up to the next part or example; listings are prose.
    fn prose(&mut self) -> Result<&'a [&'a str], Fault> {
        let mut in_listing = false;
        let mut length = 0;
        for line in self.lines {
            if in_listing {
                in_listing = !line.starts_with("```");
            } else if begins_a_part(line).is_some() || is_example(line) {
                break;
            } else if let Some(language) = line.strip_prefix("```") {
                if !LISTINGS.contains(&language.trim()) {
                    let languages = LISTINGS.join(", ");
                    let problem = format!(
                        "a block is an example, ```redis, or a listing, ``` with one of: {languages}"
                    );
                    return Err(Fault::at(self.line + length, problem));
                }
                in_listing = true;
            }
            length += 1;
        }
        Ok(self.advance(length))
    }

    /// `**Name:**` and what follows it.
    fn part(&mut self, name: &str) -> Result<Vec<Paragraph>, Fault> {
        self.skip_blank();
        let begins =
            self.lines.first().and_then(|line| begins_a_part(line)).filter(|(part, _)| *part == name);
        let Some((_, first)) = begins else {
            return Err(self.fault(&format!(
                "`**{name}:**` is expected here; the order is Level, Say, Why, Trap, examples, See"
            )));
        };
        let at = self.line;
        self.advance(1);
        let rest = self.prose()?;
        let paragraphs = paragraphs(std::iter::once(first).chain(rest.iter().copied()));
        if paragraphs.is_empty() {
            return Err(Fault::at(at, format!("`**{name}:**` says nothing")));
        }
        Ok(paragraphs)
    }

    /// Blocks and what stands between them.
    fn examples(&mut self) -> Result<Vec<Example>, Fault> {
        let mut examples = Vec::new();
        let mut blocks = 0;
        while let Some(info) =
            self.lines.first().filter(|line| is_example(line)).and_then(|line| line.strip_prefix("```"))
        {
            let block = self.block(info)?;
            if block.place.same && blocks == 0 {
                return Err(Fault::at(
                    block.line,
                    "there is no block before this one whose state it could go on in",
                ));
            }
            blocks += 1;
            examples.push(Example::Block(block));
            examples.extend(paragraphs(self.prose()?.iter().copied()).into_iter().map(Example::Text));
        }
        if blocks == 0 {
            return Err(self.fault("an example is expected here: a block that begins with ```redis"));
        }
        Ok(examples)
    }

    fn block(&mut self, info: &str) -> Result<Block, Fault> {
        let line = self.line;
        self.advance(1);
        let length = self.lines.iter().position(|line| line.starts_with("```"));
        let length = length.ok_or_else(|| Fault::at(line, "this block is never closed with ```"))?;
        let lines = self.advance(length);
        if self.lines.first().is_some_and(|line| line.trim_end() != "```") {
            return Err(self.fault("a block is closed with ``` alone"));
        }
        self.advance(1);
        Block::parse(line, info, lines).map_err(|(line, problem)| Fault::at(line, problem))
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.skip_blank();
        if self.lines.is_empty() {
            Ok(())
        } else {
            Err(self.fault("nothing follows `**See:**` but the next question"))
        }
    }
}

/// The fence of a block that is executed.
fn is_example(line: &str) -> bool {
    line.strip_prefix("```").and_then(|info| info.split_whitespace().next()) == Some("redis")
}

/// `**Say:** text`: the part's name, and the text behind it.
fn begins_a_part(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.strip_prefix("**")?.split_once(":**")?;
    PARTS.contains(&name).then_some((name, text))
}
