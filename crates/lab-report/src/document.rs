//! The JSON of a run, as far as a report shows it. What is missing or unknown is left out, because an earlier report may come from
//! another version.

use serde::Deserialize;
use serde_json::Value;

/// What kind of run a document is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lessons and comparisons.
    Lessons,
    /// `cargo ops drills`
    Drills,
    /// `cargo work torture`
    Torture,
    /// `cargo work torture locks`
    Locks,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Lessons, Self::Drills, Self::Torture, Self::Locks];

    /// Its name in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lessons => "lessons",
            Self::Drills => "drills",
            Self::Torture => "torture",
            Self::Locks => "locks",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Lessons that ran.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Where the server was.
    pub(crate) address: String,
    /// The server and the machine.
    pub(crate) environment: Vec<String>,
    pub(crate) lessons: Vec<Lesson>,
    /// Why it ended early.
    pub(crate) error: Option<Problem>,
}

impl Run {
    /// What of the document is known.
    #[must_use]
    pub fn read(document: &Value) -> Self {
        Self::deserialize(document).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) what: String,
    pub(crate) why: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Lesson {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) asks: String,
    pub(crate) outcome: String,
    pub(crate) page: Vec<Block>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Block {
    Step,
    Say {
        text: String,
    },
    Announcement {
        text: String,
    },
    Check {
        claim: String,
        held: bool,
    },
    Skipped {
        reason: String,
    },
    Facts(Table),
    Comparison(Comparison),
    Summary {
        #[serde(default)]
        rule: String,
        #[serde(default)]
        takeaways: Vec<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) measured: Vec<Measured>,
}

/// What the cells of a table were computed from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Measured {
    /// "records/s", for example. A time is in nanoseconds.
    pub(crate) unit: String,
    pub(crate) less_is_better: bool,
    pub(crate) rows: Vec<MeasuredRow>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MeasuredRow {
    pub(crate) label: String,
    pub(crate) rounds: Summary,
    /// Shares from 0 to 1, and the nanoseconds within which they came.
    pub(crate) latency: Vec<(f64, f64)>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Comparison {
    pub(crate) title: String,
    pub(crate) operations: u64,
    pub(crate) rounds: u64,
    pub(crate) commands: Vec<String>,
    pub(crate) rows: Vec<ComparisonRow>,
    pub(crate) caveats: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ComparisonRow {
    pub(crate) label: String,
    pub(crate) rate: Summary,
    pub(crate) ratio: f64,
    pub(crate) traffic: Traffic,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Traffic {
    pub(crate) round_trips: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

/// The rounds of a row.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// The width of the middle half, as a share of the median.
    pub(crate) spread: f64,
    pub(crate) samples: Vec<f64>,
}

/// From eight rounds on, the middle half says how far apart they are; the lowest and the highest of many are accidents.
const ENOUGH_FOR_QUARTILES: usize = 8;

impl Summary {
    /// What lies between the ends of the spread: the middle half of eight or more rounds, or all of fewer.
    pub(crate) fn ends_of_spread(&self) -> (f64, f64) {
        let mut sorted: Vec<f64> = self.samples.iter().copied().filter(|sample| sample.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&lowest), Some(&highest)) = (sorted.first(), sorted.last()) else {
            return (self.median, self.median);
        };
        if sorted.len() < ENOUGH_FOR_QUARTILES {
            return (lowest, highest);
        }
        let quarter = sorted.len() / 4;
        (sorted[quarter], sorted[sorted.len() - 1 - quarter])
    }

    /// The highest round, or the median if it has none.
    pub(crate) fn highest(&self) -> f64 {
        self.samples.iter().copied().filter(|sample| sample.is_finite()).fold(self.median.max(0.0), f64::max)
    }
}

impl Comparison {
    /// As rows with rounds.
    pub(crate) fn measured(&self) -> Measured {
        let row = |row: &ComparisonRow| MeasuredRow {
            label: row.label.clone(),
            rounds: row.rate.clone(),
            latency: Vec::new(),
        };
        Measured {
            unit: "operations/s".into(),
            less_is_better: false,
            rows: self.rows.iter().map(row).collect(),
        }
    }
}

impl Lesson {
    /// The tables with rounds, each with its title.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (&str, Measured)> {
        self.page.iter().flat_map(|block| match block {
            Block::Facts(table) => {
                table.measured.iter().map(|measured| (table.title.as_str(), measured.clone())).collect()
            }
            Block::Comparison(comparison) => vec![(comparison.title.as_str(), comparison.measured())],
            _ => Vec::new(),
        })
    }
}
