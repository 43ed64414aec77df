//! The learner's folder: one file for each exercise, and what is done. Nothing that a learner wrote is ever lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exercise::Exercise;

/// The folder's name in the project, which git ignores.
pub const FOLDER: &str = "exercises-work";
const PROGRESS: &str = "progress.json";
const LOCK: &str = "progress.lock";

/// The learner's folder.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
}

/// What is kept between two runs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Progress {
    /// The names of the exercises that were solved once.
    pub done: BTreeSet<String>,
    /// How many hints were shown.
    pub hints: BTreeMap<String, usize>,
}

impl Work {
    /// Opens the folder, and makes it if there is none.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The learner's file of an exercise.
    #[must_use]
    pub fn file(&self, exercise: &Exercise) -> PathBuf {
        self.folder.join(exercise.file_name())
    }

    /// Writes the starter if the learner has no file yet. Returns the learner's file.
    pub fn begin(&self, exercise: &Exercise) -> io::Result<PathBuf> {
        let file = self.file(exercise);
        match fs::OpenOptions::new().write(true).create_new(true).open(&file) {
            Ok(mut new) => new.write_all(exercise.starter.as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    /// What the learner wrote. Bytes that are no text are shown as replacement characters, and the check will say so.
    pub fn read(&self, exercise: &Exercise) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.begin(exercise)?)?).into_owned())
    }

    /// Puts the starter back. What the learner wrote is copied to a file beside it first, whose path is returned.
    pub fn reset(&self, exercise: &Exercise) -> io::Result<Option<PathBuf>> {
        let file = self.file(exercise);
        let written = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.begin(exercise)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if written == exercise.starter.as_bytes() {
            return Ok(None);
        }
        let copy = self.keep(&exercise.file_name(), &written)?;
        fs::write(&file, exercise.starter)?;
        Ok(Some(copy))
    }

    /// Copies a file to a name that no other copy has.
    fn keep(&self, name: &str, written: &[u8]) -> io::Result<PathBuf> {
        for number in 1.. {
            let copy = self.folder.join(format!("{name}.{number}"));
            match fs::File::create_new(&copy) {
                Ok(mut file) => {
                    file.write_all(written)?;
                    return Ok(copy);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many copies"))
    }

    /// What is done. A file that cannot be read counts as none, and is kept as it is until something is done.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let text = fs::read(self.folder.join(PROGRESS)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Changes what is done, in one step.
    pub fn change(&self, change: impl FnOnce(&mut Progress)) -> io::Result<()> {
        // Two runs at once take turns.
        let lock = fs::File::options().create(true).append(true).open(self.folder.join(LOCK))?;
        lock.lock()?;
        let mut progress = self.progress();
        change(&mut progress);
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer_pretty(&mut file, &progress)?;
        file.persist(self.folder.join(PROGRESS)).map_err(|error| error.error)?;
        Ok(())
    }
}
