//! The order of the tour: the registries of the lesson crates, one after the other.

use bulk_performance::BulkLesson;
use complex_structures::StructureLesson;
use ecommerce_patterns::PatternLesson;
use lab_runner::{Course, Lesson};
use operations::OperationsLesson;
use shopping_cart::CartLesson;
use simple_ops::SimpleLesson;
use work_patterns::WorkLesson;

/// Every lesson, from the first command to the operation of servers.
pub(crate) fn all() -> Vec<&'static Lesson> {
    parts().concat()
}

/// The lessons of each crate.
pub(crate) fn parts() -> [Vec<&'static Lesson>; 7] {
    [
        SimpleLesson::lessons(),
        StructureLesson::lessons(),
        BulkLesson::lessons(),
        CartLesson::lessons(),
        PatternLesson::lessons(),
        WorkLesson::lessons(),
        OperationsLesson::lessons(),
    ]
}
