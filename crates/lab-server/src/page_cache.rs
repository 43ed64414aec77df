//! A crash of the whole machine: what the page cache held is lost, too.
//!
//! Killing a process loses none of what it wrote, because the kernel has it. So a small library is loaded into the server and notes,
//! after each fsync, how much of which file is on the disk. [`lose`] then cuts each file down to that, as a disk has it after a power
//! failure. A real disk may keep more by luck; it never has to.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::{Error, config};

const SOURCE: &str = include_str!("fsync_log.c");
const SOURCE_FILE: &str = "fsync_log.c";
const LIBRARY: &str = "fsync_log.so";
const LOG: &str = "fsync.log";

/// Compiles the library into the server's directory, and returns the variables that load it.
pub(crate) fn environment(directory: &Path) -> Result<Vec<String>, Error> {
    if !cfg!(target_os = "linux") {
        return Err(Error::NoFsyncLog { reason: "this is not Linux".to_owned() });
    }
    let library = directory.join(LIBRARY);
    if !library.exists() {
        let source = directory.join(SOURCE_FILE);
        config::write_private(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output =
            compiler.output().map_err(|error| Error::NoFsyncLog { reason: format!("cc: {error}") })?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::NoFsyncLog { reason });
        }
    }
    let log = directory.join(LOG);
    Ok(vec![format!("LD_PRELOAD={}", library.display()), format!("FSYNC_LOG={}", log.display())])
}

/// Cuts every file of the append-only directory, and the snapshot, down to what the last fsync left on the disk. The server must not run.
pub(crate) fn lose(directory: &Path) -> Result<(), Error> {
    let log = fs::read_to_string(directory.join(LOG)).unwrap_or_default();
    let synced: HashMap<u64, u64> = log.lines().filter_map(inode_and_size).collect();
    let append_only = directory.join("appendonlydir");
    for folder in [directory, &append_only] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_data =
                folder == append_only || path.extension().is_some_and(|it| it == "rdb" || it == "aof");
            if !is_data {
                continue;
            }
            let cut = || {
                let metadata = entry.metadata()?;
                let size = synced.get(&metadata.ino()).copied().unwrap_or(0);
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(size.min(metadata.len()))
            };
            cut().map_err(Error::io(format!("cut {}", path.display())))?;
        }
    }
    Ok(())
}

/// One line of the log. The last one may be incomplete.
fn inode_and_size(line: &str) -> Option<(u64, u64)> {
    let (inode, size) = line.split_once(' ')?;
    Some((inode.parse().ok()?, size.parse().ok()?))
}
