//! The tour as people run it: piped, in a terminal, interrupted, killed.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support;

/// The run beside foreign data is of every lesson, and so is the tour that ends `.ci/run`.
#[test]
fn piped_it_runs_through_and_passes() {
    let mut tour = support::on_a_private_server();
    let (code, output, error) = support::run(tour.args([
        "--no-pause",
        "strings",
        "counters",
        "hashes",
        "insert",
        "cart",
        "sessions",
    ]));
    assert_eq!(code, 0, "{output}\n{error}");
    assert!(output.contains("✓") && !output.contains("✗"), "{output}");
    assert!(error.contains("private"), "it says which server was taken:\n{error}");
    for heading in ["Strings", "Counters", "cart"] {
        assert!(output.to_lowercase().contains(&heading.to_lowercase()), "{heading} is missing:\n{output}");
    }
    assert!(!output.contains('\u{1b}'), "no color in a file");
    for key in ["user:1", "cart:1", "sku:sku123", "sku:sku456"] {
        assert!(output.contains(key), "{key} is among the keys to look at:\n{output}");
    }
}

#[test]
fn output_stays_within_sixty_columns_where_words_allow() {
    let (_, output, _) =
        support::run(support::on_a_private_server().args(["--no-pause", "strings"]).env("COLUMNS", "60"));
    let prose = output.lines().filter(|line| !line.starts_with("> ") && line.contains(' '));
    for line in prose
        .filter(|line| !line.trim_start().starts_with(['"', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
    {
        assert!(line.chars().count() <= 60, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn unknown_lessons_are_usage_errors_and_passwords_are_not_repeated() {
    let (code, _, error) = support::run(support::on_a_private_server().arg("redis://user:s3cret@host/"));
    assert_eq!(code, 2, "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn two_runs_on_one_database_take_turns_or_are_refused() {
    let server = lab_server::Server::start().unwrap();
    let run = || support::run(support::at(&server.url()).args(["--no-pause", "strings"]));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(outcomes.iter().any(|(code, ..)| *code == 0));
    for (code, output, error) in outcomes {
        let refused = code != 0 && error.contains("Another run") && output.is_empty();
        assert!(code == 0 || refused, "no run breaks another's claims:\n{output}\n{error}");
    }
    let (code, ..) = run();
    assert_eq!(code, 0, "the turn was given back");
}

#[test]
fn killed_at_any_moment_it_leaves_no_server_and_no_directory() {
    for round in 0..5 {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = support::on_a_private_server();
        command.env("TMPDIR", temporary.path()).arg("--no-pause");
        let mut tour =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = wait_for_server(temporary.path(), &mut tour);
        std::thread::sleep(Duration::from_millis(40 * round));
        tour.kill().unwrap();
        tour.wait().unwrap();
        wait_until("the server and its directory are gone", || {
            !Path::new(&format!("/proc/{pid}")).exists() && server_directories(temporary.path()).is_empty()
        });
    }
}

fn wait_for_server(temporary: &Path, tour: &mut Child) -> u32 {
    let mut pid = None;
    wait_until("the private server is up", || {
        assert!(tour.try_wait().unwrap().is_none(), "the tour ended early");
        pid = server_directories(temporary).iter().find_map(|directory| {
            std::fs::read_to_string(directory.join("server.pid")).ok()?.trim().parse().ok()
        });
        pid.is_some()
    });
    pid.unwrap()
}

fn server_directories(temporary: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(temporary).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + lab_testing::TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: it takes too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}
