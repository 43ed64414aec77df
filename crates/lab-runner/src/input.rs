//! What a person, or a pipe, enters.

use std::io::{BufRead, IsTerminal, Read, stdin};

use crate::terminal::Terminal;

/// Far beyond every name; what comes after it on a line is thrown away, so that no line fills the memory.
const LONGEST: u64 = 2 * 1024 * 1024;

/// Asks, and returns one trimmed entry; `None` at the end of input.
pub async fn ask(question: &str) -> Option<String> {
    Terminal.prompt(question);
    let entry = entry().await;
    // Without an Enter, the answer would begin on the line of the question.
    if entry.is_none() || !stdin().is_terminal() {
        Terminal.line("");
    }
    entry
}

/// The next entry, trimmed, where nothing may be written on standard output; `None` at the end of input.
pub async fn entry() -> Option<String> {
    // On its own thread, so Ctrl-C still works.
    let entry = tokio::task::spawn_blocking(read).await.ok().flatten();
    entry.map(|entry| entry.trim().to_owned())
}

/// Bytes that are no text become U+FFFD, which is refused like any other wrong entry.
fn read() -> Option<String> {
    let mut input = stdin().lock();
    let mut line = Vec::new();
    let length = input.by_ref().take(LONGEST).read_until(b'\n', &mut line).ok()?;
    if length as u64 == LONGEST && line.last() != Some(&b'\n') {
        let _ = input.skip_until(b'\n');
    }
    (length > 0).then(|| String::from_utf8_lossy(&line).into_owned())
}
