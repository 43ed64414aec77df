//! What makes the guide searchable is generated from it or checked against it: the contents, the index, and the pages at
//! the end. `UPDATE=1 cargo test -p interview --test guide findable` writes the generated parts into REDIS_GUIDE.md.
//! The pages at the end name questions as `[15]`. If a question gets another number, that run corrects them, too.

mod commands;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use interview::guide::{Guide, Question, anchor};

use crate::document::lessons;

/// Numbers of questions, under what you look for.
type Index = BTreeMap<String, BTreeSet<usize>>;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../REDIS_GUIDE.md")
}

fn parsed(text: &str) -> Guide {
    Guide::parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The guide as it is on the disk, not as it was at the build: an update needs no second build to be checked.
fn guide() -> (String, Guide) {
    let text = fs::read_to_string(file()).unwrap();
    let guide = parsed(&text);
    (text, guide)
}

#[test]
fn generated_parts_are_those_of_the_guide() {
    let (text, _) = guide();
    let expected = refreshed(&text);
    if env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(file(), &expected).unwrap();
        return;
    }
    let differs =
        (1..).zip(text.lines().zip(expected.lines())).find(|(_, (there, expected))| there != expected);
    assert!(
        text == expected,
        "REDIS_GUIDE.md is out of date: UPDATE=1 cargo test -p interview --test guide findable\n{differs:?}"
    );
}

/// The text with its generated parts written anew.
fn refreshed(text: &str) -> String {
    let guide = parsed(text);
    let (body, definitions) = text
        .split_once("\n[1]: #")
        .map_or((text, String::new()), |(body, rest)| (body, format!("[1]: #{rest}")));
    let moved = renumbered(&definitions, &guide);
    let mut refreshed = String::new();
    for section in sections(body.trim_end()) {
        match section.lines().next() {
            Some("## Contents") => refreshed.push_str(&contents(&guide)),
            Some("## Index") => refreshed.push_str(&index(&guide)),
            Some("## Cheat sheet" | "## Study paths" | "## Features by version") => {
                refreshed.push_str(&with_new_numbers(section, &moved));
            }
            _ => refreshed.push_str(section),
        }
        refreshed.truncate(refreshed.trim_end().len());
        refreshed.push_str("\n\n");
    }
    for (_, question) in guide.questions() {
        let _ = writeln!(refreshed, "[{}]: #{}", question.number, anchor_of(question));
    }
    refreshed
}

/// The text in pieces, each of which begins with a heading of the second level (or is what stands before the first).
fn sections(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    starts.insert(0, 0);
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

fn anchor_of(question: &Question) -> String {
    anchor(&format!("{}. {}", question.number, question.title))
}

/// The questions whose numbers have changed: by the old number, the new one. The definitions still lead to the old ones.
fn renumbered(definitions: &str, guide: &Guide) -> BTreeMap<usize, usize> {
    let by_slug: BTreeMap<&str, usize> =
        guide.questions().map(|(_, question)| (question.slug.as_str(), question.number)).collect();
    let of_line = |line: &str| {
        let (number, target) = line.strip_prefix('[')?.split_once("]: #")?;
        let slug = target.strip_prefix(number)?.strip_prefix('-')?;
        Some((number.parse().ok()?, *by_slug.get(slug)?))
    };
    definitions.lines().filter_map(of_line).collect()
}

fn with_new_numbers(section: &str, moved: &BTreeMap<usize, usize>) -> String {
    let mut text = String::new();
    let mut rest = section;
    while let Some((before, after)) = rest.split_once('[') {
        let _ = write!(text, "{before}[");
        let digits = after.chars().take_while(char::is_ascii_digit).count();
        let number = after[..digits].parse().ok().filter(|_| after[digits..].starts_with(']'));
        match number.and_then(|number: usize| moved.get(&number)) {
            Some(new) => text.push_str(&new.to_string()),
            None => text.push_str(&after[..digits]),
        }
        rest = &after[digits..];
    }
    text + rest
}

fn contents(guide: &Guide) -> String {
    let mut text = "## Contents\n\n".to_owned();
    for topic in &guide.topics {
        let numbers: Vec<usize> = topic.questions.iter().map(|question| question.number).collect();
        let range = match numbers.as_slice() {
            [first, .., last] => format!("questions {first} to {last}"),
            only => format!("question {}", only[0]),
        };
        let _ = writeln!(text, "- [{}](#{}): {range}", topic.title, topic.anchor);
        for question in &topic.questions {
            let _ = writeln!(text, "  - [{}. {}](#{})", question.number, question.title, anchor_of(question));
        }
    }
    for appendix in &guide.appendices {
        let _ = writeln!(text, "- [{0}](#{1})", appendix.title, anchor(&appendix.title));
    }
    text
}

fn index(guide: &Guide) -> String {
    let mut text = "## Index\n\nThe numbers are those of the questions. A bold number: the title or the short answer names \
                    the command.\n\n### Commands\n"
        .to_owned();
    let main = commands::main_questions(guide);
    let mut letter = None;
    for (command, numbers) in commands::index(guide) {
        if command.chars().next() != letter {
            letter = command.chars().next();
            text.push('\n');
        }
        let is_main = |number| main.get(&command).is_some_and(|main| main.contains(&number));
        let _ = writeln!(text, "`{command}` {};", listed(&numbers, is_main));
    }
    text.push_str("\n### Terms\n\n");
    for (term, numbers) in terms::index(guide) {
        let _ = writeln!(text, "- {term}: {}", listed(&numbers, |_| false));
    }
    text
}

fn listed(numbers: &BTreeSet<usize>, bold: impl Fn(usize) -> bool) -> String {
    let shown = |&number| if bold(number) { format!("**[{number}]**") } else { format!("[{number}]") };
    numbers.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The numbers that a line names as `[15]`.
fn named_in(line: &str) -> BTreeSet<usize> {
    line.split('[').filter_map(|after| after.split_once(']')?.0.parse().ok()).collect()
}

/// The lines of one of the pages at the end.
fn page(guide: &Guide, title: &str) -> Vec<String> {
    let found = guide.appendices.iter().find(|appendix| appendix.title == title);
    found.map(|appendix| appendix.lines.clone()).unwrap_or_default()
}

#[test]
fn every_number_at_the_end_is_that_of_a_question() {
    let (_, guide) = guide();
    let all: BTreeSet<usize> = guide.questions().map(|(_, question)| question.number).collect();
    for line in guide.appendices.iter().flat_map(|appendix| &appendix.lines) {
        assert!(named_in(line).is_subset(&all), "{line}");
    }
}

/// A row says no more than its questions do: they have its commands, its words in code, and its version.
#[test]
fn the_pages_at_the_end_repeat_what_their_questions_say() {
    let (text, guide) = guide();
    let index = commands::index(&guide);
    let texts = texts_of_questions(&text, &guide);
    for line in ["Cheat sheet", "Features by version"].iter().flat_map(|title| page(&guide, title)) {
        let numbers = named_in(&line);
        let is_row = line.starts_with("| ") && !line.starts_with("| ---");
        if !is_row || line.ends_with("| Questions |") {
            continue;
        }
        assert!(!numbers.is_empty(), "this row names no question: {line}");
        for command in commands::in_prose(&line) {
            let known = index.get(&command).is_some_and(|questions| !questions.is_disjoint(&numbers));
            assert!(known, "no question of this row has {command}: {line}");
        }
        let says = |wanted: &str| numbers.iter().any(|number| texts[number].contains(wanted));
        for code in line.split('`').skip(1).step_by(2) {
            assert!(code.contains(' ') || says(code), "no question of this row has {code}: {line}");
        }
        let first = line.trim_start_matches("| ").split(" |").next().unwrap_or_default();
        if let Some((name @ ("Redis" | "Valkey"), version)) = first.split_once(' ') {
            let major = version.strip_suffix(".0").map(|major| format!("{name} {major}"));
            assert!(
                says(version) || major.is_some_and(|major| says(&major)),
                "{version} is not in {numbers:?}: {line}"
            );
        }
    }
}

/// All of each question, with its examples.
fn texts_of_questions<'a>(text: &'a str, guide: &Guide) -> BTreeMap<usize, &'a str> {
    let of = |question: &Question| {
        let heading = format!("\n### {}. ", question.number);
        let (_, body) = text.split_once(&heading).unwrap();
        body.find("\n### ").map_or(body, |end| &body[..end])
    };
    guide.questions().map(|(_, question)| (question.number, of(question))).collect()
}

#[test]
fn study_paths_name_what_the_programs_know() {
    let (_, guide) = guide();
    let paths = fs::read_to_string(file().with_file_name("crates/tour/src/path.rs")).unwrap();
    let words = page(&guide, "Study paths").join("\n").replace(['`', ',', '.'], " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    for pair in words.windows(2) {
        match pair {
            ["--topic", topic] => {
                assert!(guide.topics.iter().any(|known| known.anchor == *topic), "no topic is {topic}");
            }
            ["--path", path] => {
                let variant = path[..1].to_uppercase() + &path[1..];
                assert!(paths.contains(&format!("Self::{variant} =>")), "the tour has no path {path}");
            }
            ["tour", lesson] if !lesson.starts_with('-') => {
                let known = lessons().into_iter().any(|(_, known)| known.name == *lesson);
                assert!(known, "there is no lesson {lesson}");
            }
            _ => {}
        }
    }
}

#[test]
fn numbers_follow_their_questions() {
    let moved = BTreeMap::from([(1, 2), (12, 1)]);
    assert_eq!(with_new_numbers("[1], [12], [3] and [x](#1) [12x", &moved), "[2], [1], [3] and [x](#1) [12x");
}
