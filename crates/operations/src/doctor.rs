//! `cargo doctor`: examines a server, its replicas, a cluster, or Sentinels, and says what is wrong and how to repair it.
//!
//! It only reads: [`COMMANDS`] lists every command that it can send. It sends them slowly, so that the server keeps 99% of its time, and
//! says at the end what it cost. A command that the user may not send makes the checks that need it "skipped: not permitted", with the
//! ACL rule that would permit it.
//!
//! For a server on this machine, it also reads `/proc`, the free space of the disk, and the server's configuration file, if this user may
//! read it. It prints no password and no hash of one.
//!
//! In reading order: `asker` sends; `collect`, `keys`, `streams`, `roles`, and `host` fill the [`facts`]; [`checks`] turns facts into
//! [`finding`]s without asking anything; [`report`] and [`openmetrics`] show them.
//!
//! # Severity
//!
//! - critical: data, availability, or the machine is at risk now.
//! - warning: it works now, and fails or loses data when something else happens.
//! - note: worth knowing, and often as it should be: idle workers that block, connections without names, a single replica, a cluster
//!   without replicas. A server with notes only is healthy.
//!
//! A server without a password that listens on loopback only is no finding: only this machine can reach it. Fragmentation counts from
//! 64 MB on, because a small process always has a high ratio. A single slow command below 100 ms is a note, because a busy machine
//! makes any command slow now and then.
//!
//! # Exit codes
//!
//! 0: healthy. 1: findings. 4: nothing was found, but the user may not see everything. The others are those of every program here.

mod asker;
pub mod checks;
mod collect;
mod cost;
pub mod facts;
pub mod finding;
mod host;
mod keys;
pub mod openmetrics;
pub mod report;
mod roles;
mod streams;

use std::collections::BTreeSet;
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Failure, TargetArgs};
use lab_runner::{Terminal, activity};

pub use self::asker::COMMANDS;
pub use self::collect::Depth;
pub use self::cost::Cost;
use self::facts::Facts;
use self::finding::Diagnosis;
pub(crate) use self::keys::slot;

/// How to examine, and how to show it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Options {
    /// Print one JSON document
    #[arg(long, conflicts_with = "openmetrics")]
    pub json: bool,

    /// Print OpenMetrics text, for Prometheus
    #[arg(long)]
    pub openmetrics: bool,

    /// Look at more keys: up to a million of each server
    #[arg(long)]
    pub deep: bool,

    /// Look again after this time, and say what grew: 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub watch: Option<Duration>,
}

/// What an examination brought.
pub struct Examination {
    /// What was seen.
    pub facts: Facts,
    /// What is wrong.
    pub diagnosis: Diagnosis,
    /// What it cost each server.
    pub costs: Vec<Cost>,
}

/// Examines the server and shows what it found. Findings are a failure, for the exit code.
pub async fn run(target: &TargetArgs, options: &Options) -> Result<(), Failure> {
    let depth = Depth { keys: if options.deep { keys::DEEP } else { keys::SAMPLE }, paced: true };
    let found = examine(target, depth, options.watch).await?;
    let Examination { facts, diagnosis, costs } = &found;
    if options.json {
        Terminal.document(&report::json(facts, diagnosis, costs));
    } else if options.openmetrics {
        Terminal.line(openmetrics::text(facts, diagnosis, costs).trim_end());
    } else {
        Terminal.line(&report::text(facts, diagnosis, costs, Terminal.width().min(120)));
    }
    verdict(diagnosis)
}

/// Collects the facts and runs the checks. With `watch`, it does so twice, with that time between.
pub async fn examine(
    target: &TargetArgs,
    depth: Depth,
    watch: Option<Duration>,
) -> Result<Examination, Failure> {
    let target = target.open_read_only().await?;
    let (mut facts, mut costs) = collect::collect(&target, depth).await;
    let mut diagnosis = checks::diagnose(&facts);
    if let Some(time) = watch {
        activity::pause();
        tokio::time::sleep(time).await;
        let (again, more) = collect::collect(&target, depth).await;
        diagnosis = checks::diagnose(&again);
        let grown = checks::compare(&facts, &again, time.as_secs_f64());
        for finding in grown.findings {
            if !diagnosis.has(finding.name, &finding.node) {
                diagnosis.findings.push(finding);
            }
        }
        diagnosis.sort();
        facts = again;
        costs.extend(more);
    } else {
        diagnosis.skipped.push(finding::Skipped {
            check: "growth".to_owned(),
            node: target.address().to_owned(),
            reason: "it needs two readings (--watch 30s)".to_owned(),
            grant: None,
        });
    }
    Ok(Examination { facts, diagnosis, costs })
}

/// What the findings mean for the exit code.
fn verdict(diagnosis: &Diagnosis) -> Result<(), Failure> {
    if !diagnosis.is_healthy() {
        let serious = diagnosis.findings.len() - diagnosis.count(finding::Severity::Note);
        let what = match serious {
            1 => "There is 1 finding.".to_owned(),
            _ => format!("There are {serious} findings."),
        };
        return Err(Failure::new(Class::CheckFailed, what, "Each says how to repair it."));
    }
    if diagnosis.was_refused() {
        let grants: BTreeSet<&str> =
            diagnosis.skipped.iter().filter_map(|skipped| skipped.grant.as_deref()).collect();
        let grants = grants.into_iter().collect::<Vec<_>>().join(" ");
        let why = "The user may not send some of the commands, so the server is not known to be healthy.";
        return Err(Failure::new(Class::NoPerm, "Some checks were not permitted.", why)
            .try_next(format!("ACL SETUSER NAME {grants}")));
    }
    Ok(())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| "a time such as 30s or 5m".to_owned())?;
    let seconds = match unit {
        "" | "s" => number,
        "m" => number.saturating_mul(60),
        _ => return Err("a time such as 30s or 5m".to_owned()),
    };
    if (1..=86_400).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err("from 1s to 1440m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_seconds_or_minutes() {
        assert_eq!(parse_time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_mins(2)));
        for bad in ["", "s", "3h", "0s", "-1s", "99999999999999999999s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
