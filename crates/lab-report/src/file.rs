//! Where a report goes, and how the data of an earlier one comes back.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::document::Kind;

/// The largest report, in bytes.
pub const LARGEST: usize = 1_000_000;
/// An earlier report that is larger than this is none of ours, in bytes.
const LARGEST_TO_READ: u64 = 16_000_000;
/// What each report begins with.
pub(crate) const BEGINNING: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"generator\" content=\"redis-lab report\">";
/// What the embedded JSON begins with; the kind of the run and the time follow.
pub(crate) const DATA: &str = "<script type=\"application/json\" id=\"data\" data-kind=\"";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The path names a directory, or no file at all.
    #[error("this is not the name of a file")]
    NoFile,
    /// The directory is not there.
    #[error("there is no directory '{}'", .0.display())]
    NoDirectory(PathBuf),
    /// Something else is there already.
    #[error("this file exists and was not written by this program; it stays as it is")]
    NotAReport,
    /// An earlier report has no data that can be read.
    #[error("this file is not a report of this program, or it is damaged: {0}")]
    NoData(String),
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A file that will hold a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    path: PathBuf,
}

impl ReportFile {
    /// Makes sure that a report can be written there: the directory exists and takes a file of the largest size, and an existing file
    /// is an earlier report. Leaves nothing behind.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let file = Self { path: path.into() };
        if file.path.file_name().is_none() || file.path.is_dir() {
            return Err(ReportError::NoFile);
        }
        let directory = file.directory();
        if !directory.is_dir() {
            return Err(ReportError::NoDirectory(directory.to_owned()));
        }
        file.check_existing()?;
        let mut trial = file.beside()?;
        trial.write_all(&vec![b' '; LARGEST])?;
        trial.as_file().sync_all()?;
        Ok(file)
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the report to a file beside it and then renames that, so nobody sees half a report.
    pub fn write(&self, html: &str) -> Result<(), ReportError> {
        // Somebody may have put another file there during the run.
        self.check_existing()?;
        let mut new = self.beside()?;
        new.write_all(html.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn check_existing(&self) -> Result<(), ReportError> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
            // A rename would replace a link and leave the file that it names.
            Ok(metadata) if !metadata.is_file() => Err(ReportError::NotAReport),
            Ok(_) => {
                let mut beginning = Vec::new();
                fs::File::open(&self.path)?.take(BEGINNING.len() as u64).read_to_end(&mut beginning)?;
                if beginning == BEGINNING.as_bytes() { Ok(()) } else { Err(ReportError::NotAReport) }
            }
        }
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn beside(&self) -> Result<tempfile::NamedTempFile, ReportError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".redis-lab-report-").suffix(".html");
        // A report is for others to read; a temporary file would be for its owner only.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        Ok(builder.tempfile_in(self.directory())?)
    }
}

/// The data of an earlier report.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    /// Where it is.
    pub path: PathBuf,
    /// What kind of run it was.
    pub kind: Kind,
    /// When it was written.
    pub made: String,
    /// What `--json` printed.
    pub document: Value,
}

impl Earlier {
    /// Reads the embedded JSON of a report.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let path = path.into();
        let mut html = String::new();
        fs::File::open(&path)?.take(LARGEST_TO_READ).read_to_string(&mut html)?;
        let missing = |what: &str| ReportError::NoData(what.to_owned());
        if !html.starts_with(BEGINNING) {
            return Err(missing("it begins otherwise"));
        }
        let (_, data) = html.split_once(DATA).ok_or_else(|| missing("it has no data"))?;
        let (attributes, data) = data.split_once('>').ok_or_else(|| missing("its data has no beginning"))?;
        let (data, _) = data.split_once("</script>").ok_or_else(|| missing("its data has no end"))?;
        let mut attributes = attributes.split('"');
        let kind = attributes.next().and_then(Kind::named).ok_or_else(|| missing("its kind is unknown"))?;
        let made = attributes.nth(1).unwrap_or_default().to_owned();
        let document = serde_json::from_str(data).map_err(|error| missing(&error.to_string()))?;
        Ok(Self { path, kind, made, document })
    }
}

/// The time now, as `2026-11-29 22:30 UTC`.
pub(crate) fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3_600 % 24, seconds / 60 % 60)
}

/// The date of a day, counted from 1970-01-01.
fn date(mut day: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while let Some(days) = months.get(month)
        && day >= *days
    {
        day -= days;
        month += 1;
    }
    (year, month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        let dates = [0, 58, 59, 11_016, 20_786].map(date);
        assert_eq!(dates, [(1970, 1, 1), (1970, 2, 28), (1970, 3, 1), (2000, 2, 29), (2026, 11, 29)]);
    }
}
