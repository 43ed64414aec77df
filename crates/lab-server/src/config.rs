//! The configuration file of one server.
//!
//! It holds the password: only its owner can read the file, but `ps` shows arguments to everyone.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Error;
use crate::directory::{CONFIG_FILE, PID_FILE};
use crate::server::Plan;
use crate::version::Version;

pub(crate) const SOCKET: &str = "redis.sock";
pub(crate) const LOG_FILE: &str = "server.log";

/// Writes the file with mode 0600. `extra` are the settings that come last, so they override the others.
pub(crate) fn write(
    directory: &Path,
    plan: &Plan,
    port: u16,
    extra: &[(String, String)],
) -> Result<(), Error> {
    write_private(&directory.join(CONFIG_FILE), &text(directory, plan, port, extra)?)
}

fn text(directory: &Path, plan: &Plan, port: u16, extra: &[(String, String)]) -> Result<String, Error> {
    let inside = |name: &str| quoted(&directory.join(name).to_string_lossy());
    let version = plan.program.version();
    let mut text = format!(
        "bind 127.0.0.1\nprotected-mode yes\nport {}\nunixsocket {}\nunixsocketperm 700\ndaemonize no\n\
             dir {}\nlogfile {}\npidfile {}\n",
        port,
        inside(SOCKET),
        quoted(&directory.to_string_lossy()),
        inside(LOG_FILE),
        inside(PID_FILE),
    );
    if !plan.sentinel {
        text.push_str(
            "databases 16\nsave \"\"\nappendonly no\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n",
        );
    }
    if version >= Version::new(6, 0, 0) && !plan.sentinel {
        // Valkey 9.1 checks only once a second whether a replica's download to disk is complete.
        text.push_str("repl-diskless-load on-empty-db\n");
    }
    if version >= Version::new(6, 2, 0) {
        // So `ps` shows which server is which. On macOS, the sweep recognizes its servers by it.
        text.push_str("proc-title-template \"{title} {config-file} {listen-addr} {server-mode}\"\n");
    }
    if version >= Version::new(7, 0, 0) {
        text.push_str("enable-debug-command local\n");
    }
    if let Some(password) = &plan.password {
        let password = quoted(password);
        let _ = writeln!(text, "requirepass {password}");
        if !plan.sentinel {
            let _ = writeln!(text, "masterauth {password}");
        }
    }
    for module in plan.program.modules().iter().filter(|_| !plan.sentinel) {
        let _ = writeln!(text, "loadmodule {}", quoted(&module.to_string_lossy()));
    }
    for (key, value) in extra {
        text.push_str(&line(key, value)?);
    }
    Ok(text)
}

/// Writes a file that only its owner can read. A second attempt on another port overwrites it.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::io(format!("write {}", path.display())))
}

/// Adds a line, which overrides an earlier one.
pub(crate) fn append(directory: &Path, key: &str, value: &str) -> Result<(), Error> {
    let path = directory.join(CONFIG_FILE);
    let line = line(key, value)?;
    OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(Error::io(format!("write {}", path.display())))
}

/// A setting as a line of the file.
fn line(key: &str, value: &str) -> Result<String, Error> {
    if [key, value].iter().any(|part| part.contains(['\n', '\r', '\0'])) {
        return Err(Error::Config { key: key.escape_default().to_string() });
    }
    // An empty value must keep its quotes: `save ""`.
    Ok(format!("{key} {}\n", if value.is_empty() { "\"\"" } else { value }))
}

/// An argument in double quotes, with bytes escaped as the server's configuration parser expects it.
pub(crate) fn quoted(argument: &str) -> String {
    let mut text = String::from("\"");
    for byte in argument.bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            0x20..=0x7e => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_are_escaped_for_the_server() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("a b\"c\\d\n"), "\"a b\\\"c\\\\d\\x0a\"");
        assert_eq!(quoted("é"), "\"\\xc3\\xa9\"");
    }
}
