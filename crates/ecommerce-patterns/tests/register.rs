//! No lesson is missing from the register.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::ValueEnum;
use ecommerce_patterns::PatternLesson;
use lab_runner::Course;

#[test]
fn every_file_with_a_lesson_is_in_the_register() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
    let with_lesson = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| fs::read_to_string(path).unwrap().contains("pub const LESSON: Lesson"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().replace('_', "-"));
    let registered =
        PatternLesson::lessons().iter().map(|lesson| lesson.name.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(with_lesson.collect::<BTreeSet<_>>(), registered);
}

#[test]
fn the_command_line_calls_a_lesson_as_the_lesson_calls_itself() {
    for entry in PatternLesson::value_variants() {
        let value = entry.to_possible_value().unwrap();
        assert_eq!(value.get_name(), entry.lesson().name);
    }
}

#[test]
fn names_and_titles_are_unique() {
    let lessons = PatternLesson::lessons();
    let names: BTreeSet<&str> = lessons.iter().map(|lesson| lesson.name).collect();
    let titles: BTreeSet<&str> = lessons.iter().map(|lesson| lesson.title).collect();
    assert_eq!((names.len(), titles.len()), (lessons.len(), lessons.len()));
}
