//! What is wrong with a guide, and where.

use std::fmt;

/// One deviation from the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line of the guide.
    pub line: usize,
    /// What is expected there.
    pub problem: String,
}

impl Fault {
    /// A fault on this line.
    pub fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

/// Everything that is wrong, in the order of the lines; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Fault { line, problem }) in self.0.iter().enumerate() {
            let end_of_last = if index == 0 { "" } else { "\n" };
            write!(f, "{end_of_last}REDIS_GUIDE.md:{line}: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
