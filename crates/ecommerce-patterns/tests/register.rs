//! No lesson is missing from the register.

use std::path::Path;

use ecommerce_patterns::PatternLesson;

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let faults = lab_runner::register::faults::<PatternLesson>(&source).unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_lesson_without_a_file_is_a_fault() {
    let elsewhere = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let faults = lab_runner::register::faults::<PatternLesson>(&elsewhere).unwrap();
    assert!(faults.iter().any(|fault| fault.contains("'sessions' has no file")), "{faults:#?}");
}
