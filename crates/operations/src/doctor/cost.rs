//! What the examination cost a server.

use serde::Serialize;

use super::asker::COMMANDS;
use super::facts::{Info, NodeFacts};

/// What the examination cost one server.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Host and port.
    pub node: String,
    /// Commands that the doctor sent.
    pub commands: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What those commands cost the server, in microseconds, by INFO commandstats. Other clients that send the same commands at the same
    /// time are in it, so it is an upper limit. Absent where INFO is refused.
    pub server_micros: Option<f64>,
    /// The processor time of the server in that time, for all its clients, in seconds.
    pub server_cpu_seconds: Option<f64>,
}

impl Cost {
    pub(crate) fn between(node: &NodeFacts, commands: u64) -> Self {
        let (before, after) = (&node.info, &node.later);
        let cpu = |info: &Info| Some(info.number("used_cpu_sys")? + info.number("used_cpu_user")?);
        Self {
            node: node.address.clone(),
            commands,
            seconds: node.seconds,
            server_micros: (!after.is_empty()).then(|| spent(before, after)),
            server_cpu_seconds: cpu(after).zip(cpu(before)).map(|(after, before)| (after - before).max(0.0)),
        }
    }

    /// The share of the server's time, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        self.server_micros.map(|micros| micros / 1e6 / self.seconds.max(1e-6))
    }
}

fn spent(before: &Info, after: &Info) -> f64 {
    let ours = |name: &str| {
        let name = name.replace('|', " ").to_uppercase();
        COMMANDS.contains(&name.as_str())
    };
    let usec = |info: &Info, field: &str| info.part_number(field, "usec").unwrap_or(0.0);
    let fields = after.starting_with("cmdstat_").filter(|(name, _)| ours(&name["cmdstat_".len()..]));
    fields
        .map(|(name, _)| (usec(after, name) - usec(before, name)).max(0.0))
        .fold(0.0, |sum, micros| sum + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_the_doctor_sends_count() {
        let before = Info::parse("cmdstat_info:calls=1,usec=10\r\n");
        let after = Info::parse(
            "cmdstat_info:calls=2,usec=110\r\ncmdstat_memory|usage:calls=5,usec=7\r\ncmdstat_set:calls=9,usec=900\r\n",
        );
        assert!((spent(&before, &after) - 107.0).abs() < 0.01);
    }
}
