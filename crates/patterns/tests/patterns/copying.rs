//! The README's table of patterns is right, and each pattern works when it is copied as the table says.
//!
//! `UPDATE=1 cargo test -p patterns --test patterns copying` writes the files, the lines, and the dependencies into the table, and adds
//! rows for new patterns.

mod crates;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use table::Row;

/// What all patterns share. These have no row.
const SHARED: [&str; 5] = ["key", "lease", "limit", "money", "script"];

/// The rows as the README has them. With `UPDATE=1`, they are written first.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let path = workspace().join("README.md");
    if lab_testing::updates() {
        let updated = table::update(&fs::read_to_string(&path).unwrap(), &patterns());
        fs::write(&path, updated).unwrap();
    }
    table::rows(&fs::read_to_string(&path).unwrap())
});

#[test]
fn each_pattern_has_a_row_with_its_files_lines_and_dependencies() {
    let mut wrong = Vec::new();
    for pattern in patterns() {
        let Some(row) = ROWS.iter().find(|row| row.name == pattern) else {
            wrong.push(format!("{pattern} has no row"));
            continue;
        };
        let expected = Row::of(&pattern);
        let found = (&row.path, &row.files, row.lines, &row.dependencies);
        if found != (&expected.path, &expected.files, expected.lines, &expected.dependencies) {
            wrong.push(format!("expected {}\n   found {}", expected.line(), row.line()));
        }
        if row.purpose.is_empty() || row.holds.is_empty() {
            wrong.push(format!("{pattern}: what is it for, and what holds?"));
        }
    }
    wrong.extend(
        ROWS.iter()
            .filter(|row| !patterns().contains(&row.name))
            .map(|row| format!("there is no pattern {}", row.name)),
    );
    assert!(
        wrong.is_empty(),
        "UPDATE=1 cargo test -p patterns --test patterns copying\n{}",
        wrong.join("\n")
    );
}

#[test]
fn each_pattern_compiles_alone_and_its_example_runs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copying");
    crates::write(&folder, &ROWS);
    // The folder for temporary files is in the target folder. With that one, what is compiled already is compiled.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&folder).env("CARGO_TARGET_DIR", target).args([
        "run",
        "--offline",
        "--package",
        "run-examples",
    ]);
    // Cargo sets these for a test. Build scripts ask for some (ring's does), so they would run again, and what depends on them would be
    // compiled again.
    let set_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if set_by_cargo.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ran = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = ROWS.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(ran.lines().collect::<Vec<_>>(), names);
}

/// The modules of the library that are patterns, in its order.
fn patterns() -> Vec<String> {
    let lib = fs::read_to_string(source("lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    modules.filter(|name| !SHARED.contains(name)).map(str::to_owned).collect()
}

/// A file of the library.
fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
