//! Rust that hurts: the learner gets a clear message, and the next run works. Cargo compiles it as for a learner.

use std::fs;
use std::path::Path;

use exercises::catalog::find;
use exercises::{Exercise, Verdict, rust};
use tempfile::TempDir;

/// What the answer does is read when it runs, so it is compiled once.
const ANSWER: &str = r#"
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    match std::fs::read_to_string("MODE").unwrap().as_str() {
        "panic" => panic!("my own words"),
        "exit" => std::process::exit(0),
        "loop" => loop {
            std::hint::black_box(0);
        },
        "wait" => std::future::pending().await,
        "deep" => deep(1).await,
        "memory" => loop {
            std::mem::forget(vec![1_u8; 1 << 24]);
        },
        "print" => {
            for line in 0..200_000 {
                println!("line {line} {}", "x".repeat(100));
            }
        }
        _ => {}
    }
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.hget(format!("user:{id}"), "name");
    }
    pipe.query_async(redis).await
}

async fn deep(level: u64) {
    Box::pin(deep(level + 1)).await;
    std::hint::black_box(level);
}
"#;

struct Attempt {
    folder: TempDir,
    exercise: &'static Exercise,
}

impl Attempt {
    fn new() -> Self {
        let attempt = Self { folder: TempDir::new().unwrap(), exercise: find("read-many-users").unwrap() };
        let mode = attempt.path("mode");
        fs::write(attempt.path("attempt.rs"), ANSWER.replace("MODE", mode.to_str().unwrap())).unwrap();
        attempt
    }

    fn path(&self, file: impl AsRef<Path>) -> std::path::PathBuf {
        self.folder.path().join(file)
    }

    async fn check(&self, mode: &str) -> Verdict {
        fs::write(self.path("mode"), mode).unwrap();
        rust::check(self.exercise, &self.path("attempt.rs")).await
    }

    async fn refused(&self, mode: &str, message: &str) -> String {
        let fault = self.check(mode).await.unwrap_err();
        assert!(fault.what.contains(message), "{mode}: {fault:?}");
        fault.observed.join("\n")
    }
}

/// One test, for cargo builds one program.
#[tokio::test(flavor = "multi_thread")]
async fn rust_that_panics_exits_loops_waits_prints_and_allocates() {
    let attempt = Attempt::new();
    let said = attempt.refused("panic", "It panicked.").await;
    assert!(said.contains("my own words"), "{said}");
    attempt.refused("exit", "It ended the program in the middle of the check, with the exit code 0").await;
    attempt.refused("loop", "It was not done after 6 seconds").await;
    attempt.refused("wait", "Your function was not done after 2 seconds").await;
    attempt.refused("deep", "It crashed").await;
    attempt.refused("memory", "It crashed").await;
    let passed = attempt.check("print").await;
    assert!(passed.is_ok(), "{passed:?}");
    let passed = attempt.check("nothing").await;
    assert!(passed.is_ok(), "{passed:?}");
    let broken = attempt.path("attempt.rs");
    fs::write(broken, "pub async fn names() { let a: u8 = \"text\"; }").unwrap();
    let said = attempt.refused("nothing", "It does not compile.").await;
    assert!(said.contains("mismatched types") && said.contains("attempt.rs:1:"), "{said}");
}
