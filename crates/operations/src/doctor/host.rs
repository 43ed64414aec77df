//! What the operating system says about a server of this machine: swap, transparent huge pages, disk.

use std::fs;
use std::process::Command;

use super::facts::{Host, NodeFacts};

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
    })
}

/// Bytes that a user may still write to the disk of this directory.
fn disk_free(directory: &str) -> Option<u64> {
    let output = Command::new("df").args(["-Pk", "--", directory]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}
