//! What all peers share, made once and outside of every timing: the files they read, and what to expect of them.

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
use crate::load::{self, Plan, Writing};
use crate::peers::benchmark::Benchmark;
use crate::peers::floor::Floor;
use crate::peers::peer::Peer;
use crate::peers::place::Place;
use crate::peers::tools::{Tool, Tools};
use crate::peers::{Options, commands, redis_py};
use crate::people::People;
use crate::stored::Content;

/// Keys asked about or removed at once.
pub(crate) const BATCH: usize = 1_000;

/// The server, the records, and the peers that can write them here.
pub struct Stage {
    pub(crate) target: Target,
    pub(crate) keys: Keys,
    pub(crate) people: Arc<People>,
    pub(crate) records: u64,
    pub(crate) expected: Content,
    pub(crate) peers: Vec<Peer>,
    /// What was found of the programs, in their own words.
    pub(crate) versions: Vec<String>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<String>,
    pub(crate) floor: Option<Floor>,
    // Removed with everything in it.
    directory: TempDir,
}

impl Stage {
    /// Finds the programs, writes the files, tries `redis-benchmark` for its best setting, prepares the RDB file, and
    /// removes what earlier runs left.
    pub async fn prepare(
        target: &Target,
        options: &Options,
        place: Result<Place, String>,
    ) -> Result<Self, LessonError> {
        let (keys, people) = (Keys::new(target.prefix()), Arc::new(People::new()));
        let directory =
            tempfile::Builder::new().prefix("redis-lab-peers-").tempdir().map_err(|e| no_file(&e))?;
        let mut stage = Self {
            target: target.clone(),
            expected: Content::expected(&people, options.records),
            keys,
            people,
            records: options.records,
            peers: vec![Peer::LoaderHset, Peer::Loader],
            versions: Vec::new(),
            left_out: Vec::new(),
            floor: None,
            directory,
        };
        stage.forget_loaded().await;
        stage.clear(true).await?;
        match place {
            Ok(place) => {
                let tools = Tools::find(options.tools.as_deref(), target);
                stage.add_cli(tools.cli, &place).await?;
                stage.add_benchmark(tools.benchmark, &place).await?;
                stage.add_redis_rs();
                stage.add_redis_py(tools.python, &place).await?;
            }
            Err(why) => {
                stage.left_out.push(format!("redis-cli, redis-benchmark and redis-py: {why}"));
                stage.add_redis_rs();
            }
        }
        match Floor::prepare(&stage).await {
            Ok(floor) => {
                stage.floor = Some(floor);
                stage.peers.push(Peer::RdbFile);
            }
            Err(why) => stage.left_out.push(format!("the RDB file: {why}")),
        }
        Ok(stage)
    }

    /// The peers, in the order of the table.
    #[must_use]
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// What was left out, and why, a sentence each.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The commands, ready to be sent.
    pub(crate) fn commands_file(&self) -> PathBuf {
        self.directory.path().join("commands.resp")
    }

    /// The values, a user a line.
    pub(crate) fn values_file(&self) -> PathBuf {
        self.directory.path().join("values.tsv")
    }

    /// The script that redis-py runs in.
    pub(crate) fn script_file(&self) -> PathBuf {
        self.directory.path().join("pipeline.py")
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
        let _ =
            load::users(&self.target, &Plan { records: 1, writing: Writing::Hset, ..Plan::default() }).await;
    }

    /// Afterwards no note is left of what the loader wrote either.
    pub(crate) async fn leave(&self) -> RedisResult<()> {
        self.clear(true).await?;
        own_keys::unlink(&mut self.target.connection(), &[self.keys.loaded("users")]).await?;
        Ok(())
    }

    async fn add_cli(&mut self, cli: Result<Tool, String>, place: &Place) -> Result<(), LessonError> {
        match cli {
            Ok(tool) => {
                let (keys, people, records) = (self.keys.clone(), Arc::clone(&self.people), self.records);
                write_file(self.commands_file(), move |file| {
                    commands::write_hsets(&keys, &people, records, file)
                })
                .await?;
                self.versions.push(tool.version);
                self.peers.push(Peer::PipeFile { program: tool.path.clone(), place: place.clone() });
                self.peers.push(Peer::PipeGenerator { program: tool.path, place: place.clone() });
            }
            Err(why) => self.left_out.push(why),
        }
        Ok(())
    }

    async fn add_benchmark(
        &mut self,
        benchmark: Result<Tool, String>,
        place: &Place,
    ) -> Result<(), LessonError> {
        let found = match benchmark {
            Ok(tool) => {
                let version = tool.version.clone();
                Benchmark::at_its_best(self, tool.path, place).await.map(|benchmark| (benchmark, version))
            }
            Err(why) => Err(why),
        };
        match found {
            Ok((benchmark, version)) => {
                self.versions.push(version);
                self.peers.push(Peer::Benchmark(benchmark));
            }
            Err(why) => self.left_out.push(why),
        }
        // What the trials wrote.
        self.clear(true).await?;
        Ok(())
    }

    fn add_redis_rs(&mut self) {
        self.peers.extend([10, 100, 1_000, 10_000].map(|depth| Peer::Pipelines { depth }));
        self.peers.push(Peer::Overlapped { depth: 1_000 });
    }

    async fn add_redis_py(&mut self, python: Result<Tool, String>, place: &Place) -> Result<(), LessonError> {
        match python {
            Ok(tool) => {
                let (people, records) = (Arc::clone(&self.people), self.records);
                write_file(self.values_file(), move |file| commands::write_values(&people, records, file))
                    .await?;
                std::fs::write(self.script_file(), redis_py::SCRIPT).map_err(|error| no_file(&error))?;
                self.versions.push(tool.version);
                self.peers.push(Peer::RedisPy { program: tool.path, place: place.clone() });
            }
            Err(why) => self.left_out.push(why),
        }
        Ok(())
    }
}

async fn write_file(
    path: PathBuf,
    write: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
) -> Result<(), Failure> {
    let written = spawn_blocking(move || File::create(path).and_then(|mut file| write(&mut file))).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| no_file(&error))
}

fn no_file(error: &io::Error) -> Failure {
    Failure::new(
        Class::Other,
        format!("The files for the peers cannot be written: {error}"),
        "They need about 450 bytes a record in the directory for temporary files.",
    )
    .try_next("--records N: fewer records")
    .try_next("TMPDIR=DIRECTORY: another place for temporary files")
}
