//! Turns the JSON of a run into one HTML file with charts. It needs no network, and no script to read it.
//!
//! In reading order:
//!
//! 1. [`mod@file`]: where a report goes, and how the data of an earlier one comes back.
//! 2. [`document`]: the JSON of a run, as far as a report shows it.
//! 3. [`change`]: what changed between two runs, beyond noise.
//! 4. `section`: each table becomes a chart, a table of numbers, and the words that belong to it. `drills` and `torture` do it for
//!    the two runs that are no lessons.
//! 5. `chart`: bars with rounds, percentile curves, columns, and heat maps, as SVG.
//! 6. `page`: the HTML around them; `html` escapes it.

pub mod change;
mod chart;
pub mod document;
mod drills;
pub mod file;
mod html;
mod page;
mod section;
mod torture;

use serde_json::Value;

pub use self::change::{Changes, RULE};
pub use self::document::Kind;
pub use self::file::{Earlier, ReportError, ReportFile};

/// What a report shows.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What kind of run the document is of.
    pub kind: Kind,
    /// The heading; empty for lessons, which have their own.
    pub title: &'a str,
    /// The question that the run answers; empty for lessons.
    pub question: &'a str,
    /// How the figures came about.
    pub method: &'a [&'a str],
    /// What was claimed, and whether it held.
    pub checks: &'a [(bool, String)],
    /// What the figures hold for: the server and the machine, each as a few words; empty for lessons.
    pub environment: &'a [String],
    /// What `--json` prints.
    pub document: &'a Value,
    /// An earlier run to lay below this one.
    pub earlier: Option<&'a Earlier>,
}

impl<'a> Report<'a> {
    /// Of lessons, whose document has everything.
    #[must_use]
    pub fn of_lessons(document: &'a Value) -> Self {
        Self {
            kind: Kind::Lessons,
            title: "",
            question: "",
            method: &[],
            checks: &[],
            environment: &[],
            document,
            earlier: None,
        }
    }

    /// The HTML. All texts of the document are escaped. Its size is at most [`file::LARGEST`] bytes, if the tables allow it: when the
    /// embedded JSON is too large, it leaves out first the lines of source code, then the commands and replies, then the
    /// explanations, and says so.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::html(self)
    }

    /// What changed since the earlier run; `None` if there is none.
    #[must_use]
    pub fn changes(&self) -> Option<Changes> {
        let earlier = self.earlier?;
        Some(Changes::between(&document::Run::read(&earlier.document), &document::Run::read(self.document)))
    }
}
