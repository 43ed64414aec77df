//! README, Compose file and manifests say what is so.

use std::fs;
use std::process::{Command, Stdio};

use serde_yaml_ng::Value;

use crate::support;

fn read(path: &str) -> String {
    fs::read_to_string(support::workspace_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_readme_names_every_lesson_and_every_crate() {
    let readme = read("README.md");
    for lesson in support::listed(&[]) {
        let (name, asks) = (lesson["name"].as_str().unwrap(), lesson["asks"].as_str().unwrap());
        let row = readme.lines().find(|line| line.starts_with('|') && line.contains(&format!(" `{name}` ")));
        let row = row.unwrap_or_else(|| panic!("the README does not list lesson `{name}`"));
        assert!(row.contains(asks), "the README says what `{name}` answers in other words: {row}");
    }
    for entry in fs::read_dir(support::workspace_file("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(readme.contains(&format!("crates/{name}")), "the README does not say what crates/{name} is");
    }
}

#[test]
fn exercises_belong_to_lessons_of_the_tour_in_its_order() {
    let lessons = support::listed(&[]);
    let lessons: Vec<&str> = lessons.iter().map(|lesson| lesson["name"].as_str().unwrap()).collect();
    let places: Vec<_> = lab_runner::practice::EXERCISES
        .iter()
        .map(|(name, _)| lessons.iter().position(|lesson| lesson == name).unwrap_or_else(|| panic!("{name}")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn every_cargo_alias_of_the_readme_exists() {
    let readme = read("README.md");
    let aliases = read(".cargo/config.toml");
    let builtin = ["test", "run", "bench", "build", "doc"];
    for line in readme.lines().filter_map(|line| line.trim().strip_prefix("cargo ")) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let known = builtin.contains(&name) || aliases.contains(&format!("{name} = "));
        assert!(known, "README: `cargo {line}` is neither an alias nor cargo's own");
    }
}

#[test]
fn pictures_of_the_readme_exist() {
    let readme = read("README.md");
    for attribute in [" src=\"", " srcset=\""] {
        for path in readme.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
            let exists = path.contains("://") || support::workspace_file(path).exists();
            assert!(exists, "README.md shows {path}, which does not exist");
        }
    }
}

#[test]
fn compose_starts_redis_and_a_redis_insight_that_knows_it() {
    let file: Value = serde_yaml_ng::from_str(&read("docker-compose.yml")).expect("YAML");
    let redis = &file["services"]["redis"];
    let insight = &file["services"]["redis-insight"];
    assert_eq!(redis["ports"][0], "127.0.0.1:6379:6379");
    assert_eq!(insight["ports"][0], "127.0.0.1:8001:5540");
    assert_eq!(insight["environment"]["RI_REDIS_HOST"], "redis", "the name of the service");
    assert_eq!(insight["depends_on"]["redis"]["condition"], "service_healthy");
    let check = redis["healthcheck"]["test"][1].as_str().unwrap();
    assert!(check.contains("grep -q PONG"), "an answer such as NOAUTH is not health: {check}");
    for service in [redis, insight] {
        let (_, tag) = service["image"].as_str().unwrap().split_once(':').expect("a tag");
        assert!(tag.starts_with(|c: char| c.is_ascii_digit()), "pinned: {tag}");
        for volume in service["volumes"].as_sequence().unwrap() {
            let name = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(file["volumes"].as_mapping().unwrap().contains_key(name), "{name} is a named volume");
        }
    }
}

#[test]
fn compose_itself_accepts_the_file_where_there_is_one() {
    let file = support::workspace_file("docker-compose.yml");
    for program in [&["docker", "compose"][..], &["docker-compose"]] {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        let answers = command.arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if answers.is_ok_and(|status| status.success()) {
            let mut command = Command::new(program[0]);
            let output =
                command.args(&program[1..]).arg("-f").arg(&file).args(["config", "-q"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            return;
        }
    }
    println!("skipped: neither `docker compose` nor `docker-compose` answers here");
}
