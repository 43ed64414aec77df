//! What a piece of work cost: time, our processor time, the server's.

use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use redis::{Cmd, Value};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What a piece of work cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ResourceUsage {
    /// Seconds on the wall clock.
    pub seconds: f64,
    /// Processor seconds of this process, all threads.
    pub client_cpu_seconds: f64,
    /// Processor seconds of the server process, of all nodes of a cluster together; none if it does not say.
    pub server_cpu_seconds: Option<f64>,
    /// How much of the time the server's main thread was busy, 0 to 1 (and a little more, because the server's own clocks are
    /// coarse); the busiest node's of a cluster. A server at 1 is the limit, whatever the client does.
    pub server_cpu_share: Option<f64>,
}

/// Started before a piece of work, stopped after it.
pub struct Stopwatch {
    connection: Connection,
    server: Vec<ServerCpu>,
    client: Duration,
    begun: Instant,
}

impl Stopwatch {
    /// Asks the server for its processor time, then starts.
    pub async fn start(target: &Target) -> Self {
        let mut connection = target.connection();
        let server = ServerCpu::of_all(&mut connection).await;
        Self { connection, server, client: client_cpu(), begun: Instant::now() }
    }

    /// Stops, then asks again.
    pub async fn stop(mut self) -> ResourceUsage {
        let seconds = self.begun.elapsed().as_secs_f64();
        let client_cpu_seconds = client_cpu().saturating_sub(self.client).as_secs_f64();
        let after = ServerCpu::of_all(&mut self.connection).await;
        let complete = !after.is_empty() && after.len() == self.server.len();
        let pairs = || self.server.iter().zip(&after);
        let process = pairs().map(|(before, after)| after.process - before.process).sum::<f64>();
        let busiest =
            pairs().map(|(before, after)| after.main_thread - before.main_thread).fold(0.0, f64::max);
        ResourceUsage {
            seconds,
            client_cpu_seconds,
            server_cpu_seconds: complete.then_some(process),
            server_cpu_share: complete.then_some(busiest / seconds.max(1e-9)),
        }
    }
}

/// Processor time that this process has used, all threads.
fn client_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0))
}

/// Processor seconds of one server since it started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ServerCpu {
    process: f64,
    main_thread: f64,
}

impl ServerCpu {
    /// Of one server, or of every node of a cluster, always in the same order. Empty where INFO is not allowed.
    async fn of_all(connection: &mut Connection) -> Vec<Self> {
        let mut info = Cmd::new();
        info.arg("INFO").arg("CPU");
        let Ok(reply) = info.query_async::<Value>(connection).await else {
            return Vec::new();
        };
        match reply {
            // A cluster connection asks every node, and answers with a map from address to text.
            Value::Map(nodes) => {
                let text = |value: &Value| redis::from_redis_value_ref::<String>(value).unwrap_or_default();
                let mut nodes: Vec<(String, String)> =
                    nodes.iter().map(|(node, info)| (text(node), text(info))).collect();
                nodes.sort();
                nodes.iter().filter_map(|(_, info)| Self::read(info)).collect()
            }
            reply => {
                let text: String = redis::from_redis_value(reply).unwrap_or_default();
                Self::read(&text).into_iter().collect()
            }
        }
    }

    fn read(info: &str) -> Option<Self> {
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse::<f64>().ok())
        };
        let process = field("used_cpu_user")? + field("used_cpu_sys")?;
        let main_thread = field("used_cpu_user_main_thread").zip(field("used_cpu_sys_main_thread"));
        Some(Self { process, main_thread: main_thread.map_or(process, |(user, sys)| user + sys) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_thread_is_told_from_the_process() {
        let info = "# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.5\r\nused_cpu_sys_main_thread:1.0\r\nused_cpu_user_main_thread:2.0\r\n";
        assert_eq!(ServerCpu::read(info), Some(ServerCpu { process: 4.0, main_thread: 3.0 }));
        assert_eq!(ServerCpu::read("# CPU\r\n"), None);
    }
}
