//! The product and version of a server program, from `--version`.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Who makes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Redis,
    Valkey,
}

/// A server's version. It is ordered, so the configuration can ask whether the server is new enough for an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) patch: u16,
}

impl Version {
    pub(crate) const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Runs `program --version`. The error is one line that says why the program cannot be used.
pub(crate) fn ask(program: &Path) -> Result<(Product, Version), String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("it does not start: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    parse(&stdout).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let first_line = errors.lines().chain(stdout.lines()).map(str::trim).find(|line| !line.is_empty());
        format!("it does not answer `--version` as a server does: {}", first_line.unwrap_or("no output"))
    })
}

/// Parses `Redis server v=7.0.15 sha=...` and `Valkey server v=9.1.2 sha=...`.
fn parse(output: &str) -> Option<(Product, Version)> {
    let (product, rest) = output.lines().find_map(|line| {
        let product = if line.starts_with("Valkey") {
            Product::Valkey
        } else if line.starts_with("Redis") {
            Product::Redis
        } else {
            return None;
        };
        Some((product, line.split_once(" v=")?.1))
    })?;
    let number = rest.split_whitespace().next()?;
    // A release candidate such as `8.0-rc1` or a build such as `7.2.4-debian` counts as that version.
    let mut parts = number.split(['.', '-']).map(|part| part.parse::<u16>().unwrap_or(0));
    let major = parts.next().filter(|major| *major > 0)?;
    Some((product, Version::new(major, parts.next().unwrap_or(0), parts.next().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_and_valkey_are_told_apart() {
        let redis =
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0";
        let valkey = "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150";
        assert_eq!(parse(redis), Some((Product::Redis, Version::new(7, 0, 15))));
        assert_eq!(parse(valkey), Some((Product::Valkey, Version::new(9, 1, 2))));
    }

    #[test]
    fn a_release_candidate_has_a_version() {
        assert_eq!(parse("Redis server v=8.0-rc1 sha=0"), Some((Product::Redis, Version::new(8, 0, 0))));
    }

    #[test]
    fn other_programs_are_no_servers() {
        assert_eq!(parse("coreutils 9.1"), None);
        assert_eq!(parse("Redis server v=unknown"), None);
        assert_eq!(parse(""), None);
    }
}
