//! What the server's commands cost it, from the differences of `INFO commandstats`. Nothing is reset: the server may be
//! somebody else's.

use std::collections::BTreeMap;

use lab_connection::Connection;
use redis::Value;

/// How often a command ran, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandCost {
    pub(crate) calls: u64,
    pub(crate) micros: u64,
}

/// By command, as Redis names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandStats(BTreeMap<String, CommandCost>);

impl CommandStats {
    /// Asks the server, or every node of a cluster. Empty where INFO is not allowed.
    pub(crate) async fn ask(connection: &mut Connection) -> Self {
        let mut info = redis::cmd("INFO");
        let reply = info.arg("COMMANDSTATS").query_async::<Value>(connection).await;
        let mut stats = Self::default();
        match reply {
            Ok(Value::Map(nodes)) => nodes.into_iter().for_each(|(_, text)| stats.add(text)),
            Ok(text) => stats.add(text),
            Err(_) => {}
        }
        stats
    }

    /// What ran since `before`, without our own questions; the most costly first.
    pub(crate) fn since(&self, before: &Self) -> Vec<(String, CommandCost)> {
        let mut ran: Vec<(String, CommandCost)> = self
            .0
            .iter()
            .filter(|(name, _)| *name != "INFO")
            .map(|(name, now)| {
                let then = before.0.get(name).copied().unwrap_or_default();
                let calls = now.calls.saturating_sub(then.calls);
                (name.clone(), CommandCost { calls, micros: now.micros.saturating_sub(then.micros) })
            })
            .filter(|(_, counted)| counted.calls > 0)
            .collect();
        ran.sort_by_key(|(_, counted)| std::cmp::Reverse(counted.micros));
        ran
    }

    fn add(&mut self, text: Value) {
        let text: String = redis::from_redis_value(text).unwrap_or_default();
        for (name, numbers) in text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'))
        {
            let number = |field: &str| {
                let values = numbers.split(',').filter_map(|pair| pair.split_once('='));
                values.into_iter().find(|(name, _)| *name == field)?.1.trim().parse::<u64>().ok()
            };
            let counted = self.0.entry(name.to_uppercase()).or_default();
            counted.calls += number("calls").unwrap_or_default();
            counted.micros += number("usec").unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(text: &str) -> CommandStats {
        let mut stats = CommandStats::default();
        stats.add(Value::BulkString(text.as_bytes().to_vec()));
        stats
    }

    #[test]
    fn only_what_ran_in_between_counts() {
        let before = stats("# Commandstats\r\ncmdstat_hset:calls=5,usec=10,usec_per_call=2.00\r\n");
        let after = stats(
            "cmdstat_hset:calls=15,usec=40,usec_per_call=2.67\r\ncmdstat_info:calls=1,usec=99\r\n\
             cmdstat_restore:calls=1,usec=50\r\n",
        );
        let expected = [
            ("RESTORE", CommandCost { calls: 1, micros: 50 }),
            ("HSET", CommandCost { calls: 10, micros: 30 }),
        ];
        assert_eq!(after.since(&before), expected.map(|(name, counted)| (name.to_owned(), counted)));
    }
}
