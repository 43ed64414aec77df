//! The append-only file as text: where its timestamp annotations are, and which files belong to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of the append-only files, by default.
pub const DIRECTORY: &str = "appendonlydir";
/// The file that names the others.
pub const MANIFEST: &str = "appendonly.aof.manifest";

/// The files that the manifest in this directory names, without the manifest.
pub fn named_files(directory: &Path) -> io::Result<Vec<String>> {
    let manifest = fs::read_to_string(directory.join(MANIFEST))?;
    Ok(files(&manifest).map(|(name, _)| name.to_owned()).collect())
}

/// The file to which the server appends.
pub fn last_increment(directory: &Path) -> io::Result<PathBuf> {
    let manifest = fs::read_to_string(directory.join(MANIFEST))?;
    let last = files(&manifest).filter(|(_, kind)| *kind == "i").last();
    let (name, _) = last.ok_or_else(|| io::Error::other("the manifest names no increment"))?;
    Ok(directory.join(name))
}

/// Names and types: `file appendonly.aof.1.base.rdb seq 1 type b`
fn files(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    manifest.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let mut value = |name: &str| words.find(|word| *word == name).and_then(|_| words.next());
        Some((value("file")?, value("type")?))
    })
}

/// Copies a directory of files.
pub fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Cuts the file before the first command that was written after this second, as `redis-check-aof --truncate-to-timestamp` does.
/// Returns how many bytes were removed.
pub fn truncate_after(path: &Path, second: u64) -> io::Result<usize> {
    let content = fs::read(path)?;
    let later = annotations(&content).into_iter().find(|(_, annotated)| *annotated > second);
    let length = later.map_or(content.len(), |(at, _)| at);
    fs::OpenOptions::new().write(true).open(path)?.set_len(length as u64)?;
    Ok(content.len() - length)
}

/// Where each annotation begins, and its Unix time in seconds. Only lines between commands count: a value may contain the same text.
#[must_use]
pub fn annotations(content: &[u8]) -> Vec<(usize, u64)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some((line, mut next)) = line_at(content, at) {
        if let Some(count) = number(line, b"*") {
            for _ in 0..count {
                let Some((length, argument)) = line_at(content, next) else { return found };
                let Some(length) = number(length, b"$") else { return found };
                next = argument.saturating_add(length).saturating_add(2);
            }
        } else if let Some(second) = number(line, b"#TS:") {
            found.push((at, second as u64));
        }
        at = next;
    }
    found
}

/// The line at this place, and the place after it.
fn line_at(content: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = content.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..end], at + end + 2))
}

fn number(line: &[u8], prefix: &[u8]) -> Option<usize> {
    std::str::from_utf8(line.strip_prefix(prefix)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AOF: &[u8] =
        b"#TS:100\r\n*2\r\n$3\r\nGET\r\n$9\r\n\r\n#TS:1\r\n\r\n#TS:102\r\n*1\r\n$4\r\nPING\r\n";

    #[test]
    fn annotations_inside_values_do_not_count() {
        let seconds: Vec<u64> = annotations(AOF).iter().map(|(_, second)| *second).collect();
        assert_eq!(seconds, [100, 102]);
    }

    #[test]
    fn a_torn_end_is_no_annotation() {
        assert_eq!(annotations(&AOF[..30]).len(), 1);
        assert!(annotations(b"*1\r\n$99999999\r\nx").is_empty());
        assert!(annotations(b"*18446744073709551615\r\n").is_empty());
    }

    #[test]
    fn the_manifest_names_base_and_increments() {
        let manifest = "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i startoffset 0\n";
        assert_eq!(files(manifest).collect::<Vec<_>>(), [("a.1.base.rdb", "b"), ("a.1.incr.aof", "i")]);
    }
}
