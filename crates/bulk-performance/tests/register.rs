//! No lesson is missing from the register.

use std::path::Path;

use bulk_performance::BulkLesson;

#[test]
fn every_lesson_is_in_the_register_under_its_own_name() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let faults = lab_runner::register::faults::<BulkLesson>(&source).unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}
