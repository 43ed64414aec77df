//! Known vulnerabilities of Redis and Valkey, and the releases that have the fix. The lesson shows this table, and the doctor compares a server
//! with it.
//!
//! The numbers are from the release notes and security advisories of both projects, as of November 2026. A release that is not here may have
//! the fix too: a distribution often repairs its package and keeps the number.

/// A version: major, minor, patch.
pub type Version = [u32; 3];

/// A vulnerability, and the first release of each line that does not have it.
#[derive(Debug)]
pub struct Advisory {
    /// Its CVE number.
    pub number: &'static str,
    /// What an attacker does, as the end of "with it, ...".
    pub about: &'static str,
    /// What the attacker needs.
    pub needs: Needs,
    /// The first version that has it; 0.0.0 if all older ones do.
    since: Version,
    /// Releases of Redis with the fix, in order; none if Redis is not affected.
    redis: &'static [Version],
    /// The same for Valkey.
    valkey: &'static [Version],
}

/// What an attacker needs beyond a way to the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: no login.
    Port,
    /// A user who may send this command, as many applications do.
    Command(&'static str),
    /// A user who may send this command, which no application needs. Its ACL categories.
    AdminCommand(&'static str, &'static [&'static str]),
    /// A server with a TLS port.
    Tls,
    /// A server that evicts clients (`maxmemory-clients`).
    ClientEviction,
}

impl Needs {
    /// As a table shows it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Port => "no login".to_owned(),
            Self::Command(command) | Self::AdminCommand(command, _) => format!("a user with {command}"),
            Self::Tls => "a TLS port".to_owned(),
            Self::ClientEviction => "maxmemory-clients set".to_owned(),
        }
    }
}

/// Which of the two programs a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Redis, and what reports no other name.
    Redis,
    /// Valkey.
    Valkey,
}

/// Whether a version has a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does not, or no more.
    Fixed,
    /// It does. This release of the same line does not.
    Affected(Version),
    /// No release of its line is known to have the fix.
    Unknown,
}

const KEYSPACE: &[&str] = &["keyspace", "write", "slow", "dangerous"];
const ADMIN: &[&str] = &["admin", "slow", "dangerous"];
/// The releases of May 2026.
const REDIS_MAY: &[Version] = &[[6, 2, 22], [7, 2, 14], [7, 4, 9], [8, 2, 6], [8, 4, 3], [8, 6, 3]];
const VALKEY_MAY: &[Version] = &[[7, 2, 13], [8, 0, 9], [8, 1, 7], [9, 0, 4]];
/// Valkey's releases of July 2026.
const VALKEY_JULY: &[Version] = &[[7, 2, 14], [8, 0, 10], [8, 1, 9], [9, 0, 5], [9, 1, 1]];

/// All that this project knows, the oldest first.
pub static ADVISORIES: [Advisory; 12] = [
    Advisory {
        number: "CVE-2024-31449",
        about: "overflows the stack from a Lua script, and may run code",
        needs: Needs::Command("EVAL"),
        since: [0, 0, 0],
        redis: &[[6, 2, 16], [7, 2, 6], [7, 4, 1]],
        valkey: &[[7, 2, 7], [8, 0, 1]],
    },
    Advisory {
        number: "CVE-2024-46981",
        about: "runs code from a Lua script",
        needs: Needs::Command("EVAL"),
        since: [0, 0, 0],
        redis: &[[6, 2, 17], [7, 2, 7], [7, 4, 2]],
        valkey: &[[7, 2, 8], [8, 0, 2]],
    },
    Advisory {
        number: "CVE-2025-21605",
        about: "fills the memory with replies that it never reads",
        needs: Needs::Port,
        since: [0, 0, 0],
        redis: &[[6, 2, 18], [7, 2, 8], [7, 4, 3]],
        valkey: &[[7, 2, 9], [8, 0, 3], [8, 1, 1]],
    },
    Advisory {
        number: "CVE-2025-32023",
        about: "writes out of bounds with a made-up HyperLogLog, and may run code",
        needs: Needs::Command("PFCOUNT"),
        since: [0, 0, 0],
        redis: &[[6, 2, 19], [7, 2, 10], [7, 4, 5], [8, 0, 3]],
        valkey: &[[7, 2, 10], [8, 0, 4], [8, 1, 3]],
    },
    Advisory {
        number: "CVE-2025-49844",
        about: "runs code from a Lua script",
        needs: Needs::Command("EVAL"),
        since: [0, 0, 0],
        redis: &[[6, 2, 20], [7, 2, 11], [7, 4, 6], [8, 0, 4], [8, 2, 2]],
        valkey: &[[7, 2, 11], [8, 0, 6], [8, 1, 4]],
    },
    Advisory {
        number: "CVE-2025-62507",
        about: "overflows the stack, and may run code",
        needs: Needs::Command("XACKDEL"),
        since: [8, 2, 0],
        redis: &[[8, 2, 3]],
        valkey: &[],
    },
    Advisory {
        number: "CVE-2026-23479",
        about: "runs code when a blocked client is evicted",
        needs: Needs::ClientEviction,
        since: [7, 2, 0],
        redis: REDIS_MAY,
        valkey: VALKEY_MAY,
    },
    Advisory {
        number: "CVE-2026-25243",
        about: "runs code from a made-up value",
        needs: Needs::AdminCommand("RESTORE", KEYSPACE),
        since: [0, 0, 0],
        redis: REDIS_MAY,
        valkey: VALKEY_MAY,
    },
    Advisory {
        number: "CVE-2026-23631",
        about: "runs code when a full copy arrives during a script",
        needs: Needs::AdminCommand("REPLICAOF", ADMIN),
        since: [0, 0, 0],
        redis: REDIS_MAY,
        valkey: VALKEY_MAY,
    },
    Advisory {
        number: "CVE-2026-66373",
        about: "runs code from a made-up stream (in Valkey, CVE-2026-63639)",
        needs: Needs::AdminCommand("RESTORE", KEYSPACE),
        since: [0, 0, 0],
        redis: &[[7, 2, 15], [7, 4, 10], [8, 2, 8], [8, 4, 5], [8, 6, 5], [8, 8, 0]],
        valkey: VALKEY_JULY,
    },
    Advisory {
        number: "CVE-2026-56684",
        about: "runs code by closing TLS connections with CLIENT KILL",
        needs: Needs::Tls,
        since: [0, 0, 0],
        redis: &[],
        valkey: VALKEY_JULY,
    },
    Advisory {
        number: "CVE-2026-81934",
        about: "runs code before any login",
        needs: Needs::Tls,
        since: [0, 0, 0],
        redis: &[[6, 2, 24], [7, 2, 16], [7, 4, 11], [8, 2, 9], [8, 4, 6], [8, 6, 6], [8, 8, 2], [8, 10, 1]],
        valkey: &[],
    },
];

impl Advisory {
    /// The releases with the fix, in order; none if this product is not affected.
    #[must_use]
    pub fn fixed_in(&self, product: Product) -> &'static [Version] {
        match product {
            Product::Redis => self.redis,
            Product::Valkey => self.valkey,
        }
    }

    /// Whether this version has it.
    #[must_use]
    pub fn status(&self, product: Product, version: Version) -> Status {
        let fixed = self.fixed_in(product);
        if version < self.since {
            return Status::Fixed;
        }
        match fixed.iter().find(|fixed| fixed[..2] == version[..2]) {
            Some(fixed) if version < *fixed => Status::Affected(*fixed),
            // The line is older than the last one with a fix. A newer one has it from the start.
            None if fixed.last().is_some_and(|last| version < *last) => Status::Unknown,
            _ => Status::Fixed,
        }
    }
}

/// The numbers of a version such as 7.2.4 or 8.2.0-rc1; none if it has none.
#[must_use]
pub fn numbers(version: &str) -> Option<Version> {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)])
}

/// As people write it.
#[must_use]
pub fn text([major, minor, patch]: Version) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_is_in_order_and_has_a_line_once() {
        for advisory in &ADVISORIES {
            for product in [Product::Redis, Product::Valkey] {
                let fixed = advisory.fixed_in(product);
                assert!(fixed.is_sorted_by(|one, next| one[..2] < next[..2]), "{}", advisory.number);
            }
        }
    }

    #[test]
    fn a_line_without_a_known_fix_is_unknown_and_a_newer_one_is_fixed() {
        let lua = &ADVISORIES[4];
        assert_eq!(lua.number, "CVE-2025-49844");
        assert_eq!(lua.status(Product::Redis, [7, 2, 10]), Status::Affected([7, 2, 11]));
        assert_eq!(lua.status(Product::Redis, [7, 2, 11]), Status::Fixed);
        assert_eq!(lua.status(Product::Redis, [7, 0, 15]), Status::Unknown);
        assert_eq!(lua.status(Product::Redis, [8, 10, 2]), Status::Fixed);
        assert_eq!(lua.status(Product::Valkey, [9, 1, 2]), Status::Fixed);
        assert_eq!(
            ADVISORIES[5].status(Product::Redis, [8, 0, 0]),
            Status::Fixed,
            "it is older than XACKDEL"
        );
    }

    #[test]
    fn versions_are_read_as_servers_write_them() {
        assert_eq!(numbers("8.2.0-rc1"), Some([8, 2, 0]));
        assert_eq!(numbers("255.255.255"), Some([255, 255, 255]));
        assert_eq!(numbers("unstable"), None);
        assert_eq!(text([7, 2, 4]), "7.2.4");
    }
}
