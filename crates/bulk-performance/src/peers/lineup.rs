//! Which peers take part: those whose programs are found here, each with what it needs.

use std::path::Path;
use std::sync::Arc;

use lab_connection::Target;
use lab_measure::insert::InsertMany;
use lab_measure::peers::{write_hsets, write_values};
use lab_runner::{LessonError, activity};

use crate::peers::baseline::Baseline;
use crate::peers::benchmark::Benchmark;
use crate::peers::fixtures::{Fixtures, no_file, write_file};
use crate::peers::peer::Peer;
use crate::peers::place::Place;
use crate::peers::redis_py;
use crate::peers::tools::{Tool, Tools};

/// The peers that can write the records here, and what they share.
pub struct Lineup {
    /// What they share.
    pub fixtures: Fixtures,
    peers: Vec<Peer>,
    /// What was found of the programs, in their own words.
    pub(crate) versions: Vec<String>,
    left_out: Vec<String>,
}

impl Lineup {
    /// Finds the programs, writes the files, tries `redis-benchmark` for its best setting, and prepares the RDB file.
    pub async fn prepare(
        target: &Target,
        records: u64,
        tools: Option<&Path>,
        place: Result<Place, String>,
    ) -> Result<Self, LessonError> {
        let fixtures = Fixtures::prepare(target, records).await?;
        let peers = vec![Peer::LoaderHset, Peer::Loader];
        let mut lineup = Self { fixtures, peers, versions: Vec::new(), left_out: Vec::new() };
        match place {
            Ok(place) => {
                let tools = Tools::find(tools, target);
                lineup.add_cli(tools.cli, &place).await?;
                lineup.add_benchmark(tools.benchmark, &place).await?;
                lineup.add_redis_rs();
                lineup.add_redis_py(tools.python, &place).await?;
            }
            Err(why) => {
                lineup.left_out.push(format!("redis-cli, redis-benchmark and redis-py: {why}"));
                lineup.add_redis_rs();
            }
        }
        activity::set("peers: preparing the RDB file");
        match Baseline::prepare(&lineup.fixtures).await {
            Ok(baseline) => lineup.peers.push(Peer::RdbFile(baseline)),
            Err(why) => lineup.left_out.push(format!("the RDB file: {why}")),
        }
        Ok(lineup)
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

    async fn add_cli(&mut self, cli: Result<Tool, String>, place: &Place) -> Result<(), LessonError> {
        match cli {
            Ok(tool) => {
                let (keys, records) = (self.fixtures.keys.clone(), self.fixtures.records);
                let path = self.fixtures.commands_file();
                activity::set("peers: writing the commands to a file");
                write_file(path, move |file| write_hsets(&keys, records, file)).await?;
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
                activity::set("peers: trying redis-benchmark");
                Benchmark::at_its_best(&self.fixtures, tool.path, place)
                    .await
                    .map(|benchmark| (benchmark, version))
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
        self.fixtures.clear(true).await?;
        Ok(())
    }

    fn add_redis_rs(&mut self) {
        let depths = [10, 100, 1_000, 10_000];
        self.peers.extend(depths.map(|depth| Peer::RedisRs(InsertMany::Pipelined { depth })));
        self.peers.push(Peer::RedisRs(InsertMany::Overlapped { depth: 1_000 }));
    }

    async fn add_redis_py(&mut self, python: Result<Tool, String>, place: &Place) -> Result<(), LessonError> {
        match python {
            Ok(tool) => {
                let (people, records) = (Arc::clone(&self.fixtures.people), self.fixtures.records);
                let path = self.fixtures.values_file();
                activity::set("peers: writing the values to a file");
                write_file(path, move |file| write_values(&people, records, file)).await?;
                std::fs::write(self.fixtures.script_file(), redis_py::SCRIPT)
                    .map_err(|error| no_file(&error))?;
                self.versions.push(tool.version);
                self.peers.push(Peer::RedisPy { program: tool.path, place: place.clone() });
            }
            Err(why) => self.left_out.push(why),
        }
        Ok(())
    }
}
