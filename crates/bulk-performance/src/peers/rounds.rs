//! The peers take turns; each turn is timed, then what it wrote is read back and removed.

use std::time::Duration;

use lab_runner::harness::{self, Rounds, Rows};
use lab_runner::resource_usage::{ResourceUsage, Stopwatch};
use lab_runner::{LessonError, Terminal, activity};
use redis::RedisResult;

use crate::peers::command_stats::{CommandCost, CommandStats};
use crate::peers::fixtures::Fixtures;
use crate::peers::lineup::Lineup;
use crate::peers::peer::{Found, Peer, PeerReport};
use crate::peers::programs::cpu_of_children;

/// How long noisy peers are repeated, all together.
const REPEAT_BUDGET: Duration = Duration::from_secs(30);
/// Random numbers repeat: of N draws from N, 1 - 1/e are different, 63%. Fewer than half are no accident.
const FEWEST_OF_RANDOM: f64 = 0.5;
/// With fewer records than this they may be one.
const ENOUGH_TO_COUNT: u64 = 100;

/// A peer and its turns.
#[derive(Clone, Debug)]
pub struct Row {
    /// The peer.
    pub peer: Peer,
    /// Its turns that ended well.
    pub turns: Vec<Turn>,
    /// Why it has no further turns.
    pub failed: Option<String>,
    /// Whether what it wrote was found wrong, which no peer may do.
    pub wrong: bool,
}

impl Row {
    /// Whether it has turns, and none that failed.
    pub(crate) fn works(&self) -> bool {
        self.failed.is_none() && !self.turns.is_empty()
    }
}

/// One turn that ended well.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Time on the wall clock, processor time of this process, and the server's.
    pub usage: ResourceUsage,
    /// Processor seconds of this process and of the programs that it started; known on Linux only.
    pub client_cpu_seconds: Option<f64>,
    /// What was read back.
    pub found: Found,
    /// What the peer itself reports.
    pub report: PeerReport,
    pub(crate) commands: Vec<(String, CommandCost)>,
}

/// Gives every peer a turn in every round, and noisy ones more. Afterward, nothing of the records is left.
pub async fn run(lineup: &Lineup, rounds: u32) -> Result<Vec<Row>, LessonError> {
    let row = |peer: &Peer| Row { peer: peer.clone(), turns: Vec::new(), failed: None, wrong: false };
    let fixtures = &lineup.fixtures;
    let mut peers = Peers { fixtures, rows: lineup.peers().iter().map(row).collect(), turns: 0, rounds };
    let plan = Rounds { rounds: rounds as usize, budget: Duration::MAX, repeat_budget: REPEAT_BUDGET };
    let turns = harness::measure(&mut peers, plan).await?;
    for (row, turns) in peers.rows.iter_mut().zip(turns) {
        row.turns = turns;
    }
    fixtures.leave().await?;
    Ok(peers.rows)
}

struct Peers<'a> {
    fixtures: &'a Fixtures,
    rows: Vec<Row>,
    turns: usize,
    rounds: u32,
}

impl Rows for Peers<'_> {
    type Sample = Turn;

    fn count(&self) -> usize {
        self.rows.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<Turn>, LessonError> {
        let (round, first) = (self.turns / self.rows.len() + 1, self.turns.is_multiple_of(self.rows.len()));
        if first && round <= self.rounds as usize {
            Terminal.note(&format!("Round {round} of {}: {} peers.", self.rounds, self.rows.len()));
        }
        self.turns += 1;
        activity::set(format!("peers: {}", self.rows[row].peer));
        if self.rows[row].failed.is_some() {
            Ok(None)
        } else {
            take_turn(self.fixtures, &mut self.rows[row]).await
        }
    }

    fn figure(&self, _: usize, turn: &Turn) -> f64 {
        turn.usage.seconds
    }
}

/// What fails here is the peer's failure, unless the server does not answer to us either.
async fn take_turn(fixtures: &Fixtures, row: &mut Row) -> Result<Option<Turn>, LessonError> {
    let turn = match time(fixtures, &row.peer).await {
        Ok(turn) => Ok(Turn { found: row.peer.found(fixtures).await?, ..turn }),
        Err(why) => Err(why),
    };
    clean_up(fixtures, &row.peer).await?;
    let verified = turn.and_then(|turn| {
        verify(fixtures, turn.found).inspect_err(|_| row.wrong = true)?;
        Ok(turn)
    });
    match verified {
        Ok(turn) => Ok(Some(turn)),
        Err(why) => {
            row.failed = Some(why);
            Ok(None)
        }
    }
}

/// A turn; what was written is not read back yet.
async fn time(fixtures: &Fixtures, peer: &Peer) -> Result<Turn, String> {
    let mut connection = fixtures.target.connection();
    let before = CommandStats::ask(&mut connection).await;
    let children_before = cpu_of_children();
    let watch = Stopwatch::start(&fixtures.target).await;
    let report = peer.run(fixtures).await;
    let mut usage = watch.stop().await;
    let after = CommandStats::ask(&mut connection).await;
    let report = report?;
    let mut client_cpu_seconds = Some(usage.client_cpu_seconds);
    if peer.is_a_program() {
        let children = cpu_of_children().zip(children_before).map(|(now, before)| (now - before).max(0.0));
        client_cpu_seconds = children.map(|seconds| seconds + usage.client_cpu_seconds);
    }
    if let Some(seconds) = report.seconds {
        // Another server than the one that the stopwatch asked.
        usage = ResourceUsage { seconds, ..ResourceUsage::default() };
        client_cpu_seconds = None;
    }
    let commands = if matches!(peer, Peer::RdbFile(_)) { Vec::new() } else { after.since(&before) };
    Ok(Turn { usage, client_cpu_seconds, found: Found::Others(0), report, commands })
}

fn verify(fixtures: &Fixtures, found: Found) -> Result<(), String> {
    match found {
        Found::Records(content) if content == fixtures.expected => Ok(()),
        Found::Records(content) => Err(format!(
            "it left {} records with digest {:016x}; {} with {:016x} were expected",
            content.records, content.digest, fixtures.expected.records, fixtures.expected.digest
        )),
        Found::Others(records) if fixtures.records < ENOUGH_TO_COUNT && records > 0 => Ok(()),
        Found::Others(records) if records as f64 >= FEWEST_OF_RANDOM * fixtures.records as f64 => Ok(()),
        Found::Others(records) => Err(format!("it left only {records} records")),
    }
}

async fn clean_up(fixtures: &Fixtures, peer: &Peer) -> RedisResult<()> {
    match peer {
        Peer::RdbFile(baseline) => baseline.kill().await,
        Peer::Benchmark(_) => fixtures.clear(true).await?,
        Peer::Loader(_) => {
            fixtures.forget_loaded().await;
            fixtures.clear(false).await?;
        }
        _ => fixtures.clear(false).await?,
    }
    Ok(())
}
