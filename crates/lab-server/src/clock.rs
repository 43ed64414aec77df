//! A server's clock that a test can move. TIME in scripts and every TTL move with it.
//!
//! libfaketime is loaded into the server and reads the offset from a file in the server's directory whenever the server asks
//! for the time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Error;
use crate::config;
use crate::readiness::{Observation, wait_for};

const CLOCK_FILE: &str = "clock";
const LIBRARY: &str = "libfaketimeMT.so.1";

/// The variables that load libfaketime into a server whose working directory is its own.
pub(crate) fn environment() -> Result<Vec<String>, Error> {
    let library = find_library().ok_or(Error::NoFaketime)?;
    Ok(vec![
        // Servers with jemalloc call libfaketime before it is ready. With libc's malloc loaded first, they don't.
        format!("LD_PRELOAD={}:libc.so.6", library.display()),
        format!("FAKETIME_TIMESTAMP_FILE={CLOCK_FILE}"),
        "FAKETIME_NO_CACHE=1".to_owned(),
        // The event loop and the timeouts of connections must not notice.
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ])
}

/// Writes how many seconds the clock is ahead of the real one. The file is replaced as a whole, so the server never reads half.
pub(crate) fn set(directory: &Path, seconds: i64) -> Result<(), Error> {
    let (new, path) = (directory.join("clock.new"), directory.join(CLOCK_FILE));
    config::write_private(&new, &format!("{seconds:+}\n"))?;
    fs::rename(&new, &path).map_err(Error::io(format!("write {}", path.display())))
}

/// Waits until scripts see this clock. Valkey 9.1 gives them a time that it reads only from time to time.
pub(crate) fn wait_until_seen(client: &redis::Client, seconds: i64) -> Result<(), Error> {
    const TIME: &str = "return tonumber(redis.call('TIME')[1])";
    let asking = "asking the private server for its time";
    let mut connection = client.get_connection().map_err(Error::redis(asking))?;
    wait_for(&format!("the clock, {seconds} s ahead"), asking, || {
        let seen: i64 = redis::cmd("EVAL").arg(TIME).arg(0).query(&mut connection)?;
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
        // Both clocks may have just advanced, and the reply is a moment old.
        let done = (seen - seconds - real).abs() <= 2;
        Ok(Observation { done, last: format!("{} s ahead", seen - real) })
    })
}

/// In Debian's multiarch folder, such as `/usr/lib/x86_64-linux-gnu/faketime`, or where other distributions and `make install`
/// put it.
fn find_library() -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let usual = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    usual
        .into_iter()
        .chain(multiarch)
        .map(|folder| folder.join("faketime").join(LIBRARY))
        .find(|path| path.exists())
}
