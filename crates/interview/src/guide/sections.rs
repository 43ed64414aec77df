//! The headings of a guide: its title, its contents, its topics and their questions.

use std::collections::HashSet;

use super::fault::{Fault, Faults};
use super::question;
use super::{Guide, Listed, Topic, anchor};

/// A heading and what stands under it, up to the next one.
struct Section<'a> {
    line: usize,
    /// How many `#`.
    depth: usize,
    title: &'a str,
    /// The lines under the heading, the first of which is line `line + 1`.
    body: Vec<&'a str>,
}

impl Section<'_> {
    fn is_empty(&self) -> bool {
        self.body.iter().all(|line| line.trim().is_empty())
    }
}

pub(super) fn read(text: &str) -> Result<Guide, Faults> {
    let mut faults = Vec::new();
    let mut guide = Guide { contents: Vec::new(), topics: Vec::new() };
    let mut sections = sections(text).map_err(|fault| Faults(vec![fault]))?.into_iter();
    match sections.next() {
        Some(title) if title.depth == 1 => {}
        _ => faults.push(Fault::at(1, "the guide begins with its title, `# Redis guide`")),
    }
    match sections.next() {
        Some(section) if section.depth == 2 && section.title == "Contents" => {
            contents(&section, &mut guide.contents, &mut faults);
        }
        other => {
            let line = other.map_or(1, |section| section.line);
            faults.push(Fault::at(line, "the first section is `## Contents`"));
        }
    }
    let mut slugs = HashSet::new();
    for section in sections {
        match section.depth {
            2 => {
                if !section.is_empty() {
                    faults.push(Fault::at(
                        section.line,
                        "a topic begins with its first question, `### N. Title`",
                    ));
                }
                let (title, anchor) = (section.title.to_owned(), anchor(section.title));
                guide.topics.push(Topic { title, anchor, questions: Vec::new() });
            }
            3 => match question::read(section.line, section.title, &section.body) {
                Ok(question) => {
                    if !slugs.insert(question.slug.clone()) {
                        faults.push(Fault::at(section.line, "another question has the same title"));
                    }
                    match guide.topics.last_mut() {
                        Some(topic) => topic.questions.push(question),
                        None => faults
                            .push(Fault::at(section.line, "a question stands under a topic, `## Topic`")),
                    }
                }
                Err(fault) => faults.push(fault),
            },
            _ => faults
                .push(Fault::at(section.line, "a heading is `## Topic` or `### N. Title`, after the title")),
        }
    }
    if faults.is_empty() { Ok(guide) } else { Err(Faults(faults)) }
}

/// Takes the text apart at its headings. Within a fence, `#` is no heading.
fn sections(text: &str) -> Result<Vec<Section<'_>>, Fault> {
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
            return Err(Fault::at(line, "the guide begins with its title, `# Redis guide`"));
        }
    }
    match fence_opened {
        Some(line) => Err(Fault::at(line, "this block is never closed with ```")),
        None => Ok(all),
    }
}

fn contents(section: &Section<'_>, listed: &mut Vec<Listed>, faults: &mut Vec<Fault>) {
    for (line, text) in (section.line + 1..).zip(section.body.iter().copied()) {
        if text.trim().is_empty() {
            continue;
        }
        let parts = text
            .strip_prefix("- [")
            .and_then(|rest| rest.split_once("](#"))
            .and_then(|(title, rest)| Some((title, rest.split_once("): ")?)));
        match parts {
            Some((title, (anchor, range))) => listed.push(Listed {
                line,
                title: title.to_owned(),
                anchor: anchor.to_owned(),
                range: range.trim_end().to_owned(),
            }),
            None => faults
                .push(Fault::at(line, "a line of the contents is `- [Topic](#anchor): questions 1 to 9`")),
        }
    }
}
