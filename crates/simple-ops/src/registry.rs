//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{counters, expiry, json, strings};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SimpleLesson {
    /// SET, GET and their options; many keys at once
    Strings,
    /// TTLs, and what happens at their end
    Expiry,
    /// INCR, and what GET and SET lose
    Counters,
    /// Documents as JSON strings, Hashes or JSON values
    Json,
}

impl Course for SimpleLesson {
    const TITLE: &'static str = "Simple operations";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Strings => &strings::LESSON,
            Self::Expiry => &expiry::LESSON,
            Self::Counters => &counters::LESSON,
            Self::Json => &json::LESSON,
        }
    }
}
