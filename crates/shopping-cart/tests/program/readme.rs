//! The README's commands, run as they stand there, in their order, on one server.

use std::process::Command;

use lab_server::Server;

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_story_of_the_readme_runs() {
    let server = Server::start().expect("a private server");
    let commands: Vec<&str> =
        README.lines().filter_map(|line| line.strip_prefix("cargo cart ")).map(str::trim).collect();
    assert!(commands.len() >= 5, "the README tells a story: {commands:?}");
    for command in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_shopping-cart"))
            .args(words(command))
            .env("REDIS_URL", server.url())
            .env_remove("REDISCLI_AUTH")
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "cargo cart {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// As a shell splits them, as far as the README goes: at spaces, but not within double quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in command.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().expect("never empty").push(other),
        }
    }
    words
}
