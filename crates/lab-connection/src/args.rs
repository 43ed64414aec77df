//! The connection flags of every binary, named as in `redis-cli`.

use std::fmt;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args};
use lab_server::Release;

/// Which server to use. Without any of these: `REDIS_URL`, else a server that listens on 127.0.0.1:6379, else a
/// private server that is started for the run and gone after it.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Server")]
pub struct TargetArgs {
    /// Server, as <redis://USER:PASSWORD@HOST:PORT/DB>; `rediss:` for TLS, `redis+unix:///PATH` for a socket
    #[arg(short, long, global = true, value_name = "URL", conflicts_with_all = ["host", "port"])]
    pub url: Option<String>,

    /// Host name or address [default: 127.0.0.1]
    #[arg(short, long, global = true, value_parser = NonEmptyStringValueParser::new())]
    pub host: Option<String>,

    /// Port [default: 6379]
    #[arg(short, long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// Database number
    #[arg(short = 'n', long, global = true, value_name = "N", value_parser = parse_db, allow_negative_numbers = true)]
    pub db: Option<u32>,

    /// ACL user; the password comes from REDISCLI_AUTH or --askpass
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,

    /// Ask for the password on the terminal
    #[arg(long, global = true)]
    pub askpass: bool,

    /// Connect with TLS
    #[arg(long, global = true)]
    pub tls: bool,

    /// Trust the certificate authorities in this PEM file instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,

    /// Client certificate, PEM
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,

    /// Private key of the client certificate, PEM
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,

    /// Server name to ask for and to expect in its certificate, when it is not the host
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "cluster")]
    pub sni: Option<String>,

    /// The server is a Redis Cluster: follow its slots
    #[arg(long, global = true)]
    pub cluster: bool,

    /// Put this in front of every key, to share a database with other data (for example `lab:`)
    #[arg(long, global = true, value_name = "NAME:", value_parser = parse_prefix)]
    pub prefix: Option<String>,

    /// Start a private server of this release: valkey-9.1, redis-7.0, redis-8.2, redis-8.2-modules or redis-8.10
    #[arg(long, global = true, value_name = "RELEASE", conflicts_with_all = ["url", "host", "port"])]
    pub server: Option<Release>,

    /// Start this program as the private server
    #[arg(long, global = true, value_name = "PATH", conflicts_with_all = ["url", "host", "port", "server"])]
    pub server_program: Option<PathBuf>,

    /// Never fetch a server program
    #[arg(long, global = true)]
    pub no_fetch: bool,

    /// A private server whatever `REDIS_URL` says and whatever listens; no flag, for tests and benches
    #[arg(skip)]
    pub private: bool,

    /// Print help
    // `-h` is the host, as in redis-cli, so the commands turn off clap's own help flag.
    #[arg(long, global = true, action = ArgAction::Help, help_heading = "Options")]
    pub help: Option<bool>,
}

impl TargetArgs {
    /// A private server whatever `REDIS_URL` says and whatever listens on 6379: what tests and benches want. The
    /// environment variables of `lab-server` choose its release.
    #[must_use]
    pub fn private() -> Self {
        Self { private: true, ..Self::default() }
    }

    /// Whether these flags, or `REDIS_URL`, name a server. One that merely listens on the usual port is not named.
    #[must_use]
    pub fn names_a_server(&self) -> bool {
        if self.private || self.server.is_some() || self.server_program.is_some() {
            return false;
        }
        let address = self.url.is_some() || self.host.is_some() || self.port.is_some() || self.cluster;
        address
            || self.asks_for_login_or_tls()
            || std::env::var_os("REDIS_URL").is_some_and(|url| !url.is_empty())
    }

    /// Flags that only make sense with a server that is there already: as in redis-cli, the one on 127.0.0.1:6379
    /// unless another is named.
    pub(crate) fn asks_for_login_or_tls(&self) -> bool {
        let certificates = self.cacert.is_some() || self.cert.is_some() || self.sni.is_some();
        self.user.is_some() || self.askpass || self.tls || certificates
    }

    /// A server by its URL.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }
}

/// Written by hand because a URL may hold a password.
impl fmt::Debug for TargetArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetArgs")
            .field("url", &self.url.as_ref().map(|_| "<redacted>"))
            .field("host", &self.host)
            .field("port", &self.port)
            .field("db", &self.db)
            .field("user", &self.user)
            .field("tls", &self.tls)
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn parse_db(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a database is a whole number from 0, for example 3".into())
}

/// Only characters that mean nothing in a SCAN pattern. Braces may surround its beginning: `{shop}:` puts all keys into one slot of
/// a cluster. The end separates it from the names that follow.
fn parse_prefix(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    let (tag, rest) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}').filter(|(tag, _)| !tag.is_empty()).unwrap_or(("", "{")),
        None => ("", text),
    };
    if text.is_empty() || text.len() > 64 || !tag.chars().chain(rest.chars()).all(allowed) {
        return Err("a prefix is 1 to 64 letters, digits, '.', '_', '-' or ':', for example lab:".into());
    }
    if !text.ends_with([':', '.', '_', '-']) {
        return Err(format!(
            "the keys would be called {text}greeting and so on; end the prefix with a separator: --prefix {text}:"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_number_from_0() {
        assert_eq!(parse_db("15"), Ok(15));
        for bad in ["", "x", "-1", "1.5", "4294967296"] {
            assert!(parse_db(bad).is_err_and(|error| error.contains("from 0")), "{bad}");
        }
    }

    #[test]
    fn a_prefix_ends_with_a_separator_and_holds_nothing_that_scan_would_read() {
        for good in ["lab:", "my.app:", "shop-1-", "a_", ":", "{shop}:", "{shop}:eu:"] {
            assert_eq!(parse_prefix(good), Ok(good.to_owned()));
        }
        for bad in ["bad", "lab:1", "{shop}"] {
            let error = parse_prefix(bad).unwrap_err();
            assert!(error.ends_with(&format!("--prefix {bad}:")), "{error}");
        }
        for bad in
            ["", "a*:", "a?:", "[a]:", "a b:", "é:", "{}:", "{a:", "a}:", "a{b}:", "{{a}}:", &"x:".repeat(33)]
        {
            let error = parse_prefix(bad).unwrap_err();
            assert!(error.contains("for example lab:"), "{bad}: {error}");
        }
    }
}
