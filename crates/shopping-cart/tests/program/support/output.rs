//! What a run printed.

use std::process::Output;

/// The exit code and both outputs of a run. `of` checks that they have no control characters.
#[derive(Clone, Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("outputs are UTF-8");
        let run = Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert_presentable(&run.stdout);
        assert_presentable(&run.stderr);
        run
    }

    /// Its error, without the line that names the server.
    pub fn error(&self) -> String {
        self.stderr.lines().filter(|line| !line.starts_with("Server: ")).collect::<Vec<_>>().join("\n")
    }
}

/// No control character, nothing that reverses text, no panic.
pub fn assert_presentable(text: &str) {
    let raw = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(raw), "a raw control character in {text:?}");
    for word in ["panicked", "RUST_BACKTRACE", "unwrap()"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}
