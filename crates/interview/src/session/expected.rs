//! The lines of a reply that are expected on one server.

/// Leaves out the lines of other servers: `(integer) 64  # Redis 7.0, Redis 8.2` is for these two. If none of them is for this
/// server, nobody has measured there, and `…` stands for them.
pub(super) fn lines(written: &[String], server: &str) -> Vec<String> {
    let is_here = |servers: &str| servers.split(", ").any(|name| name == server);
    let measured_here =
        written.iter().filter_map(|line| of_servers(line)).any(|(_, servers)| is_here(servers));
    let mut lines: Vec<String> = Vec::new();
    for line in written {
        match of_servers(line) {
            None => lines.push(line.clone()),
            Some((text, servers)) if is_here(servers) => lines.push(text.trim_end().to_owned()),
            Some(_) if measured_here || lines.last().is_some_and(|last| last == "…") => {}
            Some(_) => lines.push("…".to_owned()),
        }
    }
    lines
}

/// A line that ends with the names of servers, and these names.
fn of_servers(line: &str) -> Option<(&str, &str)> {
    let (text, servers) = line.rsplit_once("  # ")?;
    servers.split(", ").all(is_server).then_some((text, servers))
}

fn is_server(name: &str) -> bool {
    let version = name.strip_prefix("Redis ").or_else(|| name.strip_prefix("Valkey "));
    version.and_then(|version| version.split_once('.')).is_some_and(|(major, minor)| {
        [major, minor].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_own_lines() {
        let written =
            ["a", "b   # Redis 7.0, Redis 8.2", "c  # Valkey 9.1", "d  # of no server"].map(str::to_owned);
        assert_eq!(lines(&written, "Redis 8.2"), ["a", "b", "d  # of no server"]);
        assert_eq!(lines(&written, "Valkey 9.1"), ["a", "c", "d  # of no server"]);
        assert_eq!(lines(&written, "Redis 8.4"), ["a", "…", "d  # of no server"]);
    }
}
