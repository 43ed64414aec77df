//! What the drills lose, and what they must not lose.

use std::process::Command;

use clap::ValueEnum;
use lab_server::{Choice, Replicated};
use lab_testing::browser::Chromium;
use lab_testing::browser::report::assert_program_reports;
use lab_testing::until;
use operations::drills::{self, Cell, Drills, Fault, Options, Setting};
use operations::private;

/// One trial of each of these faults under these settings, or under all.
async fn drill(faults: &[Fault], settings: &[Setting]) -> Drills {
    drill_often(1, faults, settings).await
}

async fn drill_often(trials: u32, faults: &[Fault], settings: &[Setting]) -> Drills {
    let options = Options {
        trials,
        drills: faults.to_vec(),
        settings: settings.to_vec(),
        json: true,
        report: None,
        server: None,
        server_program: None,
        no_fetch: false,
    };
    let drills = drills::run(&options, Choice::from_env().unwrap()).await.unwrap();
    assert!(drills.broken_promises().is_empty(), "{drills:#?}");
    drills
}

fn cell(drills: &Drills, fault: Fault, setting: Setting) -> &Cell {
    let mut cells = drills.cells.iter();
    let cell = cells.find(|cell| cell.fault == fault && cell.setting == setting).unwrap();
    assert!(cell.acknowledged > 0, "{cell:?}");
    cell
}

fn lost(drills: &Drills, fault: Fault, setting: Setting) -> usize {
    cell(drills, fault, setting).lost
}

/// In this fault, the first settings lose something, and the others nothing.
fn assert_lost(drills: &Drills, fault: Fault, losing: &[Setting], keeping: &[Setting]) {
    for &setting in losing {
        assert!(lost(drills, fault, setting) > 0, "{fault:?} {setting:?}: {drills:#?}");
    }
    for &setting in keeping {
        assert_eq!(lost(drills, fault, setting), 0, "{fault:?} {setting:?}: {drills:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_what_the_replica_did_not_have_unless_wait_counted_it() {
    let faults = [Fault::CutThenKill, Fault::EarlyPromotion];
    let settings = [Setting::None, Setting::Wait, Setting::AofAlways, Setting::WaitAofReplica];
    let drills = drill(&faults, &settings).await;
    for fault in faults {
        // The old primary's file is not read.
        assert_lost(&drills, fault, &[Setting::None, Setting::AofAlways], &[Setting::Wait]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_switch_loses_nothing_if_the_writes_stop_first() {
    let drills = drill(&[Fault::PlannedSwitch], &[]).await;
    let keeping = [Setting::PauseFirst, Setting::Failover, Setting::FailoverTimeout];
    assert_lost(&drills, Fault::PlannedSwitch, &[Setting::ByHand], &keeping);
}

/// Why the drill gives FAILOVER a TIMEOUT: each PING moves the offset that the replica has to report.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_failover_without_timeout_sends_pings_while_it_waits() {
    let group = private::blocking(|| Replicated::start(1)).await.unwrap();
    let (primary, port) = (&group.primary, group.replicas[0].port().to_string());
    let connection = private::connect(primary).await.unwrap();
    // The primary knows a second later than the replica that it has everything.
    let info =
        async |field: &str| private::info(&mut connection.clone(), "replication", field).await.unwrap();
    until("the replica is online", || async { info("slave0").await.contains("state=online") }).await;
    group.replicas[0].pause().unwrap();
    redis::cmd("SET").arg("order:1").arg("paid").exec_async(&mut connection.clone()).await.unwrap();
    let mut failover = redis::cmd("FAILOVER");
    failover.arg(&["TO", "127.0.0.1", &port, "TIMEOUT", "600000"]);
    failover.exec_async(&mut connection.clone()).await.unwrap();
    let now =
        async || -> (u64, u64) { redis::cmd("TIME").query_async(&mut connection.clone()).await.unwrap() };
    let (begun, offset) = (now().await.0, info("master_repl_offset").await);
    while now().await.0 < begun + 3 {
        assert_eq!(info("master_failover_state").await, "waiting-for-sync");
        assert_eq!(info("master_repl_offset").await, offset, "a PING was sent");
    }
    let mut abort = redis::cmd("FAILOVER");
    abort.arg("ABORT").exec_async(&mut connection.clone()).await.unwrap();

    let version = private::info_fields("server", &mut connection.clone()).await.unwrap();
    if version.contains_key("valkey_version") || version["redis_version"].starts_with("7.") {
        let mut failover = redis::cmd("FAILOVER");
        failover.arg(&["TO", "127.0.0.1", &port]).exec_async(&mut connection.clone()).await.unwrap();
        let offset = info("master_repl_offset").await;
        until("a PING has moved the offset", || async { info("master_repl_offset").await != offset }).await;
        assert_eq!(info("master_failover_state").await, "waiting-for-sync");
        abort.exec_async(&mut connection.clone()).await.unwrap();
    }
    group.replicas[0].resume().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_fails_over_and_wait_loses_nothing() {
    let drills = drill(&[Fault::ClusterFailover], &[Setting::Wait, Setting::PartialCoverage]).await;
    assert_lost(&drills, Fault::ClusterFailover, &[], &[Setting::Wait]);
    let partial = cell(&drills, Fault::ClusterFailover, Setting::PartialCoverage);
    let elsewhere = partial.unavailable_elsewhere_ms_p50.unwrap();
    assert!(elsewhere < partial.unavailable_ms_p50, "the other slots stay in service: {partial:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_less_than_a_crashed_machine() {
    let drills = drill(&[Fault::Restart, Fault::MachineCrash], &[]).await;
    for fault in [Fault::Restart, Fault::MachineCrash] {
        assert_lost(&drills, fault, &[Setting::None], &[Setting::AofAlways]);
    }
    // Of both together: a kill right after a snapshot loses nothing.
    let by_rdb = [Fault::Restart, Fault::MachineCrash].map(|fault| lost(&drills, fault, Setting::Rdb));
    assert!(by_rdb.iter().sum::<usize>() > 0, "{drills:#?}");
    // A crash right after the fsync of a second loses nothing.
    let drills = drill_often(5, &[Fault::MachineCrash], &[Setting::AofEverysec]).await;
    assert_lost(&drills, Fault::MachineCrash, &[Setting::AofEverysec], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_what_was_acknowledged_without_it() {
    let settings = [Setting::Rdb, Setting::RdbGoesOn, Setting::AofAlways];
    let drills = drill(&[Fault::DiskFull, Fault::DiskFullThenKill], &settings).await;
    if !drills.skipped.is_empty() {
        println!("skipped: {:?}", drills.skipped);
        return;
    }
    // A server that goes on keeps all.
    assert_lost(&drills, Fault::DiskFull, &[], &settings);
    assert_lost(&drills, Fault::DiskFullThenKill, &[Setting::RdbGoesOn], &[Setting::AofAlways]);
    let outage = |setting| cell(&drills, Fault::DiskFull, setting).unavailable_ms_p50;
    assert!(outage(Setting::Rdb) > outage(Setting::RdbGoesOn), "it refuses writes: {drills:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_memory_refuses_writes_or_drops_older_ones() {
    let drills = drill(&[Fault::MemoryFull], &[]).await;
    let losing = [Setting::AllkeysLru, Setting::VolatileLru, Setting::SmallReplicaLru];
    assert_lost(&drills, Fault::MemoryFull, &losing, &[Setting::Noeviction, Setting::SmallReplica]);
    let outage = |setting| cell(&drills, Fault::MemoryFull, setting).unavailable_ms_p50;
    assert!(outage(Setting::Noeviction) > outage(Setting::AllkeysLru), "{drills:#?}");
}

#[test]
fn the_command_prints_one_document_with_every_cell() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operations"));
    let output = command.args(["drills", "--trials", "1", "--drill", "restart", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cells = document["cells"].as_array().unwrap();
    let skipped = document["skipped"].as_array().unwrap();
    assert_eq!(cells.len() + skipped.len(), Fault::Restart.settings().len());
    for cell in cells {
        for field in ["trials", "acknowledged", "lost", "unavailable_ms_p50", "unavailable_ms_p99"] {
            assert!(cell[field].is_u64(), "{field}: {cell}");
        }
        assert_eq!(cell["fault"], "restart");
        assert!(cell["setting"].is_string(), "{cell}");
    }
}

/// The README says in words what `cluster-require-full-coverage no` changes.
#[test]
fn the_readme_has_the_figures_of_every_cell() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    for fault in Fault::value_variants() {
        let name = format!("| `{}` |", fault.name());
        let rows = readme.lines().filter(|line| line.starts_with(&name));
        let figures: usize = rows.map(|row| row.matches(" of ").count()).sum();
        let settings = fault.settings().iter().filter(|&&setting| setting != Setting::PartialCoverage);
        assert_eq!(figures, settings.count(), "{name}");
    }
}

#[test]
fn the_report_of_drills_is_readable() {
    let Some(chromium) = Chromium::start() else { return };
    let mut command = Command::new(env!("CARGO_BIN_EXE_operations"));
    let drills = ["--drill", "restart", "--drill", "planned-switch"];
    assert_program_reports(&chromium, command.args(["drills", "--trials", "1"]).args(drills));
}

#[test]
fn a_drill_without_the_setting_is_refused() {
    let arguments = ["drills", "--drill", "memory-full", "--setting", "wait"];
    let output = Command::new(env!("CARGO_BIN_EXE_operations")).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
