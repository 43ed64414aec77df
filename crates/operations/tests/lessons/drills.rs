//! What the drills lose, and what they must not lose.

use std::process::Command;

use lab_server::Choice;
use operations::drills::{self, Drills, Fault, Options, Setting};

async fn drill(faults: &[Fault]) -> Drills {
    let options = Options {
        trials: 1,
        drills: faults.to_vec(),
        json: true,
        report: None,
        server: None,
        server_program: None,
        no_fetch: false,
    };
    drills::run(&options, Choice::from_env().unwrap()).await.unwrap()
}

fn lost(drills: &Drills, fault: Fault, setting: Setting) -> usize {
    let mut cells = drills.cells.iter();
    let cell = cells.find(|cell| cell.fault == fault && cell.setting == setting).unwrap();
    assert!(cell.acknowledged > 0, "{cell:?}");
    cell.lost
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_what_the_replica_did_not_have_unless_wait_counted_it() {
    let drills = drill(&[Fault::CutThenKill, Fault::EarlyPromotion]).await;
    for fault in [Fault::CutThenKill, Fault::EarlyPromotion] {
        assert!(lost(&drills, fault, Setting::None) > 0, "{drills:#?}");
        assert_eq!(lost(&drills, fault, Setting::Wait), 0, "{drills:#?}");
        assert!(
            lost(&drills, fault, Setting::AofAlways) > 0,
            "the old primary's file is not read: {drills:#?}"
        );
    }
    assert!(drills.broken_promises().is_empty(), "{drills:#?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_less_than_a_crashed_machine() {
    let drills = drill(&[Fault::Restart, Fault::MachineCrash]).await;
    for fault in [Fault::Restart, Fault::MachineCrash] {
        assert!(lost(&drills, fault, Setting::None) > 0, "{drills:#?}");
        assert_eq!(lost(&drills, fault, Setting::AofAlways), 0, "{drills:#?}");
    }
    assert!(lost(&drills, Fault::Restart, Setting::Rdb) > 0, "{drills:#?}");
    assert!(lost(&drills, Fault::MachineCrash, Setting::AofEverysec) > 0, "{drills:#?}");
    assert!(drills.broken_promises().is_empty(), "{drills:#?}");
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
