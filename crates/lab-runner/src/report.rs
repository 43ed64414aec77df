//! `--report` and `--compare`: the results as one HTML file, and what changed since an earlier one.

use std::sync::Arc;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_report::change::Verdict;
use lab_report::{Changes, RULE};
pub use lab_report::{Earlier, Kind, Report, ReportFile};

use crate::table::Table;
use crate::terminal::Terminal;

/// What is written besides. Both files are checked while the flags are read, so a wrong path ends the program before a long run begins.
#[derive(Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// Write the results to one HTML file, too: charts, method, caveats, and data
    #[arg(long, value_name = "FILE.html", value_parser = report_file())]
    pub report: Option<ReportFile>,

    /// Compare with this earlier report, and say what changed beyond noise; with --report, the charts show both
    #[arg(long, value_name = "OLD.html", value_parser = earlier_report())]
    pub compare: Option<Arc<Earlier>>,
}

/// Reads the value of `--report`, and makes sure that it can be written.
pub fn report_file() -> impl TypedValueParser<Value = ReportFile> {
    PathBufValueParser::new().try_map(ReportFile::at)
}

/// Reads the report that `--compare` names. It must be one of lessons.
pub fn earlier_report() -> impl TypedValueParser<Value = Arc<Earlier>> {
    PathBufValueParser::new().try_map(|path| {
        Earlier::read(path).map_err(|error| error.to_string()).and_then(|earlier| match earlier.kind {
            Kind::Lessons => Ok(Arc::new(earlier)),
            other => {
                Err(format!(
                    "this is a report of {}; --compare needs one of lessons or comparisons, as from `cargo bulk insert --report old.html`",
                    other.name()
                ))
            }
        })
    })
}

impl ReportArgs {
    /// Whether `--report` or `--compare` was given.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.report.is_some() || self.compare.is_some()
    }

    /// An error if either flag was given to a command that has nothing to report. `what` names the command.
    pub fn refuse(&self, what: &str) -> Result<(), Failure> {
        if !self.is_wanted() {
            return Ok(());
        }
        let why = "Reports are for lessons and comparisons.";
        Err(Failure::new(Class::Usage, format!("{what} has no report."), why)
            .try_next("leave out --report and --compare"))
    }

    /// Writes the report, laid over the one of `--compare`, and says what changed; with `json`, on standard error.
    pub fn finish(&self, report: Report<'_>, json: bool) -> Result<(), Failure> {
        let earlier = self.compare.as_deref();
        let report = Report { earlier, ..report };
        if let (Some(changes), Some(earlier)) = (report.changes(), earlier) {
            show_changes(&changes, earlier, json);
        }
        let Some(file) = &self.report else { return Ok(()) };
        let path = file.path().display().to_string();
        match file.write(&report.to_html()) {
            Ok(()) => {
                Terminal.note(&format!("Report: {path}"));
                Ok(())
            }
            Err(error) => {
                let failure = Failure::new(
                    Class::Other,
                    format!("The report '{path}' cannot be written."),
                    error.to_string(),
                )
                .try_next("choose another path for --report; --json prints the same data on standard output");
                if json {
                    // The document is printed already.
                    Terminal.note(&failure.to_string());
                }
                Err(failure)
            }
        }
    }
}

fn show_changes(changes: &Changes, earlier: &Earlier, json: bool) {
    let show = |text: &str| if json { Terminal.note(text) } else { Terminal.line(text) };
    let paragraph = |text: &str| show(&crate::render::wrap(text, Terminal.text_width(), "", ""));
    show("");
    paragraph(&format!("Since {} ({}): {}", earlier.path.display(), earlier.made, changes.summary()));
    let mut table = Table::new("", &["row", "table", "before", "now", "change", "verdict"]);
    for change in changes.beyond_noise() {
        let verdict = match change.verdict {
            Verdict::Better => "▲ better",
            _ => "▼ worse",
        };
        let figures =
            [change.shown(change.before), change.shown(change.now), format!("{:+.0}%", change.percent())];
        let texts = [change.row.clone(), change.table.clone()].into_iter();
        table = table.row(texts.chain(figures).chain([verdict.to_owned()]));
    }
    if !table.rows.is_empty() {
        show(&table.to_text(Terminal.width()));
    }
    changes.environment.iter().chain(&changes.unmatched).for_each(|text| paragraph(text));
    paragraph(RULE);
}
