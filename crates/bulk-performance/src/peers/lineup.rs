//! Which peers take part: those whose programs are found here, each with what it needs.

use std::path::Path;
use std::sync::Arc;

use lab_connection::Target;
use lab_measure::insert::InsertMany;
use lab_measure::peers::{write_hsets, write_values};
use lab_runner::{LessonError, activity};

use crate::load::Writing;
use crate::peers::baseline::Baseline;
use crate::peers::benchmark::Benchmark;
use crate::peers::fixtures::{COMMANDS_FILE, Fixtures, SCRIPT_FILE, VALUES_FILE, no_file, write_file};
use crate::peers::peer::{PYTHON_SCRIPT, Peer, Program};
use crate::peers::programs::{Tool, Tools};
use crate::peers::server_login::ServerLogin;

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
        login: Result<ServerLogin, String>,
    ) -> Result<Self, LessonError> {
        let fixtures = Fixtures::prepare(target, records).await?;
        let peers = [Writing::Hset, Writing::Auto].map(Peer::Loader).to_vec();
        let mut lineup = Self { fixtures, peers, versions: Vec::new(), left_out: Vec::new() };
        match login {
            Ok(login) => {
                let tools = Tools::find(tools, target);
                match tools.cli {
                    Ok(tool) => lineup.add_cli(tool, &login).await?,
                    Err(why) => lineup.left_out.push(why),
                }
                match tools.benchmark {
                    Ok(tool) => lineup.add_benchmark(tool, &login).await?,
                    Err(why) => lineup.left_out.push(why),
                }
                lineup.add_redis_rs();
                match tools.python {
                    Ok(tool) => lineup.add_redis_py(tool, &login).await?,
                    Err(why) => lineup.left_out.push(why),
                }
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
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// What was left out, and why, a sentence each.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    async fn add_cli(&mut self, tool: Tool, login: &ServerLogin) -> Result<(), LessonError> {
        let (keys, records) = (self.fixtures.keys.clone(), self.fixtures.records);
        activity::set("peers: writing the commands to a file");
        write_file(self.fixtures.file(COMMANDS_FILE), move |file| write_hsets(&keys, records, file)).await?;
        self.versions.push(tool.version);
        let program = Program { path: tool.path, login: login.clone() };
        self.peers.extend([Peer::PipeFile(program.clone()), Peer::PipeGenerator(program)]);
        Ok(())
    }

    async fn add_benchmark(&mut self, tool: Tool, login: &ServerLogin) -> Result<(), LessonError> {
        activity::set("peers: trying redis-benchmark");
        match Benchmark::at_its_best(&self.fixtures, tool.path, login).await {
            Ok(benchmark) => {
                self.versions.push(tool.version);
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

    async fn add_redis_py(&mut self, tool: Tool, login: &ServerLogin) -> Result<(), LessonError> {
        let (people, records) = (Arc::clone(&self.fixtures.people), self.fixtures.records);
        activity::set("peers: writing the values to a file");
        write_file(self.fixtures.file(VALUES_FILE), move |file| write_values(&people, records, file)).await?;
        std::fs::write(self.fixtures.file(SCRIPT_FILE), PYTHON_SCRIPT).map_err(|error| no_file(&error))?;
        self.versions.push(tool.version);
        self.peers.push(Peer::RedisPy(Program { path: tool.path, login: login.clone() }));
        Ok(())
    }
}
