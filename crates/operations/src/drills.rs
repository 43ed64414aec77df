//! What is lost in which fault, and which setting would have saved it? `cargo ops drills`
//!
//! Every cell of the table is one [`Fault`] under one [`Setting`], tried a few times: `trial` starts a private group, lets `writers`
//! write, `damage` hurts the servers, the trial waits until writes work again, and then reads back everything that was acknowledged. [`report`] prints it.

mod damage;
pub mod fault;
mod group;
pub mod report;
pub mod setting;
mod switch;
mod trial;
mod wait;
mod writers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_runner::progress::Bar;
use lab_runner::report::{ReportFile, report_file};
use lab_server::{Choice, Error, Program, Release};
use redis::{RedisResult, Value};

pub use self::fault::Fault;
use self::group::Group;
pub use self::report::{Cell, Drills};
pub use self::setting::Setting;
use crate::private;

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How often each cell of the table is tried
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub trials: u32,

    /// Only this drill; may be given several times [default: all]
    #[arg(long = "drill", value_enum, value_name = "NAME")]
    pub drills: Vec<Fault>,

    /// Only this setting; may be given several times [default: all that mean something in the drill]
    #[arg(long = "setting", value_enum, value_name = "NAME")]
    pub settings: Vec<Setting>,

    /// Print one JSON document instead of tables
    #[arg(long)]
    pub json: bool,

    /// Write the results to one HTML file, too: heat maps, method, and data
    #[arg(long, value_name = "FILE.html", value_parser = report_file())]
    pub report: Option<ReportFile>,

    /// The release of the private servers: valkey-9.1, redis-7.0, redis-8.2, redis-8.2-modules or redis-8.10
    #[arg(long, value_name = "RELEASE")]
    pub server: Option<Release>,

    /// The program of the private servers
    #[arg(long, value_name = "PATH")]
    pub server_program: Option<PathBuf>,

    /// Do not download a server
    #[arg(long)]
    pub no_fetch: bool,
}

impl Options {
    fn settings_of(&self, fault: Fault) -> impl Iterator<Item = Setting> {
        let wanted = |setting: &Setting| self.settings.is_empty() || self.settings.contains(setting);
        fault.settings().iter().copied().filter(wanted)
    }
}

/// Runs the drills and prints what was lost. A loss where the setting promises none is a failed check.
pub async fn command(options: Options) -> Result<(), Failure> {
    let choice = Choice::from_flags(options.server, options.server_program.clone(), options.no_fetch);
    let choice = choice.map_err(private::failure)?;
    let drills = run(&options, choice).await?;
    let document = serde_json::json!(drills);
    if options.json {
        Terminal.document(&document);
    }
    let written = report::write(&drills, &document, &options);
    let broken = drills.broken_promises();
    if broken.is_empty() {
        return written;
    }
    let why = "A setting that promises to lose nothing lost acknowledged writes in this fault.";
    Err(Failure::new(Class::CheckFailed, format!("Lost all the same: {}.", broken.join("; ")), why))
}

/// Runs the drills, and prints each table as soon as it is complete, unless JSON was asked for.
pub async fn run(options: &Options, choice: Choice) -> Result<Drills, Failure> {
    let found = private::blocking(move || Program::find(&choice)).await?;
    let server = found.describe();
    let choice = Choice { release: None, program: Some(found.path().to_owned()), fetch: false };
    let faults = if options.drills.is_empty() { Fault::value_variants() } else { &options.drills };
    let faults: Vec<Fault> =
        faults.iter().copied().filter(|&fault| options.settings_of(fault).next().is_some()).collect();
    if faults.is_empty() {
        let why = "Each drill has settings of its own: WAIT 1, for example, means nothing where a single server restarts.";
        return Err(Failure::new(Class::Usage, "None of these drills has one of these settings.", why)
            .try_next("leave --setting out to see the settings of a drill"));
    }
    let mut drills = Drills::new(server, options.trials);
    if !options.json {
        drills.print_method();
    }
    for fault in faults {
        let mut cells = Vec::new();
        for setting in options.settings_of(fault) {
            match obstacle(fault, setting, choice.clone()).await? {
                None => cells.push(setting),
                Some(why) => {
                    drills.skipped.push(format!("{} with {}: {why}", fault.name(), setting.label()));
                }
            }
        }
        let trials: Vec<(usize, Setting)> =
            (0..options.trials).flat_map(|_| cells.iter().copied().enumerate()).collect();
        let bar = progress(options, fault, trials.len());
        let mut results: Vec<Vec<trial::Trial>> = vec![Vec::new(); cells.len()];
        let running = stream::iter(trials).map(|(cell, setting)| {
            let choice = choice.clone();
            async move {
                // On a busy machine, another process may take a dead server's port, or a Sentinel may act before the fault.
                let (trial, spoiled) = match trial::run(fault, setting, choice.clone()).await {
                    Ok(trial) => (Ok(trial), None),
                    Err(error) => {
                        (trial::run(fault, setting, choice).await, Some(in_drill(fault, setting, &error)))
                    }
                };
                trial.map(|trial| (cell, trial, spoiled)).map_err(|error| in_drill(fault, setting, &error))
            }
        });
        let mut running = running.buffer_unordered(fault.at_once());
        while let Some((cell, trial, spoiled)) = running.try_next().await? {
            results[cell].push(trial);
            drills.repeated.extend(spoiled.map(|error| format!("{} {}", error.what(), error.why())));
            bar.set(bar.done() + 1);
        }
        let cell = |(&setting, trials): (&Setting, &Vec<trial::Trial>)| {
            Cell::new(&drills.server, fault, setting, trials)
        };
        let new: Vec<Cell> = cells.iter().zip(&results).map(cell).collect();
        bar.finish();
        if !options.json {
            drills.print(fault, &new);
        }
        drills.cells.extend(new);
    }
    Ok(drills)
}

fn progress(options: &Options, fault: Fault, trials: usize) -> Bar {
    if options.json { Bar::hidden() } else { Bar::new(trials as u64, fault.name()) }
}

/// Why this cell cannot be tried here, if so.
async fn obstacle(fault: Fault, setting: Setting, choice: Choice) -> Result<Option<String>, Failure> {
    let may_fail = fault == Fault::MachineCrash || fault.fills_the_disk();
    if !may_fail && setting.need().is_none() {
        return Ok(None);
    }
    // One server is enough to ask for a command.
    let fault = if may_fail { fault } else { Fault::Restart };
    private::blocking(move || {
        let server = match Group::start(fault, Setting::None, choice) {
            Ok(group) => group,
            Err(error @ (Error::NoFsyncLog { .. } | Error::NoPrivateDisk { .. })) => {
                return Ok(Some(error.to_string()));
            }
            Err(error) => return Err(private::failure(error)),
        };
        let Some(command) = setting.need() else { return Ok(None) };
        let since = if command == "FAILOVER" { "since 6.2" } else { "since 7.2" };
        has(command, server).map_err(private::failure).map(|has| {
            (!has).then(|| format!("this server has no {command}. Valkey has it, and Redis {since}"))
        })
    })
    .await
}

fn has(command: &str, mut group: Group) -> RedisResult<bool> {
    let mut connection = group.primary().client().get_connection()?;
    let found: Vec<Value> = redis::cmd("COMMAND").arg("INFO").arg(command).query(&mut connection)?;
    Ok(matches!(found.first(), Some(Value::Array(about)) if !about.is_empty()))
}

/// A failure of a trial, with the cell to which it belongs.
fn in_drill(fault: Fault, setting: Setting, error: &Failure) -> Failure {
    let what = format!("In the drill {} with {}: {}", fault.name(), setting.label(), error.what());
    error.next().iter().fold(Failure::new(error.class(), what, error.why()), Failure::try_next)
}

/// How long a Sentinel waits for a reply before it takes a server for down.
const DOWN_AFTER: Duration = Duration::from_millis(500);
