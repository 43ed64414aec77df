//! `redis-benchmark` with commands of the same shape, at the setting that suits it best here.

use std::path::PathBuf;
use std::time::Instant;

use lab_connection::Target;
use redis::RedisResult;

use crate::keys::Keys;
use crate::peers::fixtures::{BATCH, Fixtures};
use crate::peers::programs::{self, Feed};
use crate::peers::server_login::ServerLogin;
use crate::people::FIELDS;

/// Commands in a trial.
const TRIAL: u64 = 100_000;
/// A user of a private server who may do nothing but write these Hashes.
const USER: &str = "redis-lab-benchmark";
/// The values are the same for all; their lengths are those of user 1.
const VALUES: [&str; 8] = [
    "Parker",
    "Perry",
    "parker.perry.1@example.com",
    "40",
    "New York",
    "Engineering",
    "100000",
    "2020-01-01",
];

/// The program, where to send it, and how.
#[derive(Clone, Debug)]
pub struct Benchmark {
    program: PathBuf,
    login: ServerLogin,
    /// Its options, for the table.
    pub(crate) setting: &'static str,
    /// Whether it goes as [`USER`].
    borrowed: bool,
}

/// Connections and commands in a pipeline that are tried. More threads help where one is not enough to keep the server busy.
const SETTINGS: [&str; 5] =
    ["-c 50 -P 100", "-c 50 -P 16", "-c 10 -P 200", "-c 4 -P 1000", "-c 50 -P 100 --threads 2"];

impl Benchmark {
    /// Tries each setting for a moment and keeps the fastest.
    pub(crate) async fn at_its_best(
        fixtures: &Fixtures,
        program: PathBuf,
        login: &ServerLogin,
    ) -> Result<Self, String> {
        let borrowed = login.needs_login();
        if borrowed && fixtures.target.private().is_none() {
            return Err(
                "redis-benchmark takes a password only as an argument, which everybody can read".into()
            );
        }
        let login = if borrowed { login.without_password(USER) } else { login.clone() };
        let mut benchmark = Self { program, login, setting: SETTINGS[0], borrowed };
        let mut best = (f64::INFINITY, SETTINGS[0]);
        for setting in SETTINGS {
            benchmark.setting = setting;
            let started = Instant::now();
            benchmark.write(fixtures, fixtures.records.min(TRIAL)).await?;
            let seconds = started.elapsed().as_secs_f64();
            if seconds < best.0 {
                best = (seconds, setting);
            }
        }
        benchmark.setting = best.1;
        Ok(benchmark)
    }

    /// Writes as many commands as there are records.
    pub(crate) async fn run(&self, fixtures: &Fixtures) -> Result<(), String> {
        self.write(fixtures, fixtures.records).await
    }

    async fn write(&self, fixtures: &Fixtures, commands: u64) -> Result<(), String> {
        let mut command = self.login.redis_benchmark(&self.program);
        command.arg("-q").args(self.setting.split(' '));
        command.args(["-r", &fixtures.records.to_string(), "-n", &commands.to_string(), "HSET"]);
        command.arg(fixtures.keys.benchmark_users());
        for (field, value) in FIELDS.iter().zip(VALUES) {
            command.args([*field, value]);
        }
        if !self.borrowed {
            return programs::run(command, Feed::Nothing).await.map(|_| ());
        }
        lend_user(&fixtures.target, &fixtures.keys).await?;
        let written = programs::run(command, Feed::Nothing).await.map(|_| ());
        take_user_back(&fixtures.target).await;
        written
    }

    /// How many records there are after a run: random numbers repeat, so about 63% of its commands make a new one.
    pub(crate) async fn count(&self, fixtures: &Fixtures) -> RedisResult<u64> {
        let mut connection = fixtures.target.connection();
        let mut found = 0;
        for first in (0..fixtures.records).step_by(BATCH) {
            let mut pipeline = redis::pipe();
            for key in fixtures.benchmark_users(first) {
                pipeline.cmd("EXISTS").arg(key);
            }
            found += pipeline.query_async::<Vec<u64>>(&mut connection).await?.iter().sum::<u64>();
        }
        Ok(found)
    }
}

/// A user without a password for the time of one run, on our own server, which only this machine reaches.
async fn lend_user(target: &Target, keys: &Keys) -> Result<(), String> {
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg(USER).arg(&["reset", "on", "nopass", "+select", "+hset"]);
    command.arg(format!("~{}", keys.users_pattern()));
    let lent = command.exec_async(&mut target.connection()).await;
    lent.map_err(|error| format!("redis-benchmark gets no user: {}", target.explain(&error).what()))
}

async fn take_user_back(target: &Target) {
    // A server that does not answer any more says so in the next command that matters.
    let _ = redis::cmd("ACL").arg("DELUSER").arg(USER).exec_async(&mut target.connection()).await;
}
