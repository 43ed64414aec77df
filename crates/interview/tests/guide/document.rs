//! The guide as a document: numbers, contents, links, and the lessons beside it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;

use bulk_performance::BulkLesson;
use complex_structures::StructureLesson;
use ecommerce_patterns::PatternLesson;
use interview::guide::{self, Guide, Level, anchor};
use lab_runner::{Course, Lesson};
use shopping_cart::CartLesson;
use simple_ops::SimpleLesson;

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
    ]
    .concat()
}

/// For each lesson, the numbers of the questions that link to it: by its name, and into its crate.
fn questions_of_lessons(guide: &Guide) -> BTreeMap<&'static str, BTreeSet<usize>> {
    let linking = |folder: &str, name: &str| {
        let links_there = |question: &guide::Question| {
            question.links().iter().any(|link| link.names(name) && link.target.starts_with(folder))
        };
        guide
            .questions()
            .filter(|(_, question)| links_there(question))
            .map(|(_, question)| question.number)
            .collect()
    };
    lessons().into_iter().map(|(folder, lesson)| (lesson.name, linking(folder, lesson.name))).collect()
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
    let guide = built_in();
    for level in Level::ALL {
        assert!(
            guide.questions().any(|(_, question)| question.level == level),
            "no question is {}",
            level.name()
        );
    }
}

#[test]
fn every_link_leads_somewhere() {
    let guide = built_in();
    let mut anchors: HashSet<String> = guide.topics.iter().map(|topic| topic.anchor.clone()).collect();
    anchors.extend(
        guide.questions().map(|(_, question)| anchor(&format!("{}. {}", question.number, question.title))),
    );
    anchors.insert(anchor("Contents"));
    anchors.extend(guide.appendices.iter().map(|appendix| anchor(&appendix.title)));
    for link in guide::links(guide::TEXT) {
        let (path, fragment) = link.target.split_once('#').unwrap_or((&link.target, ""));
        if path.contains("://") {
            continue;
        }
        if path.is_empty() {
            assert!(anchors.contains(fragment), "the guide has no heading #{fragment}");
        } else {
            assert!(
                workspace_file(path).is_file(),
                "the guide links to {path}, which is no file of the workspace"
            );
        }
    }
}

#[test]
fn every_lesson_is_linked_from_a_question() {
    let unlinked: Vec<_> = questions_of_lessons(built_in())
        .into_iter()
        .filter(|(_, numbers)| numbers.is_empty())
        .map(|(name, _)| name)
        .collect();
    assert!(unlinked.is_empty(), "no question links to these lessons, as [`name`](crates/…): {unlinked:?}");
}

/// `README.md`, section "The tutorial, in order": the table's last column is `questions`, with numbers such as `1, 2, 14`.
#[test]
fn the_learning_path_leads_from_every_lesson_to_its_questions() {
    let readme = fs::read_to_string(workspace_file("README.md")).unwrap();
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let mut wrong = Vec::new();
    if !rows.iter().any(|row| row.get(1) == Some(&"lesson") && row.last() == Some(&"questions")) {
        wrong.push("the table of lessons has no last column `questions`".to_owned());
    }
    for (lesson, linking) in questions_of_lessons(built_in()) {
        let row = rows.iter().find(|row| row.get(1) == Some(&format!("`{lesson}`").as_str()));
        let listed: Option<Vec<usize>> =
            row.and_then(|row| row.last()?.split(',').map(|number| number.trim().parse().ok()).collect());
        let listed = listed.unwrap_or_default();
        if listed.is_empty() || !listed.iter().all(|number| linking.contains(number)) {
            let numbers = linking.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            wrong.push(format!(
                "`{lesson}`: the questions that link to it are | {numbers} |, README lists {listed:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "README.md:\n{}", wrong.join("\n"));
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
