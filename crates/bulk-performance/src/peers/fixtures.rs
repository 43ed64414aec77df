//! What all peers share, made once and outside of every timing: the records, the files they read, and what to expect of them.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target, own_keys};
use lab_runner::LessonError;
use redis::RedisResult;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::keys::Keys;
use crate::load::{self, LoadPlan, Writing};
use crate::people::People;
use crate::stored::Content;

/// The commands, ready to be sent.
pub(crate) const COMMANDS_FILE: &str = "commands.resp";
/// The values, a user a line.
pub(crate) const VALUES_FILE: &str = "values.tsv";
/// The script that redis-py runs in.
pub(crate) const SCRIPT_FILE: &str = "pipeline.py";
/// Keys asked about or removed at once.
pub(crate) const BATCH: usize = 1_000;

/// The server, the records, and a directory for the peers' files.
pub struct Fixtures {
    pub(crate) target: Target,
    pub(crate) keys: Keys,
    pub(crate) people: Arc<People>,
    pub(crate) records: u64,
    pub(crate) expected: Content,
    // Removed with everything in it.
    directory: TempDir,
}

impl Fixtures {
    /// Makes the directory, and removes what earlier runs left.
    pub(crate) async fn prepare(target: &Target, records: u64) -> Result<Self, LessonError> {
        let (keys, people) = (Keys::new(target.prefix()), Arc::new(People::new()));
        let directory =
            tempfile::Builder::new().prefix("redis-lab-peers-").tempdir().map_err(|e| no_file(&e))?;
        let expected = Content::expected(&people, records);
        let fixtures = Self { target: target.clone(), keys, people, records, expected, directory };
        fixtures.forget_loaded().await;
        fixtures.clear(true).await?;
        Ok(fixtures)
    }

    /// The path of a file with this name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Removes the users, and those of `redis-benchmark` if it had its turn.
    pub(crate) async fn clear(&self, benchmark_too: bool) -> RedisResult<()> {
        let mut connection = self.target.connection();
        for first in (0..self.records).step_by(BATCH) {
            let last = self.records.min(first + BATCH as u64);
            let users: Vec<String> = (first..last).map(|number| self.keys.user(number + 1)).collect();
            own_keys::unlink(&mut connection, &users).await?;
            if benchmark_too {
                own_keys::unlink(&mut connection, &self.benchmark_users(first).collect::<Vec<_>>()).await?;
            }
        }
        Ok(())
    }

    /// The names that `redis-benchmark` may have written, from this number on, as many as are asked for at once.
    pub(crate) fn benchmark_users(&self, first: u64) -> impl Iterator<Item = String> {
        let last = self.records.min(first + BATCH as u64);
        (first..last).map(|number| self.keys.benchmark_user(number))
    }

    /// The loader begins by removing what its last run wrote, which must not cost it time here: loading one user leaves
    /// it but one to remove. A loader that fails shows that in its own row.
    pub(crate) async fn forget_loaded(&self) {
        let one = LoadPlan { records: 1, writing: Writing::Hset, ..LoadPlan::default() };
        let _ = load::users(&self.target, &one).await;
    }

    /// Afterward, no note is left of what the loader wrote either.
    pub(crate) async fn leave(&self) -> RedisResult<()> {
        self.clear(true).await?;
        own_keys::unlink(&mut self.target.connection(), &[self.keys.loaded("users")]).await?;
        Ok(())
    }
}

/// Writes a file on a thread of its own.
pub(crate) async fn write_file(
    path: PathBuf,
    write: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
) -> Result<(), Failure> {
    let written = spawn_blocking(move || File::create(path).and_then(|mut file| write(&mut file))).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| no_file(&error))
}

pub(crate) fn no_file(error: &io::Error) -> Failure {
    Failure::new(
        Class::Other,
        format!("The files for the peers cannot be written: {error}"),
        "They need about 450 bytes a record in the directory for temporary files.",
    )
    .try_next("--records N: fewer records")
    .try_next("TMPDIR=DIRECTORY: another place for temporary files")
}
