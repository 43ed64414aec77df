//! The Markdown of a guide becomes topics and questions.

use std::collections::HashSet;

use super::prose::{Paragraph, paragraphs};
use super::{Appendix, Example, FormatError, FormatErrors, Guide, Level, Question, Topic, anchor, links};
use crate::block::Block;

/// Languages of listings, which are shown and not executed.
const LISTINGS: [&str; 7] = ["rust", "sh", "lua", "toml", "conf", "text", "mermaid"];
/// The sections that may follow the last topic, in their order.
const APPENDICES: [&str; 4] = ["Index", "Cheat sheet", "Study paths", "Features by version"];
/// The parts of an answer, in their order.
const PARTS: [&str; 6] = ["Say", "Why", "Trap", FOLLOW_UPS, READ_MORE, "See"];
/// The parts that a question may leave out.
const FOLLOW_UPS: &str = "They will ask next";
const READ_MORE: &str = "Read more";

pub(super) fn guide(text: &str) -> Result<Guide, FormatErrors> {
    let mut errors = Vec::new();
    let mut guide = Guide { topics: Vec::new(), appendices: Vec::new() };
    let mut sections = sections(text).map_err(|error| FormatErrors(vec![error]))?.into_iter();
    if sections.next().is_none_or(|title| title.depth != 1) {
        errors.push(FormatError::at(1, "the guide begins with its title, `# Redis guide`"));
    }
    // What stands there is generated, so nobody reads it here.
    let contents = sections.next();
    if contents.as_ref().is_none_or(|section| section.depth != 2 || section.title != "Contents") {
        let line = contents.map_or(1, |section| section.line);
        errors.push(FormatError::at(line, "the first section is `## Contents`"));
    }
    let mut slugs = HashSet::new();
    for Section { line, depth, title, body } in sections {
        let mut expected = |what: &str| errors.push(FormatError::at(line, what));
        match depth {
            2 if APPENDICES.contains(&title) => {
                let place = |title| APPENDICES.iter().position(|appendix| *appendix == title);
                if guide.appendices.last().is_some_and(|last| place(last.title.as_str()) >= place(title)) {
                    expected("the order at the end is Index, Cheat sheet, Study paths, Features by version");
                }
                let lines = body.iter().map(|&line| line.to_owned()).collect();
                guide.appendices.push(Appendix { title: title.to_owned(), lines });
            }
            2 if !guide.appendices.is_empty() => expected("no topic follows the index"),
            3 if let Some(appendix) = guide.appendices.last_mut() => {
                appendix.lines.push(format!("### {title}"));
                appendix.lines.extend(body.iter().map(|&line| line.to_owned()));
            }
            2 => {
                if body.iter().any(|line| !line.trim().is_empty()) {
                    expected("a topic begins with its first question, `### N. Title`");
                }
                guide.topics.push(Topic {
                    title: title.to_owned(),
                    anchor: anchor(title),
                    questions: Vec::new(),
                });
            }
            3 => match question(line, title, &body) {
                Ok(question) => {
                    if !slugs.insert(question.slug.clone()) {
                        expected("another question has the same title");
                    }
                    match guide.topics.last_mut() {
                        Some(topic) => topic.questions.push(question),
                        None => expected("a question stands under a topic, `## Topic`"),
                    }
                }
                Err(error) => errors.push(error),
            },
            _ => expected("a heading is `## Topic` or `### N. Title`, after the title"),
        }
    }
    if errors.is_empty() { Ok(guide) } else { Err(FormatErrors(errors)) }
}

/// A heading and what stands under it, up to the next one.
struct Section<'a> {
    line: usize,
    /// How many `#`.
    depth: usize,
    title: &'a str,
    /// The lines under the heading, the first of which is line `line + 1`.
    body: Vec<&'a str>,
}

/// Takes the text apart at its headings. Within a fence, `#` is no heading.
fn sections(text: &str) -> Result<Vec<Section<'_>>, FormatError> {
    let mut all: Vec<Section<'_>> = Vec::new();
    let mut fence_opened = None;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with("```") {
            fence_opened = if fence_opened.is_some() { None } else { Some(line) };
        }
        let depth = text.chars().take_while(|c| *c == '#').count();
        if fence_opened.is_none() && depth > 0 && text[depth..].starts_with(' ') {
            all.push(Section { line, depth, title: text[depth..].trim(), body: Vec::new() });
        } else if let Some(section) = all.last_mut() {
            section.body.push(text);
        } else if !text.trim().is_empty() {
            return Err(FormatError::at(line, "the guide begins with its title, `# Redis guide`"));
        }
    }
    match fence_opened {
        Some(line) => Err(FormatError::at(line, "this block is never closed with ```")),
        None => Ok(all),
    }
}

/// Reads what stands under `### N. Title`; `line` is the heading's, the body begins on the next.
fn question(line: usize, heading: &str, body: &[&str]) -> Result<Question, FormatError> {
    let (number, title) = heading
        .split_once(". ")
        .and_then(|(number, title)| Some((number.parse().ok()?, title.trim().to_owned())))
        .ok_or_else(|| FormatError::at(line, "the heading of a question is `### N. Title`"))?;
    let mut body = Body { lines: body, line: line + 1 };
    let level = body.level()?;
    let [say, why, trap] = [body.part("Say")?, body.part("Why")?, body.part("Trap")?];
    let follow_ups = body.optional_part(FOLLOW_UPS)?;
    let read_more_at = body.line;
    let read_more = body.optional_part(READ_MORE)?;
    let is_web_page = |paragraph: &Paragraph| {
        links(&paragraph.text()).iter().any(|link| link.target.starts_with("https://"))
    };
    if !read_more.iter().all(is_web_page) {
        let expected = "**Read more:** links to a page: [Sets](https://valkey.io/…)";
        return Err(FormatError::at(read_more_at, expected));
    }
    let examples = body.examples()?;
    let see_at = body.line;
    let see = body.part("See")?;
    if see.iter().all(|paragraph| links(&paragraph.text()).is_empty()) {
        return Err(FormatError::at(
            see_at,
            "**See:** links to a file of this workspace: [`sets`](crates/…)",
        ));
    }
    body.skip_blank();
    if !body.lines.is_empty() {
        return Err(body.error("nothing follows `**See:**` but the next question"));
    }
    let slug = anchor(&title);
    Ok(Question { line, number, title, slug, level, say, why, trap, follow_ups, read_more, examples, see })
}

/// The lines that are still to be read, and the number of the first of them.
struct Body<'a> {
    lines: &'a [&'a str],
    line: usize,
}

impl<'a> Body<'a> {
    fn error(&self, problem: &str) -> FormatError {
        FormatError::at(self.line, problem)
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

    fn level(&mut self) -> Result<Level, FormatError> {
        self.skip_blank();
        let name = self.lines.first().and_then(|line| line.strip_prefix("Level: ")).map(str::trim_end);
        let level = name.and_then(|name| Level::ALL.into_iter().find(|level| level.name() == name));
        let expected = "a question begins with `Level: beginner` (or intermediate, advanced, expert)";
        let level = level.ok_or_else(|| self.error(expected))?;
        self.advance(1);
        Ok(level)
    }

    /// Everything up to the next part or example; listings are prose.
    fn prose(&mut self) -> Result<&'a [&'a str], FormatError> {
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
                    return Err(FormatError::at(self.line + length, problem));
                }
                in_listing = true;
            }
            length += 1;
        }
        Ok(self.advance(length))
    }

    /// `**Name:**` and what follows it.
    fn part(&mut self, name: &str) -> Result<Vec<Paragraph>, FormatError> {
        self.skip_blank();
        let begins =
            self.lines.first().and_then(|line| begins_a_part(line)).filter(|(part, _)| *part == name);
        let Some((_, first)) = begins else {
            return Err(self.error(&format!(
                "`**{name}:**` is expected here; the order is Level, Say, Why, Trap, They will ask next, Read more, \
                 examples, See"
            )));
        };
        let at = self.line;
        self.advance(1);
        let rest = self.prose()?;
        let paragraphs = paragraphs(std::iter::once(first).chain(rest.iter().copied()));
        if paragraphs.is_empty() {
            return Err(FormatError::at(at, format!("`**{name}:**` says nothing")));
        }
        Ok(paragraphs)
    }

    /// The same, or nothing if another part or an example comes first.
    fn optional_part(&mut self, name: &str) -> Result<Vec<Paragraph>, FormatError> {
        self.skip_blank();
        let begins = self.lines.first().and_then(|line| begins_a_part(line));
        if begins.is_some_and(|(part, _)| part == name) { self.part(name) } else { Ok(Vec::new()) }
    }

    /// Blocks and what stands between them.
    fn examples(&mut self) -> Result<Vec<Example>, FormatError> {
        let mut examples = Vec::new();
        while let Some(line) = self.lines.first().filter(|line| is_example(line)) {
            let block = self.block(line.trim_start_matches('`'))?;
            if block.environment.same && examples.is_empty() {
                let problem = "there is no block before this one whose state it could go on in";
                return Err(FormatError::at(block.line, problem));
            }
            examples.push(Example::Block(block));
            examples.extend(paragraphs(self.prose()?.iter().copied()).into_iter().map(Example::Text));
        }
        if examples.is_empty() {
            return Err(self.error("an example is expected here: a block that begins with ```redis"));
        }
        Ok(examples)
    }

    fn block(&mut self, info: &str) -> Result<Block, FormatError> {
        let line = self.line;
        self.advance(1);
        let length = self.lines.iter().position(|line| line.starts_with("```"));
        let length = length.ok_or_else(|| FormatError::at(line, "this block is never closed with ```"))?;
        let lines = self.advance(length);
        if self.lines.first().is_some_and(|line| line.trim_end() != "```") {
            return Err(self.error("a block is closed with ``` alone"));
        }
        self.advance(1);
        Block::parse(line, info, lines)
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
