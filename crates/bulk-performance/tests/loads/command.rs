//! `bulk-performance load` as people run it, interrupt it, and run it again.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab_server::Server;
use redis::{Commands, Connection};
use serde_json::Value;

use crate::loading::keeping_everything;
use crate::relay::Relay;

/// Kinds with a size that takes a while, in the words of the command line.
const LONG_LOADS: [&[&str]; 3] = [
    &["--kind", "users", "--records", "40000", "--indexes"],
    &["--kind", "strings", "--records", "200000"],
    &["--kind", "list", "--records", "2000000"],
];

/// Pieces of the relay: 8 MB, which is more than sockets hold, and less than the smallest of these loads.
const ON_THE_WAY: usize = 512;

#[test]
fn json_has_what_it_promises() {
    let server = Server::start().unwrap();
    let ended = on(&server, &["--records", "5000"]).end();
    let report = ended.document(0);
    let mut fields: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let promised = "bytes_sent client_cpu_seconds command digest peak_rss_bytes reconnections records records_per_second \
                    redirections replayed resumed resumed_after seconds server_cpu_share verified verify_seconds waits";
    assert_eq!(fields.join(" "), promised);

    let number = |field: &str| report[field].as_f64().unwrap();
    let seconds = number("seconds");
    assert!(seconds > 0.0 && number("verify_seconds") > 0.0, "{report}");
    let rate = 5_000.0 / seconds;
    assert!((number("records_per_second") / rate - 1.0).abs() < 0.01, "{report}");
    // A user is 8 fields; a load that counted only some of its bytes would be below.
    assert!((100.0..1_000.0).contains(&(number("bytes_sent") / 5_000.0)), "{report}");
    assert!((1e6..40e6).contains(&number("peak_rss_bytes")), "{report}");
    assert!(number("client_cpu_seconds") > 0.0, "{report}");
    assert!((0.0..2.0).contains(&number("server_cpu_share")), "{report}");
    assert!(report["waits"].is_u64(), "{report}");
    assert_eq!(report["records"], 5_000);
    assert_eq!(report["command"], "RESTORE");
    for nothing in ["resumed_after", "reconnections", "redirections", "replayed"] {
        assert_eq!(report[nothing], 0, "{nothing}");
    }
    assert_eq!((&report["resumed"], &report["verified"]), (&Value::from(false), &Value::from(true)));
    assert_eq!(digest(&report).len(), 16, "{report}");
}

#[test]
fn what_is_not_read_back_is_not_called_verified() {
    let server = Server::start().unwrap();
    let report = on(&server, &["--records", "100", "--no-verify"]).end().document(0);
    assert!(report["verified"].is_null() && report["digest"].is_null(), "{report}");
    assert_eq!(own(&server).hlen::<_, u64>("user:100").unwrap(), 8);
}

#[test]
fn the_digest_says_what_was_loaded() {
    let server = Server::start().unwrap();
    let digest_of = |arguments: &[&str]| digest(&on(&server, arguments).end().document(0));
    let once = digest_of(&["--records", "1000"]);
    assert_eq!(digest_of(&["--records", "1000", "--writing", "hset", "--connections", "3"]), once);
    assert_ne!(digest_of(&["--records", "1001"]), once);
}

#[test]
fn without_json_a_person_can_read_it() {
    let server = Server::start().unwrap();
    let ended = Run::start(server.url(), server.password(), &["--records", "1000"]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("read back and right") && ended.stdout.contains("1,000"), "{ended:?}");
    assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'), "{ended:?}");
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "{ended:?}");
}

#[test]
fn a_load_that_was_killed_goes_on_and_ends_as_if_nothing_had_happened() {
    for load in LONG_LOADS {
        let undisturbed = on(&Server::start().unwrap(), load).end().document(0);

        let server = keeping_everything().start().unwrap();
        held(&server, load).until_resumable(&server, load).kill("-KILL");
        let report = on(&server, &resumed(load)).end().document(0);
        assert_eq!((&report["resumed"], &report["verified"]), (&true.into(), &true.into()), "{load:?}");
        assert_eq!(report["records"], undisturbed["records"], "{load:?}");
        assert_eq!(report["digest"], undisturbed["digest"], "{load:?}");
        let before = report["resumed_after"].as_u64().unwrap();
        assert!((1..undisturbed["records"].as_u64().unwrap()).contains(&before), "{load:?}: {report}");
    }
}

#[test]
fn a_load_that_was_killed_while_it_wrote_indexes_gets_all_of_them() {
    let load = LONG_LOADS[0];
    let undisturbed = on(&Server::start().unwrap(), load).end().document(0);
    let server = keeping_everything().start().unwrap();
    let mut own = own(&server);
    held(&server, load).until(|| own.exists("users_by_salary").unwrap()).kill("-KILL");
    let report = on(&server, &resumed(load)).end().document(0);
    assert_eq!((&report["records"], &report["verified"]), (&40_000.into(), &true.into()), "{report}");
    assert_eq!(report["digest"], undisturbed["digest"]);
    assert_eq!(own.zcard::<_, u64>("users_by_salary").unwrap(), 40_000);
}

#[test]
fn ctrl_c_says_how_to_go_on() {
    for load in LONG_LOADS {
        let server = keeping_everything().start().unwrap();
        let mut own = own(&server);
        let first = ["user:1", "user_text:1", "biglist"];
        let ended = held(&server, load).until(|| own.exists::<_, u64>(&first).unwrap() > 0).kill("-INT");
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(ended.stderr.contains("--resume"), "{ended:?}");
        assert_eq!(ended.document(130)["error"]["class"], "interrupted", "{ended:?}");
        let report = on(&server, &resumed(load)).end().document(0);
        assert_eq!((&report["resumed"], &report["verified"]), (&true.into(), &true.into()), "{load:?}");
    }
}

#[test]
fn a_server_that_is_killed_and_comes_back_does_not_end_the_load() {
    for load in LONG_LOADS {
        let mut server = keeping_everything().start().unwrap();
        let loading = held(&server, load).until_resumable(&server, load);
        server.kill();
        server.restart().unwrap();
        let report = loading.end().document(0);
        assert_eq!(report["verified"], true, "{load:?}: {report}");
        assert!(report["reconnections"].as_u64().unwrap() > 0, "{load:?}: {report}");
        assert_eq!(report["resumed"], false, "{load:?}: it is the same run");
    }
}

#[test]
fn another_load_cannot_be_resumed_and_the_right_one_is_named() {
    let server = keeping_everything().start().unwrap();
    let load = LONG_LOADS[0];
    held(&server, load).until_resumable(&server, load).kill("-KILL");
    for other in [&["--records", "50", "--indexes", "--resume"][..], &["--records", "40000", "--resume"]] {
        let ended = Run::start(server.url(), server.password(), other).end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{other:?}: {ended:?}");
        assert!(ended.stderr.contains("--records 40000 --indexes"), "{other:?}: {ended:?}");
        assert_eq!(on(&server, other).end().document(2)["error"]["class"], "usage", "{other:?}");
    }
    let strings = on(&server, &["--kind", "strings", "--records", "40000", "--resume"]).end();
    assert!(strings.document(2).to_string().contains("--kind strings"), "{strings:?}");
    on(&server, &resumed(load)).end().document(0);
    let finished = on(&server, &resumed(load)).end();
    assert!(finished.document(2).to_string().contains("complete"), "{finished:?}");
}

#[test]
fn what_makes_no_sense_is_told_before_anything_is_asked_of_a_server() {
    for (arguments, told) in [
        (&["--records", "0"][..], "--records"),
        (&["--records", "x"], "--records"),
        (&["--records", "-1"], "-1"),
        (&["--records", "1.5"], "--records"),
        (&["--records", "18446744073709551616"], "--records"),
        (&["--connections", "0"], "--connections"),
        (&["--connections", "65"], "--connections"),
        (&["--retry", "0"], "--retry"),
        (&["--patience", "0"], "--retry"),
        (&["--kind", "sets"], "strings"),
        (&["--kind", "list", "--indexes"], "--kind list"),
        (&["--kind", "strings", "--indexes"], "--kind strings"),
        (&["--writing", "fast"], "hset"),
    ] {
        // Whoever asked this one would end with 3.
        let nowhere = || "redis://:s3cret@127.0.0.1:1".to_owned();
        let ended = Run::start(nowhere(), "s3cret", arguments).end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(told), "{arguments:?}: {ended:?}");
        let arguments = [arguments, &["--json"]].concat();
        let document = Run::start(nowhere(), "s3cret", &arguments).end().document(2);
        assert_eq!(document["error"]["exit_code"], 2, "{arguments:?}");
    }
}

#[test]
fn nobody_there_or_the_wrong_password_is_told_apart() {
    let nobody = Run::start("redis://:s3cret@127.0.0.1:1".into(), "s3cret", &["--records", "10"]).end();
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    let server = Server::start().unwrap();
    let url = format!("redis://:s3cret@127.0.0.1:{}", server.port());
    let wrong = Run::start(url, "s3cret", &["--records", "10"]).end();
    assert_eq!(wrong.code, Some(4), "{wrong:?}");
}

#[test]
fn a_private_server_is_gone_afterward() {
    let temporary = tempfile::tempdir().unwrap();
    let private = |records: &str| {
        let release = std::env::var("REDIS_LAB_SERVER").unwrap_or_else(|_unset| "valkey-9.1".into());
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulk-performance"));
        command.args(["load", "--json", "--server", &release, "--records", records]);
        command.env_remove("REDIS_URL").env("TMPDIR", temporary.path());
        Run::of(command, None)
    };
    let report = private("2000").end().document(0);
    assert_eq!((&report["records"], &report["verified"]), (&2_000.into(), &true.into()), "{report}");
    assert_eq!(left_in(temporary.path()), Vec::<String>::new());

    let ended = private("5000000").until(|| !left_in(temporary.path()).is_empty()).kill("-INT");
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(!ended.stderr.contains("--resume"), "what was in a private server is gone: {ended:?}");
    // One that was still starting is ended by its keeper, which notices that its owner is gone.
    let deadline = Instant::now() + lab_testing::TIMEOUT;
    while !left_in(temporary.path()).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", left_in(temporary.path()));
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn memory_does_not_grow_with_the_load() {
    let peak = |records: &str| {
        let server = Server::start().unwrap();
        let report = on(&server, &["--kind", "strings", "--records", records]).end().document(0);
        report["peak_rss_bytes"].as_f64().unwrap()
    };
    let (few, many) = (peak("20000"), peak("400000"));
    assert!(many <= 1.2 * few, "{few} bytes, and {many} for twenty times the records");
    assert!(many < 40e6, "{many}");
}

/// The command, which must not tell the password.
struct Run {
    child: Child,
    password: Option<String>,
    relay: Option<Relay>,
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn on(server: &Server, arguments: &[&str]) -> Run {
    Run::start(server.url(), server.password(), &[arguments, &["--json"]].concat())
}

/// The same for one that is to be interrupted: it does nothing but what the test waits for, so it cannot be over too
/// early.
fn held(server: &Server, arguments: &[&str]) -> Run {
    let (relay, url) = Relay::in_front_of(server);
    relay.hold();
    Run { relay: Some(relay), ..Run::start(url, server.password(), &[arguments, &["--json"]].concat()) }
}

fn resumed<'a>(load: &[&'a str]) -> Vec<&'a str> {
    [load, &["--resume"]].concat()
}

impl Run {
    fn start(url: String, password: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulk-performance"));
        command.arg("load").args(arguments).env("REDIS_URL", url).env("COLUMNS", "80");
        Self::of(command, Some(password.to_owned()))
    }

    fn of(mut command: Command, password: Option<String>) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), password, relay: None }
    }

    fn until(mut self, mut condition: impl FnMut() -> bool) -> Self {
        while !condition() {
            assert!(self.child.try_wait().unwrap().is_none(), "over too early: {:?}", self.end());
            if let Some(relay) = &self.relay {
                relay.let_pass(1);
            }
            sleep(Duration::from_millis(1));
        }
        self
    }

    /// Waits until a part is written, and written down: a List is its own journal.
    fn until_resumable(self, server: &Server, load: &[&str]) -> Self {
        let mut own = own(server);
        let key = match load[1] {
            "list" => "biglist",
            "users" => "bulk:journal:users",
            "strings" => "bulk:journal:strings",
            other => panic!("{other}"),
        };
        self.until(|| own.exists(key).unwrap())
    }

    fn kill(mut self, signal: &str) -> Ended {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.let_answers_come();
        let ended = self.wait();
        assert_ne!(ended.code, Some(0), "it was over before the signal came: {ended:?}");
        ended
    }

    /// A program that notices Ctrl-C still waits for the answers to what it has sent. This lets as much pass as that may be.
    /// It is less than a load, so one that has noticed nothing by then still has something to write; it ends without the
    /// answers, in some seconds.
    fn let_answers_come(&mut self) {
        let Some(relay) = &self.relay else { return };
        for _ in 0..ON_THE_WAY {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            relay.let_pass(1);
            sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on to its end.
    fn end(self) -> Ended {
        if let Some(relay) = &self.relay {
            relay.open();
        }
        self.wait()
    }

    fn wait(self) -> Ended {
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended =
            Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        if let Some(password) = &self.password {
            assert!(!format!("{ended:?}").contains(password), "the password is told: {ended:?}");
        }
        ended
    }
}

impl Ended {
    /// Standard output is one JSON document and nothing else.
    fn document(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn digest(report: &Value) -> String {
    report["digest"].as_str().unwrap().to_owned()
}

fn own(server: &Server) -> Connection {
    server.client().get_connection().unwrap()
}

/// Directories of private servers.
fn left_in(temporary: &Path) -> Vec<String> {
    fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
