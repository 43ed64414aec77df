//! The tables and the JSON of the drills.

use std::time::Duration;

use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::environment::machine;
use lab_runner::report::{Kind, Report, ReportArgs};
use lab_runner::table::{Table, thousands};
use serde::Serialize;
use serde_json::Value;

use super::trial::Trial;
use super::{Fault, Options, Setting};

/// How the figures came about.
const METHOD: &str = "Each trial starts its own servers: a primary, its replica, and a replica of that, so that the promoted replica has \
                      one, too; and three Sentinels with down-after 500 ms, unless somebody promotes by hand. Where the fault is that a \
                      server restarts or is full, there is only that one. Four clients write a new key every millisecond. After 1.2 to \
                      2.2 s comes the fault. When writes work again, every key that was acknowledged is read back. With WAIT 1, a write counts as \
                      acknowledged only if WAIT said 1; with WAITAOF likewise. 'In trials' is in how many of them something was \
                      lost. 'Outage' is the longest time without an acknowledged write, over all clients.";
/// How the cluster is tried.
const CLUSTER: &str = "Three primaries with a replica each, and cluster-node-timeout 1000. 50 clients write a new key every 20 ms through the \
                       redis crate's cluster client, which tries again after 10 to 100 ms. Each has its own connections, and a third of them \
                       write to the primary that is killed. When the replica has taken over, the killed node starts again and becomes its \
                       replica, because WAIT needs one. The outage is that of the slots of the killed primary.";
/// How a disk gets full.
const DISK: &str = "The disk is a tmpfs of 16 MB that only the server and the drill see. A file takes the rest of it, and is deleted after 3 s.";
/// Why FAILOVER takes long now and then.
const SWITCH: &str = "FAILOVER goes on when the replica has reported the primary's own offset, which it does once a second. Without TIMEOUT, the \
                      primary sends the replicas a PING every second while it waits, and each moves the offset. The report is under way for 50 ms \
                      each way here. If the PING falls into that time, the offsets differ, and a second later they differ again, until the two \
                      clocks drift apart: one switch in ten takes many seconds, here up to 30, since the drill then ends it with FAILOVER ABORT \
                      and tries again. With TIMEOUT, there is no PING. Redis 8.2 and 8.10 send none either way.";
/// How memory gets full.
const MEMORY: &str = "Values have 1,000 bytes, and every other key has a TTL of an hour. maxmemory is set so that a quarter of the data is too \
                      much. With a smaller replica, the primary has no limit, the replica's limit is half of its data too low, and the replica \
                      takes over after CLIENT PAUSE and equal offsets.";
/// How a crash of the machine is simulated.
const CRASH: &str = "The crash: the server is killed, and its files are cut down to what they were at their last fsync, which a small library \
                     in the server noted. A real disk may keep more by luck.";
/// Why WAITAOF does not keep its promise on Valkey 9.1.
const EARLY_WAITAOF: &str = "WAITAOF should lose nothing. Valkey 9.1 has a known bug (redis/redis#13793, fixed in Redis): with appendfsync \
                             everysec, WAITAOF may answer 1 before the fsync. Don't rely on it there; use AOF always or a replica.";
/// What the client does that keeps its connection.
const STUBBORN: &str = "One of the clients keeps its connection to the old primary, as idle pools do, until the Sentinels make that a replica, \
                        ten to twenty seconds later.";

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Drills {
    /// The program of the private servers.
    pub server: String,
    /// How often each cell was tried.
    pub trials: u32,
    /// How it was done.
    pub method: &'static str,
    /// One for each fault and setting.
    pub cells: Vec<Cell>,
    /// What could not be tried here, and why.
    pub skipped: Vec<String>,
    /// Trials that failed before they had figures, and were done again, with the reason.
    pub repeated: Vec<String>,
}

/// One fault under one setting.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The fault.
    pub fault: Fault,
    /// The setting.
    pub setting: Setting,
    /// How often it was tried.
    pub trials: usize,
    /// Acknowledged writes, in all trials.
    pub acknowledged: usize,
    /// How many of them were lost.
    pub lost: usize,
    /// In how many trials something was lost.
    pub trials_with_loss: usize,
    /// The median of the time without an acknowledged write, in milliseconds.
    pub unavailable_ms_p50: u64,
    /// The 99th percentile of it; with fewer than 100 trials, the longest.
    pub unavailable_ms_p99: u64,
    /// In a cluster, the median of the time without an acknowledged write in the slots of the other primaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_elsewhere_ms_p50: Option<u64>,
    /// Whether the setting promises that nothing is lost.
    pub loses_nothing: bool,
    /// How this fault is brought about, beyond [`Drills::method`].
    pub method: Option<&'static str>,
    /// What is known about a loss that should not be.
    pub note: Option<&'static str>,
    /// What helps in this fault.
    pub cure: &'static str,
}

impl Cell {
    /// The figures of some trials. `server` describes the program.
    pub(super) fn new(server: &str, fault: Fault, setting: Setting, trials: &[Trial]) -> Self {
        let answers_early = setting == Setting::WaitAof && server.starts_with("valkey");
        let mut unavailable: Vec<Duration> = trials.iter().map(|trial| trial.unavailable).collect();
        unavailable.sort_unstable();
        let mut elsewhere: Vec<Duration> =
            trials.iter().filter_map(|trial| trial.unavailable_elsewhere).collect();
        elsewhere.sort_unstable();
        let lost = trials.iter().map(|trial| trial.lost).sum();
        Self {
            fault,
            setting,
            trials: trials.len(),
            acknowledged: trials.iter().map(|trial| trial.acknowledged).sum(),
            lost,
            trials_with_loss: trials.iter().filter(|trial| trial.lost > 0).count(),
            unavailable_ms_p50: percentile(&unavailable, 50),
            unavailable_ms_p99: percentile(&unavailable, 99),
            unavailable_elsewhere_ms_p50: (!elsewhere.is_empty()).then(|| percentile(&elsewhere, 50)),
            loses_nothing: fault.loses_nothing_with(setting) && !answers_early,
            method: method_of(fault),
            note: (answers_early && lost > 0).then_some(EARLY_WAITAOF),
            cure: fault.cure(),
        }
    }
}

/// How a fault is brought about, where that is not plain.
fn method_of(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::Hang => Some(STUBBORN),
        Fault::MachineCrash => Some(CRASH),
        Fault::ClusterFailover => Some(CLUSTER),
        Fault::DiskFull | Fault::DiskFullThenKill => Some(DISK),
        Fault::MemoryFull => Some(MEMORY),
        Fault::PlannedSwitch => Some(SWITCH),
        Fault::Kill | Fault::CutThenKill | Fault::EarlyPromotion | Fault::Restart => None,
    }
}

/// The nearest rank, in milliseconds; 0 if there are none.
fn percentile(sorted: &[Duration], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Drills {
    pub(super) fn new(server: String, trials: u32) -> Self {
        Self { server, trials, method: METHOD, cells: Vec::new(), skipped: Vec::new(), repeated: Vec::new() }
    }

    pub(super) fn print_method(&self) {
        Terminal.paragraph(&format!("Drills on private servers: {}", self.server));
        Terminal.paragraph(METHOD);
    }

    /// Prints what one fault did under each setting.
    pub(super) fn print(&self, fault: Fault, cells: &[Cell]) {
        let header = ["setting", "trials", "acknowledged", "lost", "in trials", "outage ms p50", "p99"];
        let table = cells.iter().fold(Table::new("", &header), |table, cell| {
            table.row([
                cell.setting.label().to_owned(),
                cell.trials.to_string(),
                thousands(cell.acknowledged as f64),
                thousands(cell.lost as f64),
                cell.trials_with_loss.to_string(),
                thousands(cell.unavailable_ms_p50 as f64),
                thousands(cell.unavailable_ms_p99 as f64),
            ])
        });
        Terminal.line("");
        Terminal.paragraph(&format!("{}: {}", fault.name(), fault.title()));
        if let Some(method) = method_of(fault) {
            Terminal.paragraph(method);
        }
        Terminal.line(&table.to_text(Terminal.width()));
        let name = format!("{} with ", fault.name());
        let of_this = |text: &&String| text.starts_with(&name) || text.contains(&format!("drill {name}"));
        for skipped in self.skipped.iter().filter(of_this) {
            Terminal.paragraph(&format!("Left out: {skipped}."));
        }
        for repeated in self.repeated.iter().filter(of_this) {
            Terminal.paragraph(&format!("One trial failed and was done again. {repeated}"));
        }
        let elsewhere = cells.iter().filter_map(|cell| {
            let outage = thousands(cell.unavailable_elsewhere_ms_p50? as f64);
            Some(format!("{outage} ms with {}", cell.setting.label()))
        });
        let elsewhere: Vec<String> = elsewhere.collect();
        if !elsewhere.is_empty() {
            Terminal.paragraph(&format!(
                "In the slots of the other primaries, the outage p50 is {}.",
                elsewhere.join(", ")
            ));
        }
        for note in cells.iter().filter_map(|cell| cell.note) {
            Terminal.paragraph(note);
        }
        Terminal.paragraph(&format!("Cure: {}", fault.cure()));
    }

    /// The cells in which something was lost although the setting promises that nothing is.
    #[must_use]
    pub fn broken_promises(&self) -> Vec<String> {
        let broken = self.cells.iter().filter(|cell| cell.loses_nothing && cell.lost > 0);
        broken
            .map(|cell| format!("{} in {} with {}", cell.lost, cell.fault.name(), cell.setting.label()))
            .collect()
    }
}

/// Writes the report, if one is wanted.
pub(super) fn write(drills: &Drills, document: &Value, options: &Options) -> Result<(), Failure> {
    let args = ReportArgs { report: options.report.clone(), compare: None };
    let mut method = vec![METHOD];
    let tried = |fault: Fault| drills.cells.iter().any(|cell| cell.fault == fault);
    method.extend(tried(Fault::Hang).then_some(STUBBORN));
    method.extend(tried(Fault::MachineCrash).then_some(CRASH));
    method.extend(tried(Fault::PlannedSwitch).then_some(SWITCH));
    let broken = drills.broken_promises();
    let lost = match broken.as_slice() {
        [] => String::new(),
        broken => format!(" Lost: {}.", broken.join("; ")),
    };
    let claim = format!("Every setting that promises to lose nothing lost nothing.{lost}");
    let mut environment = vec![drills.server.clone(), format!("trials of each cell: {}", drills.trials)];
    environment.extend(machine());
    let report = Report {
        kind: Kind::Drills,
        title: "Drills: acknowledged writes that a fault loses",
        question: "What is lost in which fault, and which setting would have saved it?",
        method: &method,
        checks: &[(broken.is_empty(), claim)],
        environment: &environment,
        document,
        earlier: None,
    };
    args.finish(report, options.json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!((percentile(&times, 50), percentile(&times, 99)), (10, 20));
        assert_eq!(percentile(&times[..1], 50), 1);
        assert_eq!(percentile(&[], 99), 0);
    }

    #[test]
    fn a_loss_breaks_a_promise_only_where_there_is_one() {
        let trial =
            |lost| Trial { acknowledged: 10, lost, unavailable: Duration::ZERO, unavailable_elsewhere: None };
        let mut drills = Drills::new(String::new(), 1);
        drills.cells = vec![
            Cell::new("", Fault::Kill, Setting::None, &[trial(1)]),
            Cell::new("", Fault::Kill, Setting::Wait, &[trial(0)]),
            Cell::new("valkey-server 9.1.2", Fault::MachineCrash, Setting::WaitAof, &[trial(9)]),
        ];
        assert!(drills.broken_promises().is_empty());
        drills.cells.push(Cell::new("", Fault::MachineCrash, Setting::AofAlways, &[trial(0), trial(2)]));
        assert_eq!(drills.broken_promises(), ["2 in machine-crash with AOF always"]);
    }
}
