//! The quiz in a terminal, and where it keeps what one knows.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use interview::guide::{Guide, Question};
use lab_server::{Cluster, Server};

use crate::support::{Terminal, interview, run};

/// What one may see of a question once its answer is shown: its first command.
fn first_command(question: &Question) -> String {
    let step = question.blocks().next().unwrap().steps().next().unwrap();
    step.line_of_session().trim_start_matches('~').to_owned()
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
    Terminal::start(command)
}

/// Shows the answer to the question that is asked, and grades it.
fn answer(terminal: &mut Terminal, number: usize, grade: &str) {
    terminal.enter_at(&[&format!("{number}. "), "Enter shows the answer"], "");
    terminal.enter_at(&["Say:", "Trap:", &first_command(question(number)), "See:", "How was it?"], grade);
}

#[test]
fn what_was_missed_comes_back_in_the_same_run_and_is_known_in_the_next() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    terminal.shows(&["0 due, 1 new, 0 for later"]);
    answer(&mut terminal, 1, "nonsense");
    terminal.enter_at(&["none of the keys"], "a");
    terminal.shows(&["comes back in a moment"]);
    answer(&mut terminal, 1, "h");
    terminal.ends_after(&["comes back in 24 hours", "Graded: 0 good, 1 hard, 1 again"], 0);

    let mut terminal = quiz(data.path(), &["--question", "1"]);
    terminal.shows(&["0 due, 0 new, 1 for later"]);
    answer(&mut terminal, 1, "good");
    terminal.ends_after(&["comes back in 2 days"], 0);
}

#[test]
fn enter_alone_gives_no_grade() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    answer(&mut terminal, 1, "");
    for _ in 0..3 {
        terminal.enter_at(&["none of the keys", "How was it?"], "");
    }
    terminal.enter_at(&["none of the keys", "How was it?"], "s");
    terminal.ends_after(&["Graded: 0 good, 0 hard, 0 again. Left: 0 due, 1 new."], 0);
}

/// One question after the other is skipped: all of the guide is asked, each question once, and topics take turns.
#[test]
fn all_of_the_guide_is_asked_with_topics_mixed() {
    let guide = Guide::built_in().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &[]);
    let mut asked = Vec::new();
    for _ in guide.questions() {
        let text = terminal.shows(&["Enter shows the answer"]);
        let (place, question) =
            guide.questions().enumerate().find(|(_, (_, question))| is_asked(&text, question)).unwrap();
        asked.push((place, &question.0.anchor));
        terminal.enter("s");
    }
    terminal.ends_after(&["Graded: 0 good"], 0);
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
    // It may be left before anything was asked.
    quiz(data.path(), &["--level", "beginner", "--url", &url]).quits_after(&[]);
    let mut connection = server.client().get_connection().unwrap();
    let (now, _): (i64, i64) = redis::cmd("TIME").query(&mut connection).unwrap();
    let mut note = |question: &Question, due: i64| {
        let mut add = redis::cmd("ZADD");
        add.arg("interview:due").arg(due * 1000).arg(&question.slug).exec(&mut connection).unwrap();
    };
    let beginners = beginners();
    for question in &beginners {
        note(question, now + 172_800);
    }
    quiz(data.path(), &["--level", "beginner", "--url", &url]).ends_after(
        &[
            &format!("0 due, 0 new, {} for later", beginners.len()),
            "The next one is due in 2 days; --all asks now.",
        ],
        0,
    );

    let last = beginners.last().unwrap();
    note(last, now - 60);
    let mut terminal = quiz(data.path(), &["--url", &url]);
    terminal.shows(&["1 due"]);
    answer(&mut terminal, last.number, "g");
    terminal.quits_after(&[]);
}

#[test]
fn on_your_server_the_progress_is_two_keys_and_examples_write_none() {
    let server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1", "--url", &server.url(), "--prefix", "lab:"]);
    answer(&mut terminal, 1, "good");
    terminal.ends_after(&["comes back in 24 hours"], 0);

    let mut connection = server.client().get_connection().unwrap();
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    keys.sort();
    assert_eq!(keys, ["lab:interview:due", "lab:interview:state", "lab:redis-lab:marker"]);
    let range = ["lab:interview:due", "0", "-1", "WITHSCORES"];
    let due: Vec<(String, i64)> = redis::cmd("ZRANGE").arg(&range).query(&mut connection).unwrap();
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
    terminal.quits_after(&["comes back in a moment"]);
    quiz(data.path(), &["--question", "1", "--cluster", "--url", url]).quits_after(&["1 for later"]);
}

#[test]
fn a_server_that_goes_away_ends_it_with_an_error() {
    let mut server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1", "--url", &server.url()]);
    terminal.shows(&["Enter shows the answer"]);
    server.kill();
    terminal.enter("");
    terminal.enter_at(&["How was it?"], "g");
    terminal.ends_after(&["try:"], 3);
}

#[test]
fn other_peoples_data_is_refused() {
    let server = Server::start().unwrap();
    redis::cmd("SET").arg("theirs").arg(1).exec(&mut server.client().get_connection().unwrap()).unwrap();
    let data = tempfile::tempdir().unwrap();
    quiz(data.path(), &["--url", &server.url()]).ends_after(&["holds other data"], 4);
}

#[test]
fn ctrl_c_ends_with_130_and_loses_no_grade() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    answer(&mut terminal, 1, "a");
    terminal.shows(&["Enter shows the answer"]);
    terminal.press(3);
    terminal.ends_after(&[], 130);
    let mut terminal = quiz(data.path(), &["--question", "1"]);
    terminal.shows(&["0 new, 1 for later"]);
    // The end of input leaves, too.
    terminal.shows(&["Enter shows the answer"]);
    terminal.press(4);
    terminal.ends_after(&[], 0);
}

#[test]
fn a_second_quiz_does_not_touch_the_file_of_the_first() {
    let data = tempfile::tempdir().unwrap();
    let mut first = quiz(data.path(), &["--question", "1"]);
    first.shows(&["Enter shows the answer"]);
    quiz(data.path(), &["--question", "1"]).ends_after(&["Another quiz is running"], 1);
    first.enter("");
    first.enter_at(&["How was it?"], "g");
    first.ends_after(&["comes back in 24 hours"], 0);
    quiz(data.path(), &["--question", "1"]).quits_after(&["1 for later"]);
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
    terminal.shows(&["Your progress cannot be read by"]);
    // Where the lines break depends on how long the path is.
    terminal.shows_words("was saved by redis-server 8.2.3");
    terminal.shows_words("--server redis-8.2: the one that saved it");
    terminal.ends_after(&[], 5);
    assert_eq!(std::fs::read(folder.join("progress.rdb")).unwrap(), b"REDIS0999 and more");
}

#[test]
fn a_file_of_another_release_is_explained() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--question", "1", "--server", "redis-8.2"]);
    answer(&mut terminal, 1, "g");
    terminal.ends_after(&["comes back in 24 hours"], 0);
    quiz(data.path(), &["--question", "1", "--server", "valkey-9.1"])
        .ends_after(&["cannot be read by valkey-server 9.1", "--server redis-8.2"], 5);
    quiz(data.path(), &["--question", "1", "--server", "redis-8.2"]).quits_after(&["1 for later"]);
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
    let json = |arguments: &[&str]| -> serde_json::Value {
        let (code, output, error) = ask(&[arguments, &["--json"]].concat());
        assert_eq!(code, 0, "{arguments:?}: {error}");
        serde_json::from_str(&output).unwrap()
    };
    let listed = |arguments: &[&str], field: &str| -> Vec<serde_json::Value> {
        let questions = json(&[&["--list"], arguments].concat());
        questions.as_array().unwrap().iter().map(|question| question[field].clone()).collect()
    };
    let guide = Guide::built_in().unwrap();
    assert_eq!(listed(&[], "number").len(), guide.questions().count());
    assert_eq!(listed(&["--question", "3,1", "--question", "2"], "number"), [1, 2, 3]);
    for (level, levels) in [
        ("beginner", &["beginner"][..]),
        ("junior", &["beginner"]),
        ("mid", &["intermediate"]),
        ("senior", &["advanced", "expert"]),
    ] {
        let mut found = listed(&["--level", level], "level");
        found.sort_unstable_by_key(ToString::to_string);
        found.dedup();
        assert_eq!(found, levels);
    }

    let topic = &guide.topics[1];
    for text in [topic.anchor.as_str(), &topic.title.to_uppercase()] {
        let (_, output, _) = ask(&["--list", "--topic", text]);
        assert!(output.contains(&format!("{}. ", topic.questions[0].number)), "{output}");
        assert!(!output.contains(" 1. "), "{output}");
    }
    let (_, output, _) = ask(&["--list", "--lesson", "strings"]);
    assert!(output.contains(". "), "{output}");

    let asked = &json(&["--question", "1"])["questions"][0];
    assert_eq!(asked["slug"], question(1).slug);
    let mut examples = asked["examples"].as_array().unwrap().iter();
    assert!(examples.any(|example| example["steps"][0]["as_expected"] == true), "{asked}");

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
