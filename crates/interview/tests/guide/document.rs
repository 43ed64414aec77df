//! The guide as a document: numbers, contents, links, and the lessons beside it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;

use bulk_performance::BulkLesson;
use complex_structures::StructureLesson;
use ecommerce_patterns::PatternLesson;
use interview::guide::{self, Guide, Level, anchor};
use lab_runner::{Course, Lesson};
use operations::OperationsLesson;
use shopping_cart::CartLesson;
use simple_ops::SimpleLesson;
use work_patterns::WorkLesson;

fn built_in() -> &'static Guide {
    Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"))
}

/// A file of the workspace, by its path from the top.
fn workspace_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Every lesson of the tour, in order, with the folder of its crate.
pub fn lessons() -> Vec<(&'static str, &'static Lesson)> {
    let of = |folder: &'static str, lessons: Vec<&'static Lesson>| {
        lessons.into_iter().map(move |lesson| (folder, lesson)).collect::<Vec<_>>()
    };
    [
        of("crates/simple-ops/", SimpleLesson::lessons()),
        of("crates/complex-structures/", StructureLesson::lessons()),
        of("crates/bulk-performance/", BulkLesson::lessons()),
        of("crates/shopping-cart/", CartLesson::lessons()),
        of("crates/ecommerce-patterns/", PatternLesson::lessons()),
        of("crates/work-patterns/", WorkLesson::lessons()),
        of("crates/operations/", OperationsLesson::lessons()),
    ]
    .concat()
}

/// For each lesson, the numbers of the questions that link to it.
fn questions_of_lessons(guide: &Guide) -> BTreeMap<&'static str, BTreeSet<usize>> {
    let linking = |name: &str| {
        let linking =
            guide.questions().filter(|(_, question)| question.lessons().iter().any(|known| known == name));
        linking.map(|(_, question)| question.number).collect()
    };
    lessons().into_iter().map(|(_, lesson)| (lesson.name, linking(lesson.name))).collect()
}

#[test]
fn questions_are_numbered_without_a_gap() {
    let guide = built_in();
    for (expected, (_, question)) in (1..).zip(guide.questions()) {
        assert_eq!(question.number, expected, "REDIS_GUIDE.md:{}: {}", question.line, question.title);
    }
}

#[test]
fn every_level_occurs() {
    for level in Level::ALL {
        let occurs = built_in().questions().any(|(_, question)| question.level == level);
        assert!(occurs, "no question is {}", level.name());
    }
}

/// In the guide and the other pages at the top: the file is there, and so is the heading.
#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let pages = ["REDIS_GUIDE.md", "README.md", "ARCHITECTURE.md"];
    let mut dead = Vec::new();
    for page in pages {
        for link in guide::links(&fs::read_to_string(workspace_file(page)).unwrap()) {
            let (path, fragment) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let path = if path.is_empty() { page } else { path };
            let there = path.contains("://") || workspace_file(path).exists();
            let has_heading =
                fragment.is_empty() || !pages.contains(&path) || headings(path).contains(fragment);
            if !there || !has_heading {
                dead.push(format!("{page}: {}", link.target));
            }
        }
    }
    assert!(dead.is_empty(), "these links lead nowhere: {dead:#?}");
}

/// Where links to the headings of a page lead, without `#`. Within a fence, `#` is no heading.
fn headings(page: &str) -> HashSet<String> {
    let mut in_fence = false;
    let mut anchors = HashSet::new();
    for line in fs::read_to_string(workspace_file(page)).unwrap().lines() {
        in_fence ^= line.starts_with("```");
        let title = line.trim_start_matches('#');
        if !in_fence && title.len() < line.len() && title.starts_with(' ') {
            anchors.insert(anchor(title));
        }
    }
    anchors
}

#[test]
fn every_lesson_is_linked_from_a_question() {
    let unlinked = questions_of_lessons(built_in()).into_iter().filter(|(_, numbers)| numbers.is_empty());
    let unlinked: Vec<&str> = unlinked.map(|(name, _)| name).collect();
    assert!(
        unlinked.is_empty(),
        "no question links to {unlinked:?}; questions link to lessons under See, as [`name`](crates/…)"
    );
}

/// The quiz names the lessons of a question by its links, so what looks like the name of a lesson must be one.
#[test]
fn links_into_lessons_name_lessons() {
    let known: BTreeSet<&str> = lessons().into_iter().map(|(_, lesson)| lesson.name).collect();
    for (_, question) in built_in().questions() {
        for name in question.lessons() {
            assert!(known.contains(name.as_str()), "question {} links to {name}", question.number);
        }
    }
}

/// At its end, a lesson names its questions and `cargo interview --lesson`. Both are the questions that link to the lesson.
/// `UPDATE=1 cargo test -p interview --test guide numbers_of_lessons` writes the numbers into the lessons and into README.md,
/// section "The tutorial, in order", where they are the last column of the table.
#[test]
fn numbers_of_lessons_are_those_of_the_questions_that_link_there() {
    let guide = Guide::parse(&fs::read_to_string(workspace_file("REDIS_GUIDE.md")).unwrap())
        .unwrap_or_else(|errors| panic!("{errors}"));
    let linking = questions_of_lessons(&guide);
    let mut expected: Vec<(PathBuf, String, String)> = Vec::new();
    let mut rows = fs::read_to_string(workspace_file("README.md")).unwrap();
    for (folder, lesson) in lessons() {
        let numbers: Vec<String> = linking[lesson.name].iter().map(usize::to_string).collect();
        let numbers = numbers.join(", ");
        if numbers.is_empty() {
            continue;
        }
        let of_its_name = format!("{folder}src/{}.rs", lesson.name.replace('-', "_"));
        let mut files =
            std::iter::once(of_its_name.as_str()).chain(lesson.sources.iter().map(|file| file.path));
        let source = files.find(|path| workspace_file(path).is_file()).map(workspace_file).unwrap();
        let text = fs::read_to_string(&source).unwrap();
        let wanted = replaced_between(&text, "    quiz: &[", "]", &numbers);
        expected.push((source, text, wanted));
        let row = rows.lines().find(|row| row.split(" | ").nth(1) == Some(&format!("`{}`", lesson.name)));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for `{}`", lesson.name)).to_owned();
        let (cells, _) = row.trim_end_matches([' ', '|']).rsplit_once(" | ").unwrap();
        rows = rows.replace(&row, &format!("{cells} | {numbers} |"));
    }
    let readme = workspace_file("README.md");
    expected.push((readme.clone(), fs::read_to_string(readme).unwrap(), rows));
    let stale: Vec<_> = expected.into_iter().filter(|(_, text, wanted)| text != wanted).collect();
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        for (file, _, wanted) in &stale {
            fs::write(file, wanted).unwrap();
        }
    } else {
        let files: Vec<_> = stale.iter().map(|(file, ..)| file).collect();
        assert!(
            files.is_empty(),
            "UPDATE=1 cargo test -p interview --test guide numbers_of_lessons: {files:?}"
        );
    }
}

/// The text with something else between the first `from` and the `to` after it.
fn replaced_between(text: &str, from: &str, to: &str, new: &str) -> String {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from:?}")) + from.len();
    let end = start + text[start..].find(to).unwrap();
    format!("{}{new}{}", &text[..start], &text[end..])
}

#[test]
fn anchors_are_those_of_github() {
    for (heading, expected) in [
        ("Data types and encodings", "data-types-and-encodings"),
        ("Pub/sub, streams", "pubsub-streams"),
        ("Locks & why `fencing`", "locks--why-fencing"),
        ("Clients: pools, time-outs", "clients-pools-time-outs"),
        ("snake_case 2.0", "snake_case-20"),
        ("Zürich", "zürich"),
    ] {
        assert_eq!(anchor(heading), expected);
    }
}
