//! Many clients at a time: exactly as many requests are admitted as the limit allows, whoever asks, while slots move, and
//! when answers are lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use storefront::limits::{Algorithm, Limit, Limiter, RecordedTime, Window};
use storefront::{ApiKey, Keys, Layout};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::moving::{Moving, owner_of};
use crate::shop::{self, Wire, own_keys, server};

const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::FixedWindow,
    Algorithm::SlidingLog,
    Algorithm::SlidingCounter,
    Algorithm::TokenBucket { burst: MOST },
];
/// So many a day: no test takes the quarter of an hour in which one more would be let in.
const MOST: u32 = 100;
/// While slots move there are more, so that they move while requests are admitted: one more comes in three minutes.
const MOST_MOVING: u32 = 480;
const CLIENTS: usize = 20;
const REQUESTS: usize = 15;

fn caller() -> ApiKey {
    "api_key".parse().unwrap()
}

fn limiter<C: ConnectionLike + Clone>(
    connection: C,
    keys: &Keys,
    algorithm: Algorithm,
    most: u32,
) -> Limiter<C> {
    let limit = Limit::new(most, Window::day()).unwrap();
    let algorithm = match algorithm {
        Algorithm::TokenBucket { .. } => Algorithm::TokenBucket { burst: most },
        other => other,
    };
    Limiter::new(connection, keys.clone(), limit, algorithm).unwrap()
}

/// Each client asks so many times; returns how many requests were admitted, refused, and answered by an error.
async fn crowd(clients: Vec<Limiter<Wire>>, requests: usize) -> [usize; 3] {
    let mut crowd = JoinSet::new();
    for client in clients {
        crowd.spawn(async move {
            let mut counts = [0; 3];
            for _ in 0..requests {
                match client.admit(&caller()).await {
                    Ok(admission) => counts[usize::from(!admission.admitted)] += 1,
                    Err(_) => counts[2] += 1,
                }
            }
            counts
        });
    }
    let counts = crowd.join_all().await;
    [0, 1, 2].map(|kind| counts.iter().map(|count| count[kind]).sum())
}

/// What the server has counted, as far as it stands in the key.
async fn counted(wire: &Wire, limiter: &Limiter<Wire>) -> usize {
    let key = limiter.key_of(&caller());
    let text =
        async || -> String { redis::cmd("GET").arg(&key).query_async(&mut wire.clone()).await.unwrap() };
    match limiter.algorithm() {
        Algorithm::FixedWindow => text().await.parse().unwrap(),
        Algorithm::SlidingLog => redis::cmd("ZCARD").arg(&key).query_async(&mut wire.clone()).await.unwrap(),
        Algorithm::SlidingCounter => {
            text().await.split(' ').skip(1).map(|count| count.parse::<usize>().unwrap()).sum()
        }
        Algorithm::TokenBucket { .. } => {
            let now: [u64; 2] = redis::cmd("TIME").query_async(&mut wire.clone()).await.unwrap();
            let ahead = text().await.parse::<u64>().unwrap() - (now[0] * 1_000_000 + now[1]);
            let interval = 86_400_000_000 / u64::from(limiter.limit().most());
            usize::try_from(ahead.div_ceil(interval)).unwrap()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clients_at_a_time_exactly_the_limit_is_admitted() {
    for layout in [Layout::Standalone, Layout::Cluster] {
        for algorithm in ALGORITHMS {
            let keys = own_keys(layout);
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                let wire = match layout {
                    Layout::Standalone => Wire::standalone().await,
                    Layout::Cluster => Wire::cluster().await,
                };
                clients.push(limiter(wire, &keys, algorithm, MOST));
            }
            let counts = crowd(clients, REQUESTS).await;
            let expected = [MOST as usize, CLIENTS * REQUESTS - MOST as usize, 0];
            assert_eq!(counts, expected, "{layout:?}, {algorithm:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_slots_move_exactly_the_limit_is_admitted_and_nobody_sees_an_error() {
    let wire = Wire::cluster().await;
    for algorithm in ALGORITHMS {
        let keys = own_keys(Layout::Cluster);
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(limiter(Wire::cluster().await, &keys, algorithm, MOST_MOVING));
        }
        let key = clients[0].key_of(&caller());
        let observer = clients[0].clone();
        let moving = Moving::slots_of([&key]);
        let mut counts = [0; 3];
        for _ in 0..5 {
            let owner = owner_of(&key);
            for (sum, count) in counts.iter_mut().zip(crowd(clients.clone(), 40).await) {
                *sum += count;
            }
            // However fast the clients are, the slot moves between some of their requests.
            shop::until("the slot moves", async || owner_of(&key) != owner).await;
        }
        let moves = moving.end();
        let expected = [MOST_MOVING as usize, 1_000 - MOST_MOVING as usize, 0];
        assert_eq!(counts, expected, "{algorithm:?}, {moves} moves");
        assert_eq!(counted(&wire, &observer).await, MOST_MOVING as usize, "{algorithm:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_answers_are_lost_the_server_still_admits_exactly_the_limit() {
    let direct = Wire::standalone().await;
    for algorithm in ALGORITHMS {
        let keys = own_keys(Layout::Standalone);
        let breaking = Breaking::in_front_of(server(), 7).await;
        let mut clients = Vec::new();
        while clients.len() < 10 {
            clients.push(limiter(Wire::reconnecting(breaking.url()).await, &keys, algorithm, MOST));
        }
        let observer = clients[0].clone();
        let [admitted, refused, unknown] = crowd(clients, 30).await;
        let said = format!("{algorithm:?}: {admitted} admitted, {refused} refused, {unknown} unknown");
        assert!(breaking.broken() > 0 && unknown > 0, "{said}");
        // Whoever got no answer may have been counted; nobody was let in beyond the limit.
        assert_eq!(counted(&direct, &observer).await, MOST as usize, "{said}");
        assert!(admitted <= MOST as usize && admitted + unknown >= MOST as usize, "{said}");
    }
}

/// Keeps what is sent.
#[derive(Clone)]
struct Tapped {
    wire: Wire,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl ConnectionLike for Tapped {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(cmd.get_packed_command());
        self.wire.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.wire.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// Whatever a client's clock says, it sends the same: so an hour more or less changes nothing.
#[tokio::test]
async fn a_client_says_nothing_about_the_time() {
    for algorithm in ALGORITHMS {
        let tapped = Tapped { wire: Wire::standalone().await, sent: Arc::default() };
        let limiter = limiter(tapped.clone(), &own_keys(Layout::Standalone), algorithm, MOST);
        // The server learns the script.
        let _ = limiter.admit(&caller()).await.unwrap();
        let mut requests = Vec::new();
        for _ in 0..2 {
            tapped.sent.lock().unwrap().clear();
            let _ = limiter.admit(&caller()).await.unwrap();
            requests.push(tapped.sent.lock().unwrap().concat());
            // Seconds, milliseconds and microseconds are all others then.
            let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let before = second();
            shop::until("the next second begins", async || second() > before).await;
        }
        assert!(!requests[0].is_empty());
        assert_eq!(requests[0], requests[1], "{algorithm:?}");
    }
}

/// The same clients, were they to count by their own clocks, one of them an hour ahead: what the server's clock saves us from.
/// (A fixed window and a sliding counter begin anew, a log drops what is an hour old, a bucket is full again.)
#[tokio::test]
async fn with_clocks_of_their_own_clients_an_hour_apart_break_the_limit() {
    let hour = Duration::from_hours(1);
    for algorithm in ALGORITHMS {
        let algorithm = match algorithm {
            Algorithm::TokenBucket { .. } => Algorithm::TokenBucket { burst: 10 },
            other => other,
        };
        let admitted_by = async |clocks: Option<[Duration; 2]>| {
            let (wire, keys) = (Wire::standalone().await, own_keys(Layout::Standalone));
            let half_an_hour = Window::new("half-hour", hour / 2).unwrap();
            let limit = Limit::new(10, half_an_hour).unwrap();
            let server_time = Limiter::new(wire, keys, limit, algorithm).unwrap();
            let mut admitted = 0;
            for request in 0..60 {
                let limiter = match clocks {
                    Some(clocks) => {
                        let time = RecordedTime::default();
                        time.set(clocks[request % 2]);
                        server_time.clone().on_recorded_time(time)
                    }
                    None => server_time.clone(),
                };
                admitted += usize::from(limiter.admit(&caller()).await.unwrap().admitted);
            }
            admitted
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let (apart, together) = (admitted_by(Some([now, now + hour])).await, admitted_by(None).await);
        assert_eq!(together, 10, "{algorithm:?}");
        assert!(apart > 10, "{algorithm:?}: {apart}");
    }
}
