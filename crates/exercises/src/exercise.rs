//! An exercise and its text.

use futures_util::future::LocalBoxFuture;
use lab_runner::practice::lesson_of;
use serde::Serialize;

use crate::lab::Lab;
use crate::verdict::Verdict;

/// What the learner writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file of commands, as for redis-cli.
    Commands,
    /// A script for EVAL.
    Lua,
    /// A function that uses redis-rs.
    Rust,
}

impl Kind {
    /// How the files of this kind end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Commands => "redis",
            Self::Lua => "lua",
            Self::Rust => "rs",
        }
    }

    /// As a list shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Lua => "lua",
            Self::Rust => "rust",
        }
    }
}

/// An exercise. Its folder has `exercise.md`, the starter, a solution, and for the tests wrong answers and other right ones.
#[derive(Debug)]
pub struct Exercise {
    /// Its folder, and the learner's file without its ending.
    pub name: &'static str,
    /// What the learner writes.
    pub kind: Kind,
    /// `exercise.md`.
    pub(crate) text: &'static str,
    /// The file as the learner gets it.
    pub starter: &'static str,
    /// One right answer.
    pub solution: &'static str,
    /// How an answer is checked; none for one in Rust.
    pub(crate) check: Option<Check>,
}

/// Checks an answer on servers of the lab.
pub(crate) type Check = for<'a> fn(&'a str, &'a Lab) -> LocalBoxFuture<'a, Verdict>;

impl Exercise {
    /// The name of the learner's file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.kind.extension())
    }

    /// The lesson of the tour that it belongs to.
    #[must_use]
    pub fn lesson(&self) -> &'static str {
        lesson_of(self.name)
    }

    /// The first line of the text.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }

    /// What the starter's fault is called in its verdict.
    #[must_use]
    pub fn refused(&self) -> &'static str {
        self.text.lines().find_map(|line| line.strip_prefix("refused: ")).unwrap_or_default()
    }

    /// What to do.
    #[must_use]
    pub fn task(&self) -> &'static str {
        let (head, _) = self.text.split_once("\n## ").unwrap_or((self.text, ""));
        let (_, task) = head.split_once("refused: ").unwrap_or_default();
        task.split_once('\n').map_or("", |(_, task)| task).trim()
    }

    /// One of three hints, from 1. Each says more than the one before.
    #[must_use]
    pub fn hint(&self, number: usize) -> Option<&'static str> {
        self.section(&format!("Hint {number}"))
    }

    /// Why the solution is right.
    #[must_use]
    pub fn why(&self) -> &'static str {
        self.section("Why").unwrap_or_default()
    }

    fn section(&self, title: &str) -> Option<&'static str> {
        let sections = self.text.split("\n## ").skip(1);
        let mut found =
            sections.filter_map(|section| section.split_once('\n')).filter(|(name, _)| *name == title);
        found.next().map(|(_, text)| text.trim())
    }
}
