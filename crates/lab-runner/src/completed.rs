//! Which lessons a person has completed, kept in a file of theirs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs, io};

/// The names of the completed lessons.
#[derive(Clone, Debug, Default)]
pub struct Completed {
    names: BTreeSet<String>,
    file: Option<PathBuf>,
}

impl Completed {
    /// Reads `redis-lab/lessons.txt` in `XDG_DATA_HOME`, or in the system's place for data of this user: one name a line. What
    /// cannot be read counts as nothing completed.
    #[must_use]
    pub fn load() -> Self {
        let chosen = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let file =
            chosen.or_else(dirs::data_local_dir).map(|folder| folder.join("redis-lab").join("lessons.txt"));
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        Self { names: text.lines().map(str::to_owned).collect(), file }
    }

    /// Whether this lesson is completed.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Marks a lesson as completed. Another run may have marked others meanwhile, so they are read again.
    pub(crate) fn add(&mut self, name: &str) -> io::Result<()> {
        self.names.extend(Self::load().names);
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let text: String = self.names.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
        // A reader sees the old file or the new one, never half of it.
        let new = file.with_extension(format!("{}.new", std::process::id()));
        fs::write(&new, text)?;
        fs::rename(new, file)
    }
}
