//! The quiz in a terminal, and where it keeps what one knows.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use expectrl::{Eof, Expect};
use interview::guide::{Guide, Question};
use lab_server::{Cluster, Server};

use crate::support::{Terminal, in_a_terminal, interview, run};

/// What one may see of a question once its answer is shown: its first command.
fn first_command(question: &Question) -> String {
    question
        .blocks()
        .next()
        .unwrap()
        .steps()
        .next()
        .unwrap()
        .line_of_session()
        .trim_start_matches('~')
        .to_owned()
}

fn question(number: usize) -> &'static Question {
    Guide::built_in().unwrap().questions().map(|(_, question)| question).find(|q| q.number == number).unwrap()
}

/// The questions `--level beginner` asks, at least one.
fn beginners() -> Vec<&'static Question> {
    let guide = Guide::built_in().unwrap();
    let all = guide.questions().map(|(_, question)| question);
    all.filter(|question| question.level.name() == "beginner").collect()
}

pub fn quiz(data: &Path, arguments: &[&str]) -> Terminal {
    let mut command = interview(data);
    command.args(arguments);
    in_a_terminal(command)
}

/// Shows the answer to the question that is asked, and grades it.
fn answer(terminal: &mut Terminal, number: usize, grade: &str) {
    terminal.expect(format!("{number}. ")).unwrap();
    terminal.expect("Enter shows the answer").unwrap();
    terminal.send_line("").unwrap();
    terminal.expect("Say:").unwrap();
    terminal.expect("Trap:").unwrap();
    terminal.expect(first_command(question(number))).unwrap();
    terminal.expect("See:").unwrap();
    terminal.expect("How was it?").unwrap();
    terminal.send_line(grade).unwrap();
}

pub fn leave(mut terminal: Terminal) -> i32 {
    terminal.send_line("q").unwrap();
    ended(terminal)
}

pub fn ended(mut terminal: Terminal) -> i32 {
    terminal.expect(Eof).unwrap();
    let status = terminal.get_process().wait().unwrap();
    match status {
        expectrl::process::unix::WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_missed_comes_back_in_the_same_run_and_is_known_in_the_next() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    terminal.expect("0 due, 1 new, 0 for later").unwrap();
    answer(&mut terminal, 1, "nonsense");
    terminal.expect("none of the keys").unwrap();
    terminal.send_line("a").unwrap();
    terminal.expect("comes back in a moment").unwrap();
    answer(&mut terminal, 1, "h");
    terminal.expect("comes back in 24 hours").unwrap();
    terminal.expect("Graded: 0 good, 1 hard, 1 again").unwrap();
    assert_eq!(ended(terminal), 0);

    let mut terminal = quiz(data.path(), &["--question", "1"]);
    terminal.expect("0 due, 0 new, 1 for later").unwrap();
    answer(&mut terminal, 1, "good");
    terminal.expect("comes back in 2 days").unwrap();
    assert_eq!(ended(terminal), 0);
}

#[test]
fn enter_alone_gives_no_grade() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    answer(&mut terminal, 1, "");
    for _ in 0..3 {
        terminal.expect("none of the keys").unwrap();
        terminal.expect("How was it?").unwrap();
        terminal.send_line("").unwrap();
    }
    terminal.expect("none of the keys").unwrap();
    terminal.expect("How was it?").unwrap();
    terminal.send_line("s").unwrap();
    terminal.expect("Graded: 0 good, 0 hard, 0 again. Left: 0 due, 1 new.").unwrap();
    assert_eq!(ended(terminal), 0);
}

/// One question after the other is skipped: all of the guide is asked, each question once, and topics take turns.
#[test]
fn all_of_the_guide_is_asked_with_topics_mixed() {
    let guide = Guide::built_in().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &[]);
    let mut asked = Vec::new();
    for _ in guide.questions() {
        let shown = terminal.expect("Enter shows the answer").unwrap();
        let text = String::from_utf8_lossy(shown.before()).into_owned();
        let (place, question) =
            guide.questions().enumerate().find(|(_, (_, question))| is_asked(&text, question)).unwrap();
        asked.push((place, &question.0.anchor));
        terminal.send_line("s").unwrap();
    }
    terminal.expect("Graded: 0 good").unwrap();
    assert_eq!(ended(terminal), 0);
    for pair in asked.windows(2) {
        assert_ne!(pair[0].1, pair[1].1, "{asked:?}");
    }
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), guide.questions().count());
}

/// Whether a screen asks this question: its number begins a line, behind colors.
fn is_asked(screen: &str, question: &Question) -> bool {
    let number = format!("{}. ", question.number);
    screen.lines().any(|line| {
        let line = line.trim_start_matches("\u{1b}[1m").trim_start_matches("\u{1b}[0m");
        line.starts_with(&number)
    })
}

#[test]
fn what_is_due_is_asked_before_what_is_new_and_what_is_not_due_is_not_asked() {
    let server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let url = server.url();
    let beginning = quiz(data.path(), &["--level", "beginner", "--url", &url]);
    assert_eq!(leave(beginning), 0, "it may be left before anything was asked");
    let mut connection = server.client().get_connection().unwrap();
    let (now, _): (i64, i64) = redis::cmd("TIME").query(&mut connection).unwrap();
    let mut note = |question: &Question, due: i64| {
        redis::cmd("ZADD")
            .arg("interview:due")
            .arg(due * 1000)
            .arg(&question.slug)
            .exec(&mut connection)
            .unwrap();
    };
    let beginners = beginners();
    for question in &beginners {
        note(question, now + 172_800);
    }
    let mut terminal = quiz(data.path(), &["--level", "beginner", "--url", &url]);
    terminal.expect(format!("0 due, 0 new, {} for later", beginners.len())).unwrap();
    terminal.expect("The next one is due in 2 days; --all asks now.").unwrap();
    assert_eq!(ended(terminal), 0);

    let last = beginners.last().unwrap();
    note(last, now - 60);
    let mut terminal = quiz(data.path(), &["--url", &url]);
    terminal.expect("1 due").unwrap();
    answer(&mut terminal, last.number, "g");
    assert_eq!(leave(terminal), 0);
}

#[test]
fn on_your_server_the_progress_is_two_keys_and_examples_write_none() {
    let server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1", "--url", &server.url(), "--prefix", "lab:"]);
    answer(&mut terminal, 1, "good");
    terminal.expect("comes back in 24 hours").unwrap();
    assert_eq!(ended(terminal), 0);

    let mut connection = server.client().get_connection().unwrap();
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    keys.sort();
    assert_eq!(keys, ["lab:interview:due", "lab:interview:state", "lab:redis-lab:marker"]);
    let due: Vec<(String, i64)> = redis::cmd("ZRANGE")
        .arg("lab:interview:due")
        .arg(0)
        .arg(-1)
        .arg("WITHSCORES")
        .query(&mut connection)
        .unwrap();
    let (now, _): (i64, i64) = redis::cmd("TIME").query(&mut connection).unwrap();
    assert_eq!(due[0].0, question(1).slug);
    let in_seconds = due[0].1 / 1000 - now;
    assert!((86_300..=86_401).contains(&in_seconds), "{in_seconds} s");
    let state: HashMap<String, String> =
        redis::cmd("HGETALL").arg("lab:interview:state").query(&mut connection).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state[&question(1).slug]).unwrap();
    assert_eq!(
        (&state["interval"], &state["seen"], &state["grade"]),
        (&86_400_000.into(), &1.into(), &"good".into())
    );
    assert!(!data.path().join("redis-lab").exists(), "nothing is kept in a file then");
}

#[test]
fn on_your_cluster_it_is_kept_too() {
    let cluster = Cluster::start(3).unwrap();
    let data = tempfile::tempdir().unwrap();
    let url = &cluster.urls()[0];
    let mut terminal = quiz(data.path(), &["--question", "1", "--cluster", "--url", url]);
    answer(&mut terminal, 1, "again");
    terminal.expect("comes back in a moment").unwrap();
    assert_eq!(leave(terminal), 0);
    let mut terminal = quiz(data.path(), &["--question", "1", "--cluster", "--url", url]);
    terminal.expect("1 for later").unwrap();
    assert_eq!(leave(terminal), 0);
}

#[test]
fn a_server_that_goes_away_ends_it_with_an_error() {
    let mut server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1", "--url", &server.url()]);
    terminal.expect("Enter shows the answer").unwrap();
    server.kill();
    terminal.send_line("").unwrap();
    terminal.expect("How was it?").unwrap();
    terminal.send_line("g").unwrap();
    terminal.expect("try:").unwrap();
    assert_eq!(ended(terminal), 3);
}

#[test]
fn other_peoples_data_is_refused() {
    let server = Server::start().unwrap();
    redis::cmd("SET").arg("theirs").arg(1).exec(&mut server.client().get_connection().unwrap()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--url", &server.url()]);
    terminal.expect("holds other data").unwrap();
    assert_eq!(ended(terminal), 4);
}

#[test]
fn ctrl_c_ends_with_130_and_loses_no_grade() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    answer(&mut terminal, 1, "a");
    terminal.expect("Enter shows the answer").unwrap();
    terminal.send([3]).unwrap();
    assert_eq!(ended(terminal), 130);
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    terminal.expect("0 new, 1 for later").unwrap();
    // The end of input leaves, too.
    terminal.expect("Enter shows the answer").unwrap();
    terminal.send([4]).unwrap();
    assert_eq!(ended(terminal), 0);
}

#[test]
fn a_second_quiz_does_not_touch_the_file_of_the_first() {
    let data = tempfile::tempdir().unwrap();
    let mut first = quiz(data.path(), &["--question", "1"]);
    first.expect("Enter shows the answer").unwrap();
    let mut second = quiz(data.path(), &["--question", "1"]);
    second.expect("Another quiz is running").unwrap();
    assert_eq!(ended(second), 1);
    first.send_line("").unwrap();
    first.expect("How was it?").unwrap();
    first.send_line("g").unwrap();
    first.expect("comes back in 24 hours").unwrap();
    assert_eq!(ended(first), 0);
    let mut third = quiz(data.path(), &["--question", "1"]);
    third.expect("1 for later").unwrap();
    assert_eq!(leave(third), 0);
}

#[test]
fn a_file_that_the_server_cannot_read_is_left_as_it_is() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("redis-lab/interview");
    std::fs::create_dir_all(&folder).unwrap();
    // What a server of a far future would begin its file with.
    std::fs::write(folder.join("progress.rdb"), b"REDIS0999 and more").unwrap();
    std::fs::write(folder.join("progress.written-by"), "redis-server 8.2.3 from the cache").unwrap();
    let mut terminal = quiz(data.path(), &[]);
    terminal.expect("Your progress cannot be read by").unwrap();
    // Where the lines break depends on how long the path is.
    terminal.expect(expectrl::Regex(r"was\s+saved\s+by\s+redis-server\s+8\.2\.3")).unwrap();
    terminal.expect(expectrl::Regex(r"--server\s+redis-8\.2:\s+the\s+one\s+that\s+saved\s+it")).unwrap();
    assert_eq!(ended(terminal), 5);
    assert_eq!(std::fs::read(folder.join("progress.rdb")).unwrap(), b"REDIS0999 and more");
}

#[test]
fn a_file_of_another_release_is_explained() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1", "--server", "redis-8.2"]);
    answer(&mut terminal, 1, "g");
    terminal.expect("comes back in 24 hours").unwrap();
    assert_eq!(ended(terminal), 0);
    let mut terminal = quiz(data.path(), &["--question", "1", "--server", "valkey-9.1"]);
    terminal.expect("cannot be read by valkey-server 9.1").unwrap();
    terminal.expect("--server redis-8.2").unwrap();
    assert_eq!(ended(terminal), 5);
    let mut terminal = quiz(data.path(), &["--question", "1", "--server", "redis-8.2"]);
    terminal.expect("1 for later").unwrap();
    assert_eq!(leave(terminal), 0);
}

#[test]
fn without_a_terminal_it_prints_questions_and_answers() {
    let data = tempfile::tempdir().unwrap();
    let (code, output, error) = run(interview(data.path()).args(["--question", "1"]));
    assert_eq!(code, 0, "{error}");
    for part in ["1. ", "Say:", "Why:", "Trap:", "See:", &first_command(question(1))] {
        assert!(output.contains(part), "{part}:\n{output}");
    }
    assert!(!output.contains('\u{1b}') && !output.contains("How was it?"), "{output}");
    assert!(!data.path().join("redis-lab").exists(), "nothing was graded");
}

#[test]
fn lists_and_json_are_what_was_chosen() {
    let data = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| run(interview(data.path()).args(arguments));
    let (code, output, _) = ask(&["--list", "--json"]);
    assert_eq!(code, 0);
    let listed: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), Guide::built_in().unwrap().questions().count());

    let topic = &Guide::built_in().unwrap().topics[1];
    for text in [topic.anchor.as_str(), &topic.title.to_uppercase()] {
        let (_, output, _) = ask(&["--list", "--topic", text]);
        assert!(output.contains(&format!("{}. ", topic.questions[0].number)), "{output}");
        assert!(!output.contains(" 1. "), "{output}");
    }
    let (_, output, _) = ask(&["--list", "--lesson", "strings"]);
    assert!(output.contains(". "), "{output}");

    let (code, output, error) = ask(&["--question", "1", "--json"]);
    assert_eq!(code, 0, "{error}");
    let document: serde_json::Value = serde_json::from_str(&output).unwrap();
    let asked = &document["questions"][0];
    assert_eq!(asked["slug"], question(1).slug);
    assert!(
        asked["examples"]
            .as_array()
            .unwrap()
            .iter()
            .any(|example| example["steps"][0]["as_expected"] == true)
    );

    let (_, output, _) = ask(&["--list", "--json", "--question", "3,1", "--question", "2"]);
    let listed: serde_json::Value = serde_json::from_str(&output).unwrap();
    let numbers: Vec<_> = listed.as_array().unwrap().iter().map(|listed| &listed["number"]).collect();
    assert_eq!(numbers, [1, 2, 3]);

    for (level, levels) in [
        ("beginner", vec!["beginner"]),
        ("junior", vec!["beginner"]),
        ("mid", vec!["intermediate"]),
        ("senior", vec!["advanced", "expert"]),
    ] {
        let (_, output, _) = ask(&["--list", "--json", "--level", level]);
        let listed: serde_json::Value = serde_json::from_str(&output).unwrap();
        let mut found: Vec<_> =
            listed.as_array().unwrap().iter().map(|listed| listed["level"].as_str().unwrap()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, levels);
    }

    let (code, _, error) = ask(&["--topic", "no such topic"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("--list"), "{error}");
}

#[test]
fn lines_stay_within_the_terminal_where_words_allow() {
    let data = tempfile::tempdir().unwrap();
    for (columns, most) in [("80", 80), ("120", 100), ("60", 60)] {
        let mut command: Command = interview(data.path());
        let (_, output, _) = run(command.args(["--level", "beginner"]).env("COLUMNS", columns));
        for line in output.lines().filter(|line| line.contains(' ')) {
            let shown = line.chars().count();
            // A word longer than the line is left whole, so that it can be copied.
            let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
            assert!(shown <= most || longest + 8 > most, "{shown} columns of {columns}: {line}");
        }
    }
}
