//! What the numbers of a table hold for.

use std::thread::available_parallelism;

use lab_connection::Target;

/// The client library, the server, and the machine, each as a few words: `redis-rs 1.8.1`, `Valkey 9.1.2`, `2 cores`.
pub fn environment(target: &Target) -> Vec<String> {
    let info = target.info();
    let shape = if target.is_cluster() { " cluster" } else { "" };
    let persistence = if info.append_only { "append-only file on" } else { "no append-only file" };
    let mut parts = vec![
        format!("redis-rs {}", redis_rs_version()),
        format!("{} {}{shape}", info.name, info.version),
        if info.allocator.is_empty() { String::new() } else { format!("allocator {}", info.allocator) },
        target.transport().to_owned(),
        persistence.to_owned(),
    ];
    parts.extend(machine());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The version that this workspace is built with. (CLIENT INFO has it, too, but only on some servers.)
fn redis_rs_version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let package = lock.split_once("name = \"redis\"\nversion = \"").map_or("", |(_, rest)| rest);
    package.split('"').next().unwrap_or_default()
}

/// How this program was built, the processor of this machine, where the system names it, and its cores.
pub fn machine() -> Vec<String> {
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    let mut parts = vec![build.to_owned()];
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        let model = text.lines().find_map(|line| line.strip_prefix("model name"));
        parts.extend(model.map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned()));
    }
    match available_parallelism().map_or(1, std::num::NonZero::get) {
        1 => parts.push("1 core".to_owned()),
        cores => parts.push(format!("{cores} cores")),
    }
    parts
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_client_library_has_a_version() {
        assert!(super::redis_rs_version().starts_with("1."), "{}", super::redis_rs_version());
    }
}
