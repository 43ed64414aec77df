//! How settings are written into the configuration file of a server.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Error;
use crate::directory::CONFIG_FILE;

pub(crate) const SOCKET: &str = "redis.sock";
pub(crate) const LOG_FILE: &str = "server.log";

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
pub(crate) fn line(key: &str, value: &str) -> Result<String, Error> {
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
