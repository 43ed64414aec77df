//! What a run found: a table, JSON, and whether a promise broke.

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_runner::environment::machine;
use lab_runner::render::wrap;
use lab_runner::report::{self, Kind, ReportArgs};
use lab_runner::table::{Table, bytes, thousands};
use serde_json::{Value, json};

use crate::torture::Options;
use crate::torture::accounts::Tally;
use crate::torture::speed::{self, Speed};

/// How the figures came about.
const METHOD: &str = "Producers and workers are processes of their own. This program kills workers and its own server with SIGKILL, at moments \
                      that the seed chooses, and starts them again. Every effect of a job is written down. In the end it counts: jobs that \
                      the server acknowledged and that are nowhere, effects beyond the first, and jobs among the dead letters that \
                      never fail.";

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The queue, as tables name it.
    pub(crate) name: String,
    pub(crate) server: String,
    pub(crate) seed: u64,
    /// When the private server called fsync, or "not ours".
    pub(crate) fsync: String,
    /// Whether everything that was acknowledged must be there at the end.
    pub(crate) keeps_everything: bool,
    /// Jobs that were to be enqueued.
    pub(crate) jobs: u64,
    /// Those that fail whenever they run.
    pub(crate) poison: u64,
    /// Jobs that still wait, run, or are for later.
    pub(crate) left: u64,
    /// From the start of the processes until no job was left.
    pub(crate) seconds: f64,
    pub(crate) killings: Killings,
    pub(crate) tally: Tally,
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
    /// What `--json` prints.
    pub fn document(&self) -> Value {
        let tally = &self.tally;
        json!({
            "seed": self.seed,
            "fsync": self.fsync,
            "jobs": self.jobs,
            "completed": tally.completed,
            "lost": self.lost(),
            "doubled_effects": tally.doubled_effects,
            "quarantined": tally.quarantined,
            "innocents_dead_lettered": tally.innocents_dead.len(),
            "poison_dead_lettered": tally.poison_dead,
            "redelivered": tally.redelivered,
            "seconds": self.seconds,
            "jobs_per_second": self.jobs_per_second(),
            "recovery_ms_p50": self.recovery_ms(0.5),
            "recovery_ms_p99": self.recovery_ms(0.99),
        })
    }

    /// Jobs that the server acknowledged and that are nowhere. Some of those that were not completed are still there.
    fn lost(&self) -> u64 {
        (self.tally.lost.len() as u64).saturating_sub(self.left)
    }

    /// Kills included.
    fn jobs_per_second(&self) -> f64 {
        self.jobs as f64 / self.seconds.max(1e-9)
    }

    /// From the kill of a worker until a job that it held ran again: the smallest value that so many do not exceed; none if no job did.
    fn recovery_ms(&self, share: f64) -> Option<f64> {
        let sorted = &self.tally.recovery_ms;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index, between 0 and the length"
        )]
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }

    /// Prints it.
    pub fn show(&self, as_json: bool) {
        if as_json {
            Terminal.document(&self.document());
            self.note_what_broke();
            return;
        }
        Terminal.line(&self.table().to_text(Terminal.text_width()));
        Terminal.line("");
        for (held, promise) in self.promises() {
            let mark = if held { "✓" } else { "✗" };
            Terminal.paragraph(&format!("{mark} {promise}"));
        }
        Terminal.paragraph(&format!("To repeat it: --seed {}", self.seed));
    }

    /// Writes the report, if one is wanted; the document is what `--json` prints.
    pub fn write(&self, document: &Value, options: &Options) -> Result<(), Failure> {
        let args = ReportArgs { report: options.report.clone(), compare: None };
        let Killings { workers, server, .. } = self.killings;
        let mut environment = vec![
            self.name.clone(),
            format!("seed {}", self.seed),
            format!("fsync {}", self.fsync),
            format!("workers killed: {}", thousands(f64::from(workers))),
            format!("server killed: {}", thousands(f64::from(server))),
            self.server.clone(),
        ];
        environment.extend(machine());
        let report = report::Report {
            kind: Kind::Torture,
            title: "Torture: jobs whose workers and server are killed",
            question: "Which jobs are lost, and which effects happen twice, when processes die at random?",
            method: &[METHOD],
            checks: &self.promises(),
            environment: &environment,
            document,
            earlier: None,
        };
        args.finish(report, options.json)
    }

    /// A row in the table beside others.
    fn cells(&self) -> [String; 9] {
        let tally = &self.tally;
        [
            self.name.clone(),
            count(self.lost()),
            count(self.left),
            count(tally.doubled_effects),
            count(tally.innocents_dead.len() as u64),
            count(tally.poison_missing.len() as u64),
            self.killings.ended_by_themselves.to_string(),
            self.recovery_ms(0.5).map_or("-".into(), |time| format!("{:.1} s", time / 1e3)),
            thousands(self.jobs_per_second()),
        ]
    }

    /// An error if a promise broke.
    pub fn verdict(&self) -> Result<(), Failure> {
        let broken = self.broken();
        if broken.is_empty() {
            return Ok(());
        }
        let what = format!("A promise broke (seed {}).", self.seed);
        Err(Failure::new(Class::CheckFailed, what, broken.join(" ")))
    }

    /// The document has figures only, and the exit code says only that a promise broke.
    fn note_what_broke(&self) {
        for promise in self.broken() {
            Terminal.note(&wrap(&promise, Terminal.text_width(), "✗ ", "  "));
        }
    }

    fn broken(&self) -> Vec<String> {
        self.promises().into_iter().filter(|(held, _)| !held).map(|(_, promise)| promise).collect()
    }

    fn table(&self) -> Table {
        let Self { killings, tally, .. } = self;
        let milliseconds =
            |share| self.recovery_ms(share).map_or("-".into(), |time| format!("{} ms", thousands(time)));
        let poison = format!("{} of {}", count(tally.poison_dead), count(self.poison));
        let rows = [
            ("jobs", count(self.jobs)),
            ("completed", count(tally.completed)),
            ("lost", count(self.lost())),
            ("doubled effects, in the queue's slot", count(tally.doubled_effects)),
            ("poison in the dead letters", poison),
            ("innocents in the dead letters", count(tally.innocents_dead.len() as u64)),
            ("quarantined: workers lost too often", count(tally.quarantined)),
            ("workers killed", count(killings.workers)),
            ("server killed", count(killings.server)),
            ("attempts after a kill", count(tally.redelivered)),
            ("doubled effects elsewhere, of those", count(tally.doubled_elsewhere)),
            ("a killed worker's job ran again after, median", milliseconds(0.5)),
            ("99 of 100", milliseconds(0.99)),
            ("seconds", format!("{:.1}", self.seconds)),
            ("jobs/s, kills included", thousands(self.jobs_per_second())),
        ];
        let cut = usize::try_from(killings.bytes_cut).unwrap_or(usize::MAX);
        let if_any = [
            ("still left at the end", self.left > 0, count(self.left)),
            ("kills that were not due before the end", killings.skipped > 0, count(killings.skipped)),
            (
                "workers that ended by themselves",
                killings.ended_by_themselves > 0,
                count(killings.ended_by_themselves),
            ),
            ("taken with the page cache", cut > 0, bytes(cut)),
        ];
        let if_any = if_any.into_iter().filter(|(_, any, _)| *any).map(|(what, _, text)| (what, text));
        let table = Table::new("", &[&self.name, ""]);
        rows.into_iter().chain(if_any).fold(table, |table, (what, text)| table.labeled(what, [text]))
    }

    /// What the run promises, each with what was found, and whether it held.
    fn promises(&self) -> Vec<(bool, String)> {
        let Self { killings, tally, left, .. } = self;
        let doubled = tally.doubled_effects;
        let ended = match &killings.last_words {
            Some(words) => format!(
                "No worker has to be started again because the server was away: {}, the last of which said: {words}.",
                killings.ended_by_themselves
            ),
            None => "No worker had to be started again because the server was away.".into(),
        };
        let mut promises = vec![
            (*left == 0, format!("No job is left in the queue: {left}.")),
            (killings.ended_by_themselves == 0, ended),
            (doubled == 0, format!("No effect in the queue's slot twice: {doubled}.")),
            (tally.too_early == 0, format!("No job for later began too early: {}.", tally.too_early)),
            (
                tally.innocents_dead.is_empty(),
                format!("No innocent job among the dead letters: {}.", some(&tally.innocents_dead)),
            ),
        ];
        if !self.keeps_everything {
            let text = format!(
                "With fsync {} nothing is promised about what a power cut takes: {} jobs lost that the server had acknowledged.",
                self.fsync,
                self.lost()
            );
            promises.push((true, text));
            return promises;
        }
        promises.extend([
            (self.lost() == 0, format!("No job lost: {}.", some(&tally.lost))),
            (
                tally.poison_missing.is_empty(),
                format!("All poison in the dead letters: {} of {}.", tally.poison_dead, self.poison),
            ),
            (
                tally.unprovoked == 0,
                format!(
                    "A job ran again only if its worker or the server was killed, {} times; without a kill: {}.",
                    tally.redelivered, tally.unprovoked
                ),
            ),
        ]);
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
    let mut document = ours.document();
    let named = |report: &Report| {
        let mut named = report.document();
        named["name"] = json!(report.name);
        named["left"] = json!(report.left);
        named["ended_by_themselves"] = json!(report.killings.ended_by_themselves);
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
    let header = ["queue", "lost", "left", "doubled", "innocents", "poison", "ended", "recovery", "jobs/s"];
    let all = std::iter::once(ours).chain(peers);
    let compared = all.fold(Table::new("", &header), |table, report| table.row(report.cells()));
    Terminal.line(&compared.to_text(Terminal.text_width()));
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

fn count(number: impl Into<u64>) -> String {
    thousands(number.into() as f64)
}

fn some(jobs: &[u64]) -> String {
    let first: Vec<String> = jobs.iter().take(5).map(|number| format!("job-{number}")).collect();
    match jobs.len() {
        0 => "0".into(),
        all if all > first.len() => format!("{all} ({}, …)", first.join(", ")),
        all => format!("{all} ({})", first.join(", ")),
    }
}
