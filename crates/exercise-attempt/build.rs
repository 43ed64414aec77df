//! Which Rust is compiled: the learner's file that `EXERCISE_FILE` names, with the check `EXERCISE_CHECK`; or, for the tests, every
//! Rust file of every exercise, so that they are one program and not eighty.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=EXERCISE_FILE");
    println!("cargo:rerun-if-env-changed=EXERCISE_CHECK");
    let modules = match (env::var("EXERCISE_FILE"), env::var("EXERCISE_CHECK")) {
        (Ok(file), Ok(check)) => one(&file, &check),
        _ => all()?,
    };
    fs::write(Path::new(&env::var("OUT_DIR")?).join("attempts.rs"), modules)?;
    Ok(())
}

fn one(file: &str, check: &str) -> String {
    println!("cargo:rerun-if-changed={file}");
    println!("cargo:rerun-if-changed={check}");
    module("the_attempt", file, check) + &function("(_, _) => the_attempt::check::check(lab).await,")
}

fn all() -> Result<String, Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../exercises/exercises").canonicalize()?;
    println!("cargo:rerun-if-changed={}", folder.display());
    let (mut modules, mut arms) = (String::new(), String::new());
    for exercise in sorted(&folder)? {
        let check = exercise.join("check.rs");
        if !check.exists() {
            continue;
        }
        for mut file in sorted(&exercise)? {
            let (name, variant) = (stem(&exercise), stem(&file));
            let identifier = format!("{name}_{variant}").replace('-', "_");
            match file.extension().and_then(OsStr::to_str) {
                Some("rs") if variant != "check" => {}
                Some("diff") => {
                    let text = patched(&file)?;
                    file = Path::new(&env::var("OUT_DIR")?).join(&identifier).with_extension("rs");
                    fs::write(&file, text)?;
                }
                _ => continue,
            }
            modules += &module(&identifier, &file.to_string_lossy(), &check.to_string_lossy());
            writeln!(arms, "({name:?}, {variant:?}) => {identifier}::check::check(lab).await,")?;
        }
    }
    arms.push_str("_ => Err(exercises::Fault::new(format!(\"there is no {exercise}/{variant}.rs\"))),");
    Ok(modules + &function(&arms))
}

/// What a `.diff` stands for: the file that its line `--- ` names, with other lines in some places. They are found by their text, so the
/// lines `@@` have no numbers.
fn patched(diff: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(diff)?;
    let mut parts = text.split("@@\n");
    let (_, name) = parts.next().and_then(|head| head.trim_end().rsplit_once("--- ")).ok_or("no line ---")?;
    let base = fs::read_to_string(diff.with_file_name(name))?;
    let (mut patched, mut rest) = (String::new(), base.as_str());
    for part in parts {
        let side = |mark: char| -> String {
            part.split_inclusive('\n').filter_map(|line| line.strip_prefix([mark, ' '])).collect()
        };
        let old = side('-');
        let missing = || format!("{}: {name} does not have these lines:\n{old}", diff.display());
        let (before, after) = rest.split_once(&old).ok_or_else(missing)?;
        patched.extend([before, &side('+')]);
        rest = after;
    }
    Ok(patched + rest)
}

fn sorted(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The attempt and its check, side by side: the check says `use super::attempt::…`. What a learner writes is not ours to lint.
///
/// A check that says `second_process` gets the attempt a second time, with statics of its own: what another process would have.
fn module(name: &str, file: &str, check: &str) -> String {
    let lints = "#[allow(warnings, clippy::all, clippy::pedantic, clippy::restriction)]";
    let twice = fs::read_to_string(check).is_ok_and(|text| text.contains("second_process"));
    let second = if twice { format!("#[path = {file:?}] pub mod second_process;") } else { String::new() };
    format!(
        "{lints} mod {name} {{ #[path = {file:?}] pub mod attempt; {second} #[path = {check:?}] pub mod check; }}\n"
    )
}

fn function(arms: &str) -> String {
    format!(
        "/// Runs the check of an exercise on one of its Rust files.\n\
         #[allow(clippy::too_many_lines, clippy::large_futures)]\n\
         pub async fn check(exercise: &str, variant: &str, lab: &exercises::Lab) -> exercises::Verdict {{\n\
         match (exercise, variant) {{\n{arms}\n}}\n}}\n"
    )
}
