//! Why a server died, from its output and its log.

use std::fs;
use std::path::Path;

use crate::config::LOG_FILE;

/// What the server wrote to its output, then the warnings in its log, without the password.
pub(crate) fn of(output: &str, directory: &Path, password: Option<&str>) -> String {
    let log = fs::read(directory.join(LOG_FILE)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let mut lines: Vec<&str> = output.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.extend(log.lines().filter(|line| is_cause(line)));
    if lines.is_empty() {
        const LAST_LINES: usize = 5;
        let all: Vec<&str> = log.lines().collect();
        lines.extend_from_slice(&all[all.len().saturating_sub(LAST_LINES)..]);
    }
    let text = lines.join("\n");
    match password {
        Some(password) if !password.is_empty() => text.replace(password, "(password)"),
        _ => text,
    }
}

/// Whether a line of the log is a warning (level `#`) other than the usual ones about the kernel's settings.
fn is_cause(line: &str) -> bool {
    line.contains(" # ") && !line.contains("Memory overcommit") && !line.contains("Transparent Huge Pages")
}

/// Whether this says that another process had the port.
pub(crate) fn names_the_port(log: &str) -> bool {
    log.contains("Address already in use") || log.contains("Failed listening on port")
}

/// Whether this says that the program was built without TLS: it doesn't know the directive, or a module is missing.
pub(crate) fn names_missing_tls(log: &str) -> bool {
    log.contains("TLS support") || (log.contains("tls-") && log.contains("Bad directive"))
}
