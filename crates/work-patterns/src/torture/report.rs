//! What a run found: a table, JSON, and whether a promise broke.

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_runner::environment::machine;
use lab_runner::render::wrap;
use lab_runner::report::{self, Kind, ReportArgs};
use lab_runner::table::{Table, bytes, thousands};
use serde::Serialize;
use serde_json::{Value, json};

use crate::torture::Options;
use crate::torture::accounts::Tally;
use crate::torture::host::Host;
use crate::torture::speed::{self, Speed};
use crate::torture::subject::Subject;
use crate::torture::workload::Workload;

/// How the figures came about.
const METHOD: &str = "Producers and workers are processes of their own. This program kills workers and its own server with SIGKILL, at moments \
                      that the seed chooses, and starts them again. Every effect of a job is written down. In the end it counts: jobs that \
                      the server acknowledged and that are nowhere, effects beyond the first, and jobs among the dead letters that \
                      never fail.";

/// A run, as data. Serialized, it has these fields only.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// When the private server called fsync, or "not ours".
    pub fsync: String,
    /// Jobs that were to be enqueued.
    pub jobs: u64,
    /// Jobs whose effect happened.
    pub completed: u64,
    /// Jobs that the server acknowledged and that are nowhere.
    pub lost: u64,
    /// Effects in the queue's own slot beyond the first of each job.
    pub doubled_effects: u64,
    /// Jobs that were set apart because they lost too many workers.
    pub quarantined: u64,
    /// Dead letters that are no poison.
    pub innocents_dead_lettered: u64,
    /// Poison among the dead letters.
    pub poison_dead_lettered: u64,
    /// Attempts that began because a worker or the server was lost.
    pub redelivered: u64,
    /// From the start of the processes until no job was left.
    pub seconds: f64,
    /// Jobs a second, kills included.
    pub jobs_per_second: f64,
    /// From the kill of a worker until a job that it held ran again, in milliseconds; none if none did. Jobs for which the server was away,
    /// too, are left out.
    pub recovery_ms_p50: Option<f64>,
    /// The same, 99 of 100.
    pub recovery_ms_p99: Option<f64>,

    #[serde(skip)]
    pub(crate) details: Details,
}

/// What the table shows besides.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    name: String,
    server: String,
    poison: u64,
    left: u64,
    keeps_everything: bool,
    killings: Killings,
    tally: Tally,
}

/// What was killed.
#[derive(Clone, Debug, Default)]
pub struct Killings {
    /// Workers.
    pub workers: u32,
    /// Times that the server was.
    pub server: u32,
    /// Kills that were not due before the jobs were done.
    pub skipped: u32,
    /// Workers that ended without being killed.
    pub ended_by_themselves: u32,
    /// What the last of those said.
    pub last_words: Option<String>,
    /// Bytes of the append-only file that no fsync had covered, and which went with the server.
    pub bytes_cut: u64,
}

impl Report {
    pub(crate) fn new(
        subject: &Subject,
        host: &Host,
        workload: &Workload,
        seconds: f64,
        left: u64,
        killings: Killings,
        tally: Tally,
    ) -> Self {
        let jobs = workload.jobs.len() as u64;
        let recovery = |share| percentile(&tally.recovery_ms, share);
        Self {
            seed: workload.seed,
            fsync: if host.is_private() { workload.fsync.to_string() } else { "not ours".into() },
            jobs,
            completed: tally.completed,
            // Some of those that were not completed are still there.
            lost: (tally.lost.len() as u64).saturating_sub(left),
            doubled_effects: tally.doubled_effects,
            quarantined: tally.quarantined,
            innocents_dead_lettered: tally.innocents_dead.len() as u64,
            poison_dead_lettered: tally.poison_dead,
            redelivered: tally.redelivered,
            seconds,
            jobs_per_second: jobs as f64 / seconds.max(1e-9),
            recovery_ms_p50: recovery(0.5),
            recovery_ms_p99: recovery(0.99),
            details: Details {
                name: subject.name().to_owned(),
                server: host.server(),
                poison: jobs - workload.innocents(),
                left,
                keeps_everything: host.keeps_everything(),
                killings,
                tally,
            },
        }
    }

    /// Prints it.
    pub fn show(&self, as_json: bool) {
        if as_json {
            Terminal.document(&json!(self));
            self.note_what_broke();
            return;
        }
        Terminal.line(&self.table().to_text(Terminal.text_width()));
        Terminal.line("");
        for promise in self.promises() {
            let mark = if promise.held { "✓" } else { "✗" };
            Terminal.paragraph(&format!("{mark} {}", promise.text));
        }
        Terminal.paragraph(&format!("To repeat it: --seed {}", self.seed));
    }

    /// Writes the report, if one is wanted; the document is what `--json` prints.
    pub fn write(&self, document: &Value, options: &Options) -> Result<(), Failure> {
        let args = ReportArgs { report: options.report.clone(), compare: None };
        let checks: Vec<(bool, String)> =
            self.promises().into_iter().map(|promise| (promise.held, promise.text)).collect();
        let Killings { workers, server, .. } = self.details.killings;
        let mut environment = vec![
            self.details.name.clone(),
            format!("seed {}", self.seed),
            format!("fsync {}", self.fsync),
            format!("workers killed: {}", thousands(f64::from(workers))),
            format!("server killed: {}", thousands(f64::from(server))),
            self.details.server.clone(),
        ];
        environment.extend(machine());
        let report = report::Report {
            kind: Kind::Torture,
            title: "Torture: jobs whose workers and server are killed",
            question: "Which jobs are lost, and which effects happen twice, when processes die at random?",
            method: &[METHOD],
            checks: &checks,
            environment: &environment,
            document,
            earlier: None,
        };
        args.finish(report, options.json)
    }

    /// A run beside others, as a row of [`compared`].
    fn cells(&self) -> [String; 9] {
        let Details { name, left, killings, tally, .. } = &self.details;
        let count = |number: u64| thousands(number as f64);
        let recovery = self.recovery_ms_p50.map_or("-".into(), |time| format!("{:.1} s", time / 1e3));
        [
            name.clone(),
            count(self.lost),
            count(*left),
            count(self.doubled_effects),
            count(self.innocents_dead_lettered),
            count(tally.poison_missing.len() as u64),
            killings.ended_by_themselves.to_string(),
            recovery,
            thousands(self.jobs_per_second),
        ]
    }

    /// An error if a promise broke.
    pub fn verdict(&self) -> Result<(), Failure> {
        let broken: Vec<String> =
            self.promises().into_iter().filter(|promise| !promise.held).map(|promise| promise.text).collect();
        if broken.is_empty() {
            return Ok(());
        }
        let what = format!("A promise broke (seed {}).", self.seed);
        Err(Failure::new(Class::CheckFailed, what, broken.join(" ")))
    }

    /// The document has figures only, and the exit code says only that a promise broke.
    fn note_what_broke(&self) {
        for promise in self.promises().iter().filter(|promise| !promise.held) {
            Terminal.note(&wrap(&promise.text, Terminal.text_width(), "✗ ", "  "));
        }
    }

    fn table(&self) -> Table {
        let Details { name, poison, left, killings, tally, .. } = &self.details;
        let count = |number: u64| thousands(number as f64);
        let milliseconds =
            |time: Option<f64>| time.map_or("-".into(), |time| format!("{} ms", thousands(time)));
        let mut table = Table::new("", &[name, ""])
            .row(["jobs", &count(self.jobs)])
            .row(["completed", &count(self.completed)])
            .row(["lost", &count(self.lost)])
            .row(["doubled effects, in the queue's slot", &count(self.doubled_effects)])
            .row([
                "poison in the dead letters",
                &format!("{} of {}", count(self.poison_dead_lettered), count(*poison)),
            ])
            .row(["innocents in the dead letters", &count(self.innocents_dead_lettered)])
            .row(["quarantined: workers lost too often", &count(self.quarantined)])
            .row(["workers killed", &count(u64::from(killings.workers))])
            .row(["server killed", &count(u64::from(killings.server))])
            .row(["attempts after a kill", &count(self.redelivered)])
            .row(["doubled effects elsewhere, of those", &count(tally.doubled_elsewhere)])
            .row(["a killed worker's job ran again after, median", &milliseconds(self.recovery_ms_p50)])
            .row(["99 of 100", &milliseconds(self.recovery_ms_p99)])
            .row(["seconds", &format!("{:.1}", self.seconds)])
            .row(["jobs/s, kills included", &thousands(self.jobs_per_second)]);
        let cut = usize::try_from(killings.bytes_cut).unwrap_or(usize::MAX);
        for (what, shown, text) in [
            ("still left at the end", *left > 0, count(*left)),
            (
                "kills that were not due before the end",
                killings.skipped > 0,
                count(u64::from(killings.skipped)),
            ),
            (
                "workers that ended by themselves",
                killings.ended_by_themselves > 0,
                count(u64::from(killings.ended_by_themselves)),
            ),
            ("taken with the page cache", cut > 0, bytes(cut)),
        ] {
            if shown {
                table = table.row([what, &text]);
            }
        }
        table
    }

    fn promises(&self) -> Vec<Promise> {
        let Details { poison, left, keeps_everything, killings, tally, .. } = &self.details;
        let mut promises = Vec::new();
        let mut promise = |held: bool, text: String| promises.push(Promise { held, text });
        promise(*left == 0, format!("No job is left in the queue: {left}."));
        promise(
            killings.ended_by_themselves == 0,
            match &killings.last_words {
                Some(words) => format!(
                    "No worker has to be started again because the server was away: {}, the last of which said: {words}.",
                    killings.ended_by_themselves
                ),
                None => "No worker had to be started again because the server was away.".into(),
            },
        );
        promise(
            self.doubled_effects == 0,
            format!("No effect in the queue's slot twice: {}.", self.doubled_effects),
        );
        promise(tally.too_early == 0, format!("No job for later began too early: {}.", tally.too_early));
        promise(
            tally.innocents_dead.is_empty(),
            format!("No innocent job among the dead letters: {}.", some(&tally.innocents_dead)),
        );
        if !keeps_everything {
            let text = format!(
                "With fsync {} nothing is promised about what a power cut takes: {} jobs lost that the server had acknowledged.",
                self.fsync, self.lost
            );
            promise(true, text);
            return promises;
        }
        promise(self.lost == 0, format!("No job lost: {}.", some(&tally.lost)));
        promise(
            tally.poison_missing.is_empty(),
            format!("All poison in the dead letters: {} of {poison}.", self.poison_dead_lettered),
        );
        promise(
            tally.unprovoked == 0,
            format!(
                "A job ran again only if its worker or the server was killed, {} times; without a kill: {}.",
                self.redelivered, tally.unprovoked
            ),
        );
        promises
    }
}

/// Prints the runs and the speeds of all queues, and returns their document.
pub fn show_beside_peers(
    ours: &Report,
    peers: &[Report],
    speeds: &[Speed],
    missing: &[String],
    jobs: u64,
    as_json: bool,
) -> Value {
    let mut document = json!(ours);
    let named = |report: &Report| {
        let mut named = json!(report);
        named["name"] = json!(report.details.name);
        named["left"] = json!(report.details.left);
        named["ended_by_themselves"] = json!(report.details.killings.ended_by_themselves);
        named
    };
    document["peers"] = peers.iter().map(named).collect();
    document["speeds"] = json!(speeds);
    document["left_out"] = json!(missing);
    if as_json {
        Terminal.document(&document);
        ours.note_what_broke();
        return document;
    }
    ours.show(false);
    Terminal.line("");
    let all: Vec<&Report> = std::iter::once(ours).chain(peers).collect();
    Terminal.line(&compared(&all).to_text(Terminal.text_width()));
    Terminal.line("");
    Terminal.paragraph(
        "Left: jobs of killed workers that no worker had got by the end of the wait (--peers-wait). Doubled: effects beyond the first \
         of a job. Innocents: dead letters that never fail. Poison: poison that is not among the dead letters. Ended: workers that \
         had to be started again because the server was away. Recovery: the median time until a job of a killed worker ran again, \
         of those that did.",
    );
    Terminal.line("");
    for table in [speed::table(speeds, jobs), speed::due_table(speeds)] {
        Terminal.paragraph(&table.title);
        Terminal.line(&table.to_text(Terminal.text_width()));
        Terminal.line("");
    }
    for speed in speeds {
        if let Some(why) = &speed.due_at_once_failed {
            Terminal.paragraph(&format!("Not all jobs that were due at once ran: {why}"));
        }
    }
    for why in missing {
        Terminal.paragraph(&format!("Left out: {why}"));
    }
    document
}

/// This project's queue and its peers, in one table.
#[must_use]
pub fn compared(reports: &[&Report]) -> Table {
    let header = ["queue", "lost", "left", "doubled", "innocents", "poison", "ended", "recovery", "jobs/s"];
    reports.iter().fold(Table::new("", &header), |table, report| table.row(report.cells()))
}

struct Promise {
    held: bool,
    text: String,
}

fn some(jobs: &[u64]) -> String {
    let first: Vec<String> = jobs.iter().take(5).map(|number| format!("job-{number}")).collect();
    match jobs.len() {
        0 => "0".into(),
        all if all > first.len() => format!("{all} ({}, …)", first.join(", ")),
        all => format!("{all} ({})", first.join(", ")),
    }
}

/// The smallest value that so many of the sorted ones do not exceed.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index, between 0 and the length"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}
