//! What holds for every register of lessons. Each crate's tests ask, so that no lesson is forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::lesson::Course;

/// What is wrong with a register, in words; nothing if all is well. `source` is the folder in which each lesson has a file
/// of its name, `sorted_sets.rs` for `sorted-sets`.
pub fn problems<L: Course>(source: &Path) -> io::Result<Vec<String>> {
    let mut problems = Vec::new();
    let lessons = L::lessons();
    let registered: BTreeSet<String> = lessons.iter().map(|lesson| lesson.name.to_owned()).collect();
    let written = files_with_a_lesson(source)?;
    for missing in written.difference(&registered) {
        problems.push(format!("the lesson '{missing}' is in no register"));
    }
    for missing in registered.difference(&written) {
        problems.push(format!("the lesson '{missing}' has no file of its name"));
    }
    let titles: BTreeSet<&str> = lessons.iter().map(|lesson| lesson.title).collect();
    if registered.len() < lessons.len() || titles.len() < lessons.len() {
        problems.push("two lessons have the same name or title".to_owned());
    }
    for entry in L::value_variants() {
        let called = entry.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let name = entry.lesson().name;
        if called != name {
            problems.push(format!("the command line calls the lesson '{name}' '{called}'"));
        }
    }
    Ok(problems)
}

fn files_with_a_lesson(source: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(source)? {
        let path = entry?.path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if is_rust && fs::read_to_string(&path)?.contains("pub static LESSON: Lesson") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().replace('_', "-")));
        }
    }
    Ok(names)
}
