//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{analytics, caching, inventory, rate_limits, real_time, recommendations, search, sessions};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PatternLesson {
    /// Sessions that slide, rotate, and end everywhere
    Sessions,
    /// Cache-aside, stampedes, and one loader for all
    Caching,
    /// Stock that is held, sold, and returned, and checkout
    Inventory,
    /// Recent views, popularity, bought together
    Recommendations,
    /// Four limiters on the same traffic, and failed logins
    RateLimits,
    /// Flash sale, notifications, stores nearby, live stock
    RealTime,
    /// Autocomplete and facets
    Search,
    /// Metrics, visitors, revenue, funnels, retention
    Analytics,
}

impl Course for PatternLesson {
    const TITLE: &'static str = "E-commerce patterns";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Sessions => &sessions::LESSON,
            Self::Caching => &caching::LESSON,
            Self::Inventory => &inventory::LESSON,
            Self::Recommendations => &recommendations::LESSON,
            Self::RateLimits => &rate_limits::LESSON,
            Self::RealTime => &real_time::LESSON,
            Self::Search => &search::LESSON,
            Self::Analytics => &analytics::LESSON,
        }
    }
}
