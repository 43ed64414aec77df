//! What one MONITOR costs everyone else.

use std::time::Instant;

use lab_runner::concurrent::try_join_all;
use lab_runner::{BoxError, Retry};
use lab_server::Server;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::shop::HOT_KEY;
use crate::private::{self, READY_TIMEOUT, connect};

/// Clients that send requests at the same time.
pub(super) const CLIENTS: usize = 4;
/// GETs of one round, over all clients.
pub(super) const REQUESTS: usize = 20_000;
/// Rounds without, and as many with MONITOR, in turn.
pub(super) const ROUNDS: usize = 3;
/// Requests that a client sends before it reads the replies.
const PIPELINED: usize = 50;

/// What a round cost, or the medians of some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// GETs each second.
    pub(super) rate: f64,
    /// Processor time of the server.
    pub(super) cpu_seconds: f64,
    /// Bytes from the server to all clients.
    pub(super) sent: usize,
    /// GETs that had the right value.
    pub(super) right: usize,
    /// GETs that MONITOR saw.
    pub(super) monitored: usize,
}

/// Medians without and with MONITOR.
pub(super) async fn measure(
    server: &Server,
    redis: &MultiplexedConnection,
) -> Result<(Cost, Cost), BoxError> {
    let clients = try_join_all((0..CLIENTS).map(|_| async { connect(server).await })).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // Not measured: it warms up.
    load(&clients).await?;
    for _ in 0..ROUNDS {
        without.push(round(&clients, redis, None).await?);
        let monitor = Monitor::start(server, redis).await?;
        with.push(round(&clients, redis, Some(monitor)).await?);
    }
    Ok((median(&without), median(&with)))
}

async fn round(
    clients: &[MultiplexedConnection],
    redis: &MultiplexedConnection,
    monitor: Option<Monitor>,
) -> Result<Cost, BoxError> {
    let mut redis = redis.clone();
    let before = Usage::of(&mut redis).await?;
    let begun = Instant::now();
    let right = load(clients).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let monitored = match monitor {
        Some(monitor) => monitor.end(&mut redis).await?,
        None => 0,
    };
    let after = Usage::of(&mut redis).await?;
    Ok(Cost {
        rate: REQUESTS as f64 / seconds,
        cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        sent: after.sent - before.sent,
        right,
        monitored,
    })
}

/// All clients send their share of the requests. Returns how many replies were right.
async fn load(clients: &[MultiplexedConnection]) -> RedisResult<usize> {
    let right = try_join_all(clients.iter().map(|client| async move {
        let (mut client, mut right) = (client.clone(), 0);
        for _ in 0..REQUESTS / CLIENTS / PIPELINED {
            let mut pipe = redis::pipe();
            for _ in 0..PIPELINED {
                pipe.get(HOT_KEY);
            }
            let values: Vec<String> = pipe.query_async(&mut client).await?;
            right += values.iter().filter(|value| *value == "a product").count();
        }
        Ok::<_, redis::RedisError>(right)
    }));
    Ok(right.await?.iter().sum())
}

/// What INFO says the server has used so far.
struct Usage {
    cpu_seconds: f64,
    sent: usize,
}

impl Usage {
    async fn of(redis: &mut MultiplexedConnection) -> RedisResult<Self> {
        let cpu = private::info_fields("cpu", redis).await?;
        let seconds =
            |name: &str| cpu.get(name).and_then(|time| time.parse::<f64>().ok()).unwrap_or_default();
        let sent = private::info(redis, "stats", "total_net_output_bytes").await?.parse().unwrap_or_default();
        Ok(Self { cpu_seconds: seconds("used_cpu_user") + seconds("used_cpu_sys"), sent })
    }
}

/// A client that sent MONITOR. It counts GETs until all of a round are there.
struct Monitor {
    reading: tokio::task::JoinHandle<std::io::Result<usize>>,
}

impl Monitor {
    async fn start(server: &Server, redis: &MultiplexedConnection) -> Result<Self, BoxError> {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
        stream.write_all(format!("AUTH default {}\r\nMONITOR\r\n", server.password()).as_bytes()).await?;
        let reading = tokio::spawn(async move {
            let (mut seen, mut rest, mut buffer) = (0, Vec::new(), vec![0; 64 * 1024]);
            while seen < REQUESTS {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    break;
                }
                rest.extend(buffer.iter().take(read));
                let complete = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                let lines = rest.drain(..complete).collect::<Vec<u8>>();
                seen += lines.split(|byte| *byte == b'\n').filter(|line| is_get(line)).count();
            }
            Ok(seen)
        });
        wait_for(1, &mut redis.clone()).await?;
        Ok(Self { reading })
    }

    /// How many GETs it saw. Waits until the server has noticed that it is gone.
    async fn end(self, redis: &mut MultiplexedConnection) -> Result<usize, BoxError> {
        let seen = tokio::time::timeout(READY_TIMEOUT, self.reading).await???;
        wait_for(0, redis).await?;
        Ok(seen)
    }
}

/// A line of MONITOR: `+1700000000.123456 [0 127.0.0.1:1234] "GET" "key"`.
fn is_get(line: &[u8]) -> bool {
    line.windows(7).any(|window| window == b"] \"GET\"")
}

/// Waits until so many clients are in MONITOR.
async fn wait_for(monitors: usize, redis: &mut MultiplexedConnection) -> Result<(), BoxError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    loop {
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(redis).await?;
        if list.matches(" cmd=monitor ").count() == monitors {
            return Ok(());
        }
        retry.again("MONITOR began, or ended").await?;
    }
}

fn median(costs: &[Cost]) -> Cost {
    let middle = |value: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let fewest = |value: fn(&Cost) -> usize| costs.iter().map(value).min().unwrap_or_default();
    Cost {
        rate: middle(|cost| cost.rate),
        cpu_seconds: middle(|cost| cost.cpu_seconds),
        // These are the same in each round, or something is wrong.
        sent: fewest(|cost| cost.sent),
        right: fewest(|cost| cost.right),
        monitored: fewest(|cost| cost.monitored),
    }
}
