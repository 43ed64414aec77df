//! How a load went.

use bulk_loader::Loaded;
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_runner::resource_usage::ResourceUsage;
use lab_runner::table::{Table, bytes, percent, thousands};
use serde::Serialize;
use serde_json::json;

use super::plan::LoadPlan;
use crate::stored::Content;

/// How a load went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Records acknowledged, those of an earlier run included.
    pub records: u64,
    /// Records a second, of those that were sent in this run.
    pub records_per_second: f64,
    /// From the first byte sent to the last reply; indexes included.
    pub seconds: f64,
    /// Bytes of all commands.
    pub bytes_sent: u64,
    /// Times that there was nothing to do but wait for the server.
    pub waits: u64,
    /// The most memory that this process ever had; known on Linux only.
    pub peak_rss_bytes: Option<u64>,
    /// Processor time of this process while loading.
    pub client_cpu_seconds: f64,
    /// How much of the time the server's main thread was busy, 0 to 1.
    pub server_cpu_share: Option<f64>,
    /// Whether this run went on with an earlier one.
    pub resumed: bool,
    /// Records that the earlier run had written.
    pub resumed_after: u64,
    /// Connections that were lost and made again.
    pub reconnections: u64,
    /// Commands that a node of a cluster sent elsewhere (MOVED, ASK).
    pub redirections: u64,
    /// Records sent again because a server had lost what it acknowledged.
    pub replayed: u64,
    /// Which commands were sent.
    pub command: &'static str,
    /// Whether every record was read back and found right; `None` with `--no-verify`.
    pub verified: Option<bool>,
    /// Seconds that this took, not part of `seconds`.
    pub verify_seconds: f64,
    /// The sum of the hashes of all records, read from the server.
    pub digest: Option<String>,
}

/// What was found when everything was read back.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the server has.
    pub content: Content,
    /// The first record that is not right.
    pub wrong: Option<Wrong>,
    /// How long it took.
    pub seconds: f64,
}

/// A record that is not right.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// Its key.
    pub record: String,
    /// What the server has, or the beginning of it.
    pub found: String,
}

impl Report {
    pub(crate) fn new(loaded: &Loaded, usage: ResourceUsage, command: &'static str) -> Self {
        let seconds = loaded.time.as_secs_f64();
        Self {
            records: loaded.resumed_after + loaded.records,
            records_per_second: loaded.records as f64 / seconds.max(1e-9),
            seconds,
            bytes_sent: loaded.bytes_sent,
            waits: loaded.waits,
            peak_rss_bytes: peak_memory(),
            client_cpu_seconds: usage.client_cpu_seconds,
            server_cpu_share: usage.server_cpu_share,
            resumed: loaded.resumed_after > 0,
            resumed_after: loaded.resumed_after,
            reconnections: loaded.reconnections,
            redirections: loaded.redirections,
            replayed: loaded.replayed,
            command,
            verified: None,
            verify_seconds: 0.0,
            digest: None,
        }
    }

    /// Takes in what was read back; anything wrong fails the run.
    pub(crate) fn verify(&mut self, checked: Checked, plan: &LoadPlan) -> Result<(), Failure> {
        self.verify_seconds = checked.seconds;
        self.verified = Some(checked.wrong.is_none());
        self.digest = Some(format!("{:016x}", checked.content.digest));
        self.peak_rss_bytes = peak_memory();
        let Some(wrong) = checked.wrong else { return Ok(()) };
        let failure = Failure::new(
            Class::CheckFailed,
            format!("{} is not what was written.", wrong.record),
            format!("The server has {}. Somebody else wrote it, or the server lost it.", wrong.found),
        );
        let again = format!("cargo bulk load --kind {} --records {}", plan.kind.name(), plan.records);
        Err(failure.try_next(again))
    }

    /// Prints it.
    pub(crate) fn show(&self, as_json: bool) {
        if as_json {
            Terminal.document(&json!(self));
            return;
        }
        Terminal.line(&self.table().to_text(Terminal.text_width()));
    }

    fn table(&self) -> Table {
        let mut table = Table::new("", &["the load", ""])
            .row(["records", &thousands(self.records as f64)])
            .row(["records/s", &thousands(self.records_per_second)])
            .row(["seconds", &format!("{:.2}", self.seconds)])
            .row(["command", self.command])
            .row(["sent", &bytes(usize::try_from(self.bytes_sent).unwrap_or(usize::MAX))])
            .row(["our processor time a record", &format!("{:.2} µs", self.client_micros())]);
        if let Some(share) = self.server_cpu_share {
            table = table.row(["the server's main thread was busy", &percent(share)]);
        }
        if let Some(peak) = self.peak_rss_bytes {
            table = table.row(["our memory at most", &bytes(usize::try_from(peak).unwrap_or(usize::MAX))]);
        }
        if self.resumed {
            table = table.row(["an earlier run had written", &thousands(self.resumed_after as f64)]);
        }
        for (what, count) in [
            ("connections made again", self.reconnections),
            ("commands redirected in the cluster", self.redirections),
            ("records sent again after a loss", self.replayed),
        ] {
            if count > 0 {
                table = table.row([what, &thousands(count as f64)]);
            }
        }
        match (&self.verified, &self.digest) {
            (Some(true), Some(digest)) => table
                .row(["read back and right", &format!("all, in {:.1} s", self.verify_seconds)])
                .row(["digest", digest]),
            _ => table.row(["read back", "no (--no-verify)"]),
        }
    }

    fn client_micros(&self) -> f64 {
        let sent = self.records_per_second * self.seconds;
        if sent > 0.0 { self.client_cpu_seconds * 1e6 / sent } else { 0.0 }
    }
}

/// Known on Linux only.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
