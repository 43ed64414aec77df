//! What an example does to a server itself: a line that begins with `! `.

use std::fmt;

use crate::words;

/// Something done to a server or its files. An empty name is that of the only server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `! kill [SERVER]`: SIGKILL, which closes its connections.
    Kill(String),
    /// `! start [SERVER]`: starts it again with the files that it left.
    Start(String),
    /// `! power-cut`: kills it, and each file shrinks to what was synced. The block has the word `power-cut`.
    PowerCut,
    /// `! copy FROM TO`: copies a file within the server's directory, over another one.
    Copy(String, String),
    /// `! cut FILE "BYTES"`: ends a file before the last place where these bytes are.
    Cut(String, Vec<u8>),
}

impl Action {
    /// Reads what follows `! `.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = words::split(text).ok_or("the quotes of the action do not match")?;
        let text = |at: usize| String::from_utf8_lossy(&words[at]).into_owned();
        let verb = words.first().map(Vec::as_slice).unwrap_or_default();
        match (verb, words.len()) {
            (b"kill", 1) => Ok(Self::Kill(String::new())),
            (b"kill", 2) => Ok(Self::Kill(text(1))),
            (b"start", 1) => Ok(Self::Start(String::new())),
            (b"start", 2) => Ok(Self::Start(text(1))),
            (b"power-cut", 1) => Ok(Self::PowerCut),
            (b"copy", 3) if [1, 2].iter().all(|&at| is_inside(&text(at))) => Ok(Self::Copy(text(1), text(2))),
            (b"cut", 3) if is_inside(&text(1)) => Ok(Self::Cut(text(1), words[2].clone())),
            _ => Err("an action is kill [SERVER], start [SERVER], power-cut, copy FROM TO, or cut FILE \"BYTES\"; \
                      files are those in the server's directory"
                .to_owned()),
        }
    }
}

/// Whether a path stays in the directory.
fn is_inside(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && part != "..")
}

/// As the guide writes it, without `! `.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(server) => write!(f, "kill {server}"),
            Self::Start(server) => write!(f, "start {server}"),
            Self::PowerCut => f.write_str("power-cut"),
            Self::Copy(from, to) => write!(f, "copy {from} {to}"),
            Self::Cut(file, bytes) => write!(f, "cut {file} \"{}\"", bytes.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_as_it_is_written() {
        for text in ["kill node3", "power-cut", "copy dump.rdb good.rdb", r#"cut a/b.aof "*1\r\n""#] {
            assert_eq!(Action::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Action::parse("kill").unwrap(), Action::Kill(String::new()));
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for text in ["", "stop", "copy a", "copy ../a b", "copy a /b", "cut a", "kill a b", "cut a \"x"] {
            assert!(Action::parse(text).is_err(), "{text}");
        }
    }
}
