//! The limiters against models, over boundaries and idle gaps: the real scripts on a real server, on a recorded clock.
//!
//! They are held to the microsecond; fixed window and sliding counter, which know no smaller time, to the millisecond.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use redis::Value;
use storefront::limits::{Algorithm, Limit, Limiter, RecordedTime, Window};
use storefront::{ApiKey, Layout, StoreError};

use crate::shop::{self, Wire};

/// What a limiter says, in microseconds.
type Answer = (bool, u32, Option<u64>);

/// A limiter as one would write it with all the memory and big numbers of the world: it knows of every admitted request.
#[derive(Clone, Debug)]
struct Model {
    algorithm: Algorithm,
    most: u32,
    /// Microseconds.
    length: u64,
    /// When each admitted request came.
    admitted: Vec<u64>,
    /// When the fixed window began.
    began: Option<u64>,
    /// When the bucket is full again.
    full: u64,
}

impl Model {
    fn new(algorithm: Algorithm, most: u32, length: u64) -> Self {
        Self { algorithm, most, length, admitted: Vec::new(), began: None, full: 0 }
    }

    /// Admits the request if its time has come.
    fn ask(&mut self, now: u64, cost: u32) -> Answer {
        let free = self.free(now);
        if free < u64::from(cost) {
            // The first moment at which it would be let in, found by trying.
            let wait = self.wait(now, cost);
            return (false, u32::try_from(free).unwrap(), Some(wait));
        }
        if self.began.is_none_or(|began| now >= began + self.length) {
            self.began = Some(now);
        }
        self.full = self.full.max(now) + u64::from(cost) * self.interval();
        self.admitted.extend(std::iter::repeat_n(now, cost as usize));
        (true, u32::try_from(free).unwrap() - cost, None)
    }

    /// How many requests would be admitted at this time.
    fn free(&self, now: u64) -> u64 {
        let most = u64::from(self.most);
        let since =
            |from: u64| self.admitted.iter().filter(|time| **time >= from && **time <= now).count() as u64;
        match self.algorithm {
            Algorithm::FixedWindow => match self.began {
                Some(began) if now < began + self.length => most - since(began),
                _ => most,
            },
            Algorithm::SlidingLog => most - since((now + 1).saturating_sub(self.length)),
            Algorithm::SlidingCounter => {
                let now = now / 1_000 * 1_000;
                let start = now - now % self.length;
                let current = self.admitted.iter().filter(|time| **time >= start).count() as u128;
                let previous = self
                    .admitted
                    .iter()
                    .filter(|time| **time < start && **time + self.length >= start)
                    .count() as u128;
                let length = u128::from(self.length);
                let used = current * length + previous * (length - u128::from(now - start));
                u64::try_from((u128::from(most) * length).saturating_sub(used) / length).unwrap()
            }
            Algorithm::TokenBucket { burst } => {
                let missing = self.full.saturating_sub(now).div_ceil(self.interval());
                u64::from(burst).saturating_sub(missing)
            }
        }
    }

    /// Microseconds until a request of this cost is admitted: bisection, as a limiter only gets freer while nobody comes.
    fn wait(&self, now: u64, cost: u32) -> u64 {
        let step = if self.algorithm == Algorithm::SlidingCounter { 1_000 } else { 1 };
        let (mut refused, mut admitted) = (0, 2 * self.longest_wait() / step + 1);
        let now = now / step * step;
        assert!(self.free(now + admitted * step) >= u64::from(cost));
        while admitted - refused > 1 {
            let middle = refused.midpoint(admitted);
            if self.free(now + middle * step) >= u64::from(cost) {
                admitted = middle;
            } else {
                refused = middle;
            }
        }
        admitted * step
    }

    fn longest_wait(&self) -> u64 {
        match self.algorithm {
            Algorithm::TokenBucket { burst } => u64::from(burst) * self.interval(),
            _ => 2 * self.length,
        }
    }

    fn interval(&self) -> u64 {
        self.length.div_ceil(u64::from(self.most))
    }

    /// What the documentation promises of such a stretch, which is no longer than the window.
    fn promised(&self, stretch: u64) -> u64 {
        let most = u64::from(self.most);
        match self.algorithm {
            Algorithm::FixedWindow => 2 * most,
            Algorithm::SlidingLog => most,
            // N (1 + d), less than 2 N.
            Algorithm::SlidingCounter => most + (most * stretch).div_ceil(self.length) - 1,
            Algorithm::TokenBucket { burst } => u64::from(burst) + stretch.div_ceil(self.interval()) - 1,
        }
    }
}

/// One request: how long after the one before, and how much.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// As a kind of gap, and a number that varies it.
    gap: (u8, u16),
    cost: u32,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = ((0_u8..10, any::<u16>()), prop_oneof![4 => Just(1_u32), 1 => 1_u32..6]);
    proptest::collection::vec(step.prop_map(|(gap, cost)| Step { gap, cost }), 60..120)
}

impl Step {
    /// The time of this request: often at once, often right at a boundary, a microsecond before or after it, sometimes long
    /// after.
    fn after(self, now: u64, model: &Model) -> u64 {
        let (kind, varied) = self.gap;
        let number = u64::from(varied) * 1_000_003;
        let window_end = now - now % model.length + model.length;
        match kind {
            0..=2 => now + number % 3,
            3 => now + number % model.length,
            4 => now + number % (1 + model.length / 50),
            // The edge of a window of the wall clock, and of one that began with a request.
            5 => (window_end + number % 3 - 1).max(now),
            6 => match model.admitted.iter().rev().nth(usize::from(varied % 8)) {
                Some(time) => (time + model.length + number % 3 - 1).max(now),
                None => now,
            },
            // The moment at which the next one is let in, or just before.
            7 | 8 => match model.free(now) {
                0 => now + model.wait(now, 1) - number % 2,
                _ => now,
            },
            _ => now + number % (5 * model.length),
        }
    }
}

struct Bench {
    wire: Wire,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { wire: runtime.block_on(Wire::standalone()), runtime }
    }

    /// A limiter that nobody else uses.
    fn limiter(&self, algorithm: Algorithm, most: u32, length: u64, time: &RecordedTime) -> Limiter<Wire> {
        let window = Window::new("w", Duration::from_micros(length)).unwrap();
        let (limit, keys) = (Limit::new(most, window).unwrap(), shop::own_keys(Layout::Standalone));
        let limiter = Limiter::new(self.wire.clone(), keys, limit, algorithm).unwrap();
        limiter.on_recorded_time(time.clone())
    }

    /// Those of these times, in microseconds since a full minute, that are admitted.
    fn admitted(&self, algorithm: Algorithm, most: u32, length: u64, times: &[u64]) -> Vec<u64> {
        let (caller, time) = ("api_key".parse().unwrap(), RecordedTime::default());
        let limiter = self.limiter(algorithm, most, length, &time);
        let mut admitted = times.to_vec();
        self.runtime.block_on(async {
            let mut answers = Vec::new();
            for at in times {
                time.set(Duration::from_micros(1_700_000_040_000_000 + at));
                answers.push(limiter.admit(&caller).await.unwrap().admitted);
            }
            let mut answers = answers.into_iter();
            admitted.retain(|_| answers.next().unwrap());
        });
        admitted
    }

    /// Lets limiter and model answer the same requests. Where `ending`, the key is removed as soon as its TTL has run out on
    /// the recorded clock, which must not change any answer.
    fn compare(&self, algorithm: Algorithm, most: u32, length: u64, steps: &[Step], ending: bool) -> usize {
        let time = RecordedTime::default();
        let limiter = self.limiter(algorithm, most, length, &time);
        let caller: ApiKey = "api_key".parse().unwrap();
        let key = limiter.key_of(&caller);
        let mut model = Model::new(algorithm, most, length);
        let mut now = 1_700_000_000_000_000;
        let mut ends = u64::MAX;
        self.runtime.block_on(async {
            for (number, step) in steps.iter().enumerate() {
                now = step.after(now, &model);
                if algorithm == Algorithm::FixedWindow {
                    now = now / 1_000 * 1_000;
                }
                if ending && now > ends {
                    self.wire.send(&["DEL", &key]).await;
                }
                time.set(Duration::from_micros(now));
                let cost = NonZeroU32::new(step.cost.min(model.most_at_once())).unwrap();
                let asked = Instant::now();
                let got = limiter.admit_many(&caller, cost).await.unwrap();
                let wait = got.retry_after.map(|wait| u64::try_from(wait.as_micros()).unwrap());
                let expected = model.ask(now, cost.get());
                let got_now = (got.admitted, got.remaining, wait);
                assert_eq!(got_now, expected, "step {number} at {now}: {step:?} {model:?}");
                if ending && got.admitted {
                    let ttl: u64 =
                        redis::cmd("PTTL").arg(&key).query_async(&mut self.wire.clone()).await.unwrap();
                    // As it was when it was set, not a few milliseconds later.
                    let passed = u64::try_from(asked.elapsed().as_millis()).unwrap() + 1;
                    ends = now + (ttl + passed) * 1_000;
                }
            }
        });
        for stretch in [length, length / 2, length / 10, 1] {
            let (worst, promised) = (worst_of(&model.admitted, stretch), model.promised(stretch));
            assert!(worst <= promised, "{algorithm:?}: {worst} in {stretch} of {length}, not {promised}");
        }
        steps.len()
    }
}

/// The most of these times in any stretch of this many microseconds.
fn worst_of(times: &[u64], stretch: u64) -> u64 {
    let from =
        |first: usize| times[first..].iter().take_while(|time| **time - times[first] < stretch).count();
    (0..times.len()).map(from).max().unwrap_or(0) as u64
}

impl Model {
    fn most_at_once(&self) -> u32 {
        match self.algorithm {
            Algorithm::TokenBucket { burst } => burst,
            _ => self.most,
        }
    }
}

/// Runs many cases, always the same, and returns how many requests were compared.
fn compared(cases: u32, algorithm: impl Fn(u32) -> Algorithm, lengths: &'static [u64]) -> usize {
    let bench = Bench::new();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let compared = std::cell::Cell::new(0);
    let cases = (1_u32..12, 1_u32..9, 0..lengths.len(), steps(), any::<bool>());
    let result = runner.run(&cases, |(most, burst, length, steps, ending)| {
        let requests = bench.compare(algorithm(burst), most, lengths[length], &steps, ending);
        compared.set(compared.get() + requests);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    compared.get()
}

/// A minute, a day, and lengths that most limits do not divide. Much longer than a test, as most keys still end by the
/// server's clock.
const LENGTHS: &[u64] = &[60_000_000, 61_007_000, 86_399_999_000, 86_400_000_000];

#[test]
fn a_fixed_window_is_as_its_model() {
    assert!(compared(60, |_| Algorithm::FixedWindow, LENGTHS) > 3_000);
}

#[test]
fn a_sliding_log_is_as_its_model() {
    assert!(compared(60, |_| Algorithm::SlidingLog, LENGTHS) > 3_000);
}

#[test]
fn a_sliding_counter_is_as_its_model() {
    assert!(compared(60, |_| Algorithm::SlidingCounter, LENGTHS) > 3_000);
}

#[test]
fn a_token_bucket_is_as_its_model() {
    assert!(compared(60, |burst| Algorithm::TokenBucket { burst }, LENGTHS) > 3_000);
}

/// The bounds that the documentation names are reached, so they are no guesses.
#[test]
fn the_worst_bursts_are_as_bad_as_documented() {
    const MINUTE: u64 = 60_000_000;
    let bench = Bench::new();
    // For a limit of 10: one request; eleven just before the end of a minute; then one every tenth of a second.
    let times: Vec<u64> = [5_000_000]
        .into_iter()
        .chain(std::iter::repeat_n(MINUTE - 1_000, 11))
        .chain((0..1_200).map(|moment| MINUTE + 5_000_000 + moment * 100_000))
        .collect();
    let worst_of_traffic = |algorithm, times: &[u64]| {
        let admitted = bench.admitted(algorithm, 10, MINUTE, times);
        [MINUTE, MINUTE / 10].map(|stretch| worst_of(&admitted, stretch))
    };
    let worst = |algorithm| worst_of_traffic(algorithm, &times);
    // Nine at the end of a window that began after five seconds, and ten when it ends.
    assert_eq!(worst(Algorithm::FixedWindow), [19, 19]);
    assert_eq!(worst(Algorithm::SlidingLog), [10, 10]);
    // Without the first: ten at the end of a minute, and while they are weighted less and less, nine more.
    assert_eq!(worst_of_traffic(Algorithm::SlidingCounter, &times[1..]), [19, 10]);
    assert_eq!(worst(Algorithm::TokenBucket { burst: 10 }), [19, 10]);
    assert_eq!(worst(Algorithm::TokenBucket { burst: 3 }), [12, 3]);
}

#[test]
fn a_fixed_window_that_is_replayed_again_answers_the_same() {
    const MINUTE: u64 = 60_000_000;
    let bench = Bench::new();
    let (caller, time): (ApiKey, _) = ("api_key".parse().unwrap(), RecordedTime::default());
    let limiter = bench.limiter(Algorithm::FixedWindow, 3, MINUTE, &time);
    let replay = || {
        bench.runtime.block_on(async {
            let mut answers = Vec::new();
            for request in 0..30 {
                time.set(Duration::from_micros(1_700_000_000_000_000 + request * MINUTE / 6));
                answers.push(limiter.admit(&caller).await.unwrap());
            }
            answers
        })
    };
    let first = replay();
    assert_eq!(first.iter().filter(|answer| answer.admitted).count(), 15);
    // Its keys are still there, and a window of theirs lies in the future.
    assert_eq!(replay(), first);
}

#[test]
fn what_is_no_count_stays_as_it_is_however_much_recorded_time_passes() {
    const MINUTE: u64 = 60_000_000;
    let bench = Bench::new();
    let (caller, time): (ApiKey, _) = ("api_key".parse().unwrap(), RecordedTime::default());
    let limiter = bench.limiter(Algorithm::FixedWindow, 3, MINUTE, &time);
    let key = limiter.key_of(&caller);
    bench.runtime.block_on(async {
        bench.wire.send(&["SET", &key, "abc"]).await;
        for request in 0..5 {
            time.set(Duration::from_micros(1_700_000_000_000_000 + request * MINUTE * 2 / 3));
            let refused = limiter.admit(&caller).await;
            assert!(matches!(refused, Err(StoreError::Malformed { .. })), "{refused:?}");
        }
        assert_eq!(bench.wire.send(&["GET", &key]).await, Value::BulkString(b"abc".to_vec()));
    });
}
