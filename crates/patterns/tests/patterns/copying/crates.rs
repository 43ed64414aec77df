//! A workspace with a crate for each pattern, which has the files and the dependencies of its row and nothing else, and a program
//! that runs the examples of their docs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lab_testing::HAS_TLS;

use super::table::Row;
use super::{source, workspace};

/// Features that the tests have because other crates ask for them. Without them, redis-rs and all above it would be compiled once more.
const FEATURES_OF_TESTS: &str = "\
form_urlencoded.workspace = true
libc = { version = \"0.2\", features = [\"extra_traits\"] }
memchr = \"2\"
once_cell.workspace = true
serde_core = { workspace = true, features = [\"default\"] }
smallvec.workspace = true
";
/// The same if the tests have TLS. If not, cargo may not have these packages.
const FEATURES_OF_TESTS_WITH_TLS: &str = "\
lab-server = { workspace = true, features = [\"default\"] }
redis = { workspace = true, features = [\"tls-rustls\", \"tokio-rustls-comp\"] }
rustls.workspace = true
[build-dependencies]
cc = { version = \"1\", features = [\"parallel\"] }
";
const FEATURES_OF_TESTS_WITHOUT_TLS: &str = "\
lab-server.workspace = true
redis.workspace = true
";

/// Writes the workspace. What did not change is not written again, so that cargo need not compile it.
pub fn write(folder: &Path, rows: &[Row]) {
    let root = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"*/\"]\n\n{}\n{}\n{}",
        section(&root, "[workspace.dependencies]")
            .replace("path = \"", &format!("path = \"{}/", workspace().display())),
        // With the profiles and the features of the tests, all dependencies are compiled already.
        section(&root, "[profile.dev]"),
        section(&root, "[profile.dev.package]"),
    );
    let mut files = vec![
        ("Cargo.toml".to_owned(), manifest),
        ("Cargo.lock".to_owned(), fs::read_to_string(workspace().join("Cargo.lock")).unwrap()),
    ];
    for row in rows {
        files.extend(crate_of(row));
    }
    files.extend(examples(rows));
    let names: BTreeSet<_> = files.iter().map(|(name, _)| folder.join(name)).collect();
    remove_others(folder, &names);
    for (name, text) in files {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
}

/// A crate with a pattern.
fn crate_of(row: &Row) -> Vec<(String, String)> {
    let name = crate_name(row);
    let mut lib = String::new();
    let modules = row.files.iter().filter_map(|file| file.strip_suffix(".rs"));
    modules.for_each(|module| writeln!(lib, "pub mod {module};").unwrap());
    let mut files = vec![
        (format!("{name}/Cargo.toml"), manifest(&name, row.dependencies.iter().map(String::as_str))),
        (format!("{name}/src/lib.rs"), lib),
    ];
    for file in &row.files {
        files.push((format!("{name}/src/{file}"), fs::read_to_string(source(file)).unwrap()));
    }
    files
}

/// The program. It prints the name of each pattern whose example it ran.
fn examples(rows: &[Row]) -> Vec<(String, String)> {
    let own = fs::read_to_string(source("../Cargo.toml")).unwrap();
    let own = [section(&own, "[dependencies]"), section(&own, "[dev-dependencies]")].concat();
    let dependencies = own.lines().filter_map(|line| line.strip_suffix(".workspace = true"));
    let for_examples =
        dependencies.filter(|name| !["lab-server", "lab-testing", "proptest", "redis"].contains(name));
    let mut manifest = manifest("run-examples", for_examples);
    let mut program =
        "#![allow(unused)]\ntype Outcome = Result<(), Box<dyn std::error::Error>>;\n".to_owned();
    let mut main = "fn main() -> Outcome {\n".to_owned();
    for row in rows {
        let (name, krate) = (&row.name, crate_name(row));
        writeln!(manifest, "{krate} = {{ path = \"../{krate}\" }}").unwrap();
        let code = example_of(name).replace("patterns::", &format!("{krate}::"));
        writeln!(program, "fn {name}() -> Outcome {{\n{code}}}").unwrap();
        writeln!(main, "{name}()?;\nprintln!(\"{name}\");").unwrap();
    }
    write!(program, "{main}Ok(())\n}}\n").unwrap();
    manifest += FEATURES_OF_TESTS;
    manifest += if HAS_TLS { FEATURES_OF_TESTS_WITH_TLS } else { FEATURES_OF_TESTS_WITHOUT_TLS };
    vec![("run-examples/Cargo.toml".to_owned(), manifest), ("run-examples/src/main.rs".to_owned(), program)]
}

fn manifest<'a>(name: &str, dependencies: impl Iterator<Item = &'a str>) -> String {
    let mut text = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n"
    );
    dependencies.for_each(|name| writeln!(text, "{name}.workspace = true").unwrap());
    text
}

fn crate_name(row: &Row) -> String {
    format!("copied_{}", row.name)
}

/// The code of the example in the docs of a module.
fn example_of(pattern: &str) -> String {
    let text = fs::read_to_string(source(&format!("{pattern}.rs"))).unwrap();
    let docs = text.lines().map_while(|line| line.strip_prefix("//!"));
    let docs: Vec<&str> = docs.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    // Every other part is inside of a fence, and begins with what the fence says of it: nothing, if it is Rust.
    let text = format!("\n{}", docs.join("\n"));
    let code: Vec<&str> =
        text.split("\n```").skip(1).step_by(2).filter_map(|part| part.strip_prefix('\n')).collect();
    assert_eq!(code.len(), 1, "the docs of {pattern} have one example");
    code[0].lines().fold(String::new(), |code, line| {
        // Lines that the docs do not show begin so.
        let line = if line == "#" { "" } else { line.strip_prefix("# ").unwrap_or(line) };
        code + line + "\n"
    })
}

/// A section of a manifest, with its heading, up to the next heading.
fn section<'a>(manifest: &'a str, heading: &str) -> &'a str {
    let Some(start) = manifest.find(&format!("{heading}\n")) else { return "" };
    let rest = &manifest[start..];
    rest.find("\n[").map_or(rest, |end| &rest[..=end])
}

/// Removes files of an earlier run that do not belong here now.
fn remove_others(folder: &Path, names: &BTreeSet<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_others(&path, names);
            // Fails, as it should, unless it is empty.
            let _ = fs::remove_dir(&path);
        } else if !names.contains(&path) {
            fs::remove_file(&path).unwrap();
        }
    }
}
