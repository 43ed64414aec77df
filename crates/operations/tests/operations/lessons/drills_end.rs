//! However a drill ends, it leaves no process, no file, and no mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab_testing::TIMEOUT;

type Moment<'a> = &'a dyn Fn(&Path) -> bool;

#[test]
fn a_run_that_ends_in_the_middle_of_the_damage_leaves_nothing() {
    let disk_is_full = |directory: &Path| {
        processes(directory).iter().any(|process| process.join("cwd").join("ballast").exists())
    };
    let a_cluster_runs = |directory: &Path| fs::read_dir(directory).unwrap().count() >= 6;
    let runs: [(&str, &str, Moment<'_>); 3] = [
        ("disk-full", "KILL", &disk_is_full),
        ("disk-full-then-kill", "INT", &disk_is_full),
        ("cluster-failover", "KILL", &a_cluster_runs),
    ];
    for (fault, signal, moment) in runs {
        let name = format!("drills-{}-{fault}", std::process::id());
        let directory = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&directory).unwrap();
        let mut run = Command::new(env!("CARGO_BIN_EXE_operations"))
            .args(["drills", "--trials", "50", "--drill", fault, "--setting", "none", "--json"])
            .env("TMPDIR", &directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut skipped = false;
        until("the drill is in its middle", || {
            skipped = run.try_wait().unwrap().is_some();
            skipped || moment(&directory)
        });
        if !skipped {
            let pid = run.id().to_string();
            assert!(Command::new("sh").args(["-c", "kill -$0 $1", signal, &pid]).status().unwrap().success());
            run.wait().unwrap();
        }
        until("no process is left", || processes(&directory).is_empty());
        until("no file is left", || fs::read_dir(&directory).unwrap().count() == 0);
        fs::remove_dir(&directory).unwrap();
    }
}

/// Processes that have the folder in their environment: all that a run has started.
fn processes(directory: &Path) -> Vec<PathBuf> {
    let marker = format!("TMPDIR={}", directory.display());
    let all = fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    all.filter(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
    })
    .collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "waited in vain until {what}");
        sleep(Duration::from_millis(10));
    }
}
