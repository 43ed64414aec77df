//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{compare, story};

/// The lessons of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CartLesson {
    /// The story of a cart.
    Cart,
    /// Hash, Sorted Set and JSON string side by side.
    CartShapes,
}

impl Course for CartLesson {
    const TITLE: &'static str = "Shopping cart";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Cart => &story::LESSON,
            Self::CartShapes => &compare::LESSON,
        }
    }
}
