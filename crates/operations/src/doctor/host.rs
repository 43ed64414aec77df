//! What the operating system says about a server of this machine: swap, transparent huge pages, disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::facts::{Host, NodeFacts, UnsavedSetting};

/// Looks, if the server runs on this machine and outside of a container. Linux only.
pub(crate) fn look(node: &NodeFacts) -> Option<Host> {
    if !node.near {
        return None;
    }
    let process: u32 = node.info.text("process_id")?.parse().ok()?;
    // A port of a container is on loopback, too, and its process number means another process here.
    let name = fs::read_to_string(format!("/proc/{process}/cmdline")).ok()?.to_lowercase();
    let listens_there =
        node.info.text("tcp_port").is_some_and(|port| name.contains(port) || !name.contains(':'));
    if !(name.contains("redis") || name.contains("valkey")) || !listens_there {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Host {
        swapped: field("VmSwap").map(|kilobytes| kilobytes * 1024),
        huge_pages: fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
            .ok()
            .map(|text| text.trim().to_owned()),
        huge_pages_for_process: field("THP_enabled").map(|enabled| enabled == 1),
        disk_free: node.setting("dir").and_then(disk_free),
        directory_fault: node.setting("dir").and_then(|directory| directory_fault(directory, &status)),
        unsaved: unsaved(node),
    })
}

/// Bytes that a user may still write to the disk of this directory.
fn disk_free(directory: &str) -> Option<u64> {
    let output = Command::new("df").args(["-Pk", "--", directory]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether the process can write no new file there. The permissions decide; root may always.
fn directory_fault(directory: &str, status: &str) -> Option<&'static str> {
    let numbers = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    // Real, effective, saved, file system.
    let user = *numbers("Uid:").get(1)?;
    let mut groups = numbers("Groups:");
    groups.extend(numbers("Gid:").get(1));
    let found = match fs::metadata(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some("it does not exist"),
        Err(_) => return None,
    };
    let mode = found.mode();
    let may = if user == found.uid() {
        mode & 0o300 == 0o300
    } else if groups.contains(&found.gid()) {
        mode & 0o030 == 0o030
    } else {
        mode & 0o003 == 0o003
    };
    (user != 0 && !may).then_some("the user of the server may not write there")
}

/// Settings whose loss at a restart hurts, with what the server takes if the file does not have them. Not maxclients: the server lowers
/// that by itself where the system allows fewer open files.
const KEPT: [(&str, &str); 7] = [
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("min-replicas-to-write", "0"),
    ("save", "3600 1 300 100 60 10000"),
    ("stop-writes-on-bgsave-error", "yes"),
];

/// Those that the configuration file has otherwise. Nothing, where the file cannot be read, or takes in other files.
fn unsaved(node: &NodeFacts) -> Vec<UnsavedSetting> {
    let path = node.info.text("config_file").filter(|path| !path.is_empty());
    let Some(text) = path.and_then(|path| fs::read_to_string(path).ok()) else { return Vec::new() };
    let Ok(running) = &node.config else { return Vec::new() };
    compare_settings(&text, |name| running.get(name).map(String::as_str))
}

fn compare_settings<'a>(file: &str, running: impl Fn(&str) -> Option<&'a str>) -> Vec<UnsavedSetting> {
    let lines: Vec<(String, String)> = file
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(name, value)| (name.to_lowercase(), value.trim().replace(['"', '\''], "")))
        .collect();
    if lines.iter().any(|(name, _)| name == "include") {
        return Vec::new();
    }
    let differs = |(name, default): &(&'static str, &str)| {
        let running = running(name)?;
        let mut values = lines.iter().filter(|(line, _)| line == name).map(|(_, value)| value.as_str());
        // Each line of `save` adds to those before it, and an empty one takes them back.
        let value = if *name == "save" {
            values.fold(None, |all: Option<String>, value| match (all, value) {
                (_, "") => Some(String::new()),
                (Some(all), value) => Some(format!("{all} {value}").trim().to_owned()),
                (None, value) => Some(value.to_owned()),
            })
        } else {
            values.next_back().map(str::to_owned)
        };
        let same = plain(value.as_deref().unwrap_or(default)) == plain(running);
        (!same).then(|| UnsavedSetting { name, running: running.to_owned(), file: value })
    };
    KEPT.iter().filter_map(differs).collect()
}

/// A value as CONFIG GET shows it: `100mb` is 104857600.
fn plain(value: &str) -> String {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let split = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(split);
    let factor = match unit {
        "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return value,
    };
    number.parse::<u64>().map_or(value.clone(), |number| number.saturating_mul(factor).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_server_are_compared_by_value() {
        let differ = |file: &str, pairs: &[(&str, &str)]| -> Vec<&str> {
            let running = |name: &str| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
            };
            compare_settings(file, running).iter().map(|setting| setting.name).collect()
        };
        let file = "# maxmemory 1\nMaxMemory 100mb\nsave 3600 1\nsave 300 100\nappendonly no\n";
        let running = [("maxmemory", "104857600"), ("save", "3600 1 300 100"), ("appendonly", "no")];
        assert_eq!(differ(file, &running), [""; 0]);
        assert_eq!(differ(file, &[("appendonly", "yes"), ("maxmemory", "0")]), ["appendonly", "maxmemory"]);
        assert_eq!(differ("save 60 1\nsave \"\"\n", &[("save", "")]), [""; 0]);
        assert_eq!(differ("", &[("appendonly", "yes")]), ["appendonly"]);
        assert_eq!(differ("include other.conf\n", &[("appendonly", "yes")]), [""; 0]);
    }

    #[test]
    fn permissions_decide_who_may_write() {
        // Only its owner may write there, on every system.
        let folder = "/usr";
        let status = |user: u32| format!("Uid:\t{user}\t{user}\t0\t0\nGid:\t77\t77\t77\t77\nGroups:\t \n");
        assert_eq!(directory_fault(folder, &status(0)), None);
        assert!(directory_fault(folder, &status(4_000_000)).is_some());
        assert_eq!(directory_fault("/there/is/no/such", &status(0)), Some("it does not exist"));
    }
}
