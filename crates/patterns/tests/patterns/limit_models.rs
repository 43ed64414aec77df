//! The limiters against models, over boundaries and idle gaps: the real scripts on a real server, by a virtual clock.
//!
//! They are held to the microsecond; fixed window and sliding counter, which know no smaller time, to the millisecond.

use std::time::Duration;

use lab_testing::{TestConnection, cases, prefix};
use patterns::fixed_window::{self, FixedWindowAlgorithm};
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::{self, SlidingCounterAlgorithm};
use patterns::sliding_log::{self, SlidingLogAlgorithm};
use patterns::token_bucket::{self, TokenBucketAlgorithm};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::virtual_clock::VirtualClock;

/// What a limiter answers: admitted, remaining, and how long to wait in microseconds.
type Answer = (bool, u32, Option<u64>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    FixedWindow,
    SlidingLog,
    SlidingCounter,
    TokenBucket { burst: u32 },
}

/// A limiter as one would write it with all the memory in the world: it knows of every admitted request.
#[derive(Clone, Debug)]
struct Model {
    kind: Kind,
    quota: u32,
    /// Microseconds, as all times here.
    window: u64,
    /// When each admitted request came.
    admitted: Vec<u64>,
    /// When the fixed window began.
    began: Option<u64>,
    /// When the bucket is full again.
    full: u64,
}

impl Model {
    fn new(kind: Kind, quota: u32, window: u64) -> Self {
        Self { kind, quota, window, admitted: Vec::new(), began: None, full: 0 }
    }

    /// Admits the request if its time has come.
    fn ask(&mut self, now: u64, cost: u32) -> Answer {
        let free = self.free(now);
        if free < u64::from(cost) {
            // The first moment at which it would be admitted, found by trying.
            return (false, u32::try_from(free).unwrap(), Some(self.wait(now, cost)));
        }
        if self.began.is_none_or(|began| now >= began + self.window) {
            self.began = Some(now);
        }
        self.full = self.full.max(now) + u64::from(cost) * self.interval();
        self.admitted.extend(std::iter::repeat_n(now, cost as usize));
        (true, u32::try_from(free).unwrap() - cost, None)
    }

    /// How many requests would be admitted at this time.
    fn free(&self, now: u64) -> u64 {
        let quota = u64::from(self.quota);
        let since =
            |from: u64| self.admitted.iter().filter(|time| **time >= from && **time <= now).count() as u64;
        match self.kind {
            Kind::FixedWindow => match self.began {
                Some(began) if now < began + self.window => quota - since(began),
                _ => quota,
            },
            Kind::SlidingLog => quota - since((now + 1).saturating_sub(self.window)),
            Kind::SlidingCounter => {
                let now = now / 1_000 * 1_000;
                let start = now - now % self.window;
                let current = self.admitted.iter().filter(|time| **time >= start).count() as u128;
                let previous =
                    self.admitted.iter().filter(|time| **time < start && **time + self.window >= start);
                let window = u128::from(self.window);
                let used = current * window + previous.count() as u128 * (window - u128::from(now - start));
                u64::try_from((u128::from(quota) * window).saturating_sub(used) / window).unwrap()
            }
            Kind::TokenBucket { burst } => {
                let missing = self.full.saturating_sub(now).div_ceil(self.interval());
                u64::from(burst).saturating_sub(missing)
            }
        }
    }

    /// How long until a request of this cost is admitted: by halving, because a limiter only gets freer while there are no requests.
    fn wait(&self, now: u64, cost: u32) -> u64 {
        let step = if self.kind == Kind::SlidingCounter { 1_000 } else { 1 };
        let longest = match self.kind {
            Kind::TokenBucket { burst } => u64::from(burst) * self.interval(),
            _ => 2 * self.window,
        };
        let (mut refused, mut admitted) = (0, 2 * longest / step + 1);
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

    fn interval(&self) -> u64 {
        self.window.div_ceil(u64::from(self.quota))
    }

    fn max_cost(&self) -> u32 {
        match self.kind {
            Kind::TokenBucket { burst } => burst,
            _ => self.quota,
        }
    }

    /// What the documentation promises of such a stretch, which is no longer than the window.
    fn promised(&self, stretch: u64) -> u64 {
        let quota = u64::from(self.quota);
        match self.kind {
            Kind::FixedWindow => 2 * quota,
            Kind::SlidingLog => quota,
            // N (1 + d), less than 2 N.
            Kind::SlidingCounter => quota + (quota * stretch).div_ceil(self.window) - 1,
            Kind::TokenBucket { burst } => u64::from(burst) + stretch.div_ceil(self.interval()) - 1,
        }
    }
}

/// The most of these times in any stretch of this length.
fn worst_of(times: &[u64], stretch: u64) -> u64 {
    let from =
        |first: usize| times[first..].iter().take_while(|time| **time - times[first] < stretch).count();
    (0..times.len()).map(from).max().unwrap_or(0) as u64
}

/// One request: how long after the one before, as a kind of gap and a number that varies it, and its cost.
#[derive(Clone, Copy, Debug)]
struct Step {
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
        let window_end = now - now % model.window + model.window;
        match kind {
            0..=2 => now + number % 3,
            3 => now + number % model.window,
            4 => now + number % (1 + model.window / 50),
            // The edge of a window of the wall clock, and of one that began with a request.
            5 => (window_end + number % 3 - 1).max(now),
            6 => match model.admitted.iter().rev().nth(usize::from(varied % 8)) {
                Some(time) => (time + model.window + number % 3 - 1).max(now),
                None => now,
            },
            // The moment at which the next one is admitted, or just before.
            7 | 8 => match model.free(now) {
                0 => now + model.wait(now, 1) - number % 2,
                _ => now,
            },
            _ => now + number % (5 * model.window),
        }
    }
}

/// A minute, a day, and lengths that most quotas do not divide.
const WINDOWS: [u64; 4] = [60_000_000, 61_007_000, 86_399_999_000, 86_400_000_000];

struct Bench {
    runtime: tokio::runtime::Runtime,
    clock: VirtualClock,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let scripts = [
            fixed_window::scripts(),
            sliding_log::scripts(),
            sliding_counter::scripts(),
            token_bucket::scripts(),
        ];
        let clock = VirtualClock::new(runtime.block_on(TestConnection::server()), &scripts.concat());
        Self { runtime, clock }
    }

    /// What the limiter answers to a request of this cost at this time.
    fn ask<A: Algorithm>(&self, limiter: &Limiter<VirtualClock, A>, now: u64, cost: u32) -> Answer {
        self.clock.set_us(now);
        let decision = self.runtime.block_on(limiter.admit_many("api_key", cost)).unwrap();
        let wait = decision.retry_after.map(|wait| u64::try_from(wait.as_micros()).unwrap());
        (decision.admitted, decision.remaining, wait)
    }

    fn limiter<A: Algorithm>(&self, quota: u32, burst: u32, window: u64) -> Limiter<VirtualClock, A> {
        let limit = Limit::new("w", quota, Duration::from_micros(window)).with_burst(burst);
        Limiter::new(self.clock.clone(), &prefix(), &[limit], IfUnreachable::Refuse).unwrap()
    }

    /// Those of these times after a full minute that are admitted.
    fn admitted<A: Algorithm>(&self, quota: u32, burst: u32, window: u64, times: &[u64]) -> Vec<u64> {
        let limiter = self.limiter::<A>(quota, burst, window);
        let admits = |at: &u64| self.ask(&limiter, VirtualClock::BEGIN_US + at, 1).0;
        times.iter().copied().filter(admits).collect()
    }

    /// Lets limiter and model answer the same random requests.
    fn compare<A: Algorithm>(&self, kind: impl Fn(u32) -> Kind) {
        let mut runner = TestRunner::new(cases(60));
        let requests = (1_u32..12, 1_u32..9, 0..WINDOWS.len(), steps());
        let result = runner.run(&requests, |(quota, burst, window, steps)| {
            let window = WINDOWS[window];
            let limiter = self.limiter::<A>(quota, burst, window);
            let mut model = Model::new(kind(burst), quota, window);
            let mut now = VirtualClock::BEGIN_US;
            for (number, step) in steps.iter().enumerate() {
                now = step.after(now, &model);
                if model.kind == Kind::FixedWindow {
                    now = now / 1_000 * 1_000;
                }
                let cost = step.cost.min(model.max_cost());
                let mut expected = model.ask(now, cost);
                // The shortest wait that a limiter asks for.
                expected.2 = expected.2.map(|wait| wait.max(1_000));
                prop_assert_eq!(
                    self.ask(&limiter, now, cost),
                    expected,
                    "step {} at {}: {:?}",
                    number,
                    now,
                    model
                );
            }
            for stretch in [window, window / 2, window / 10, 1] {
                let (worst, promised) = (worst_of(&model.admitted, stretch), model.promised(stretch));
                prop_assert!(worst <= promised, "{} in {} of {}, not {}", worst, stretch, window, promised);
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
}

#[test]
fn a_fixed_window_is_as_its_model() {
    Bench::new().compare::<FixedWindowAlgorithm>(|_| Kind::FixedWindow);
}

#[test]
fn a_sliding_log_is_as_its_model() {
    Bench::new().compare::<SlidingLogAlgorithm>(|_| Kind::SlidingLog);
}

#[test]
fn a_sliding_counter_is_as_its_model() {
    Bench::new().compare::<SlidingCounterAlgorithm>(|_| Kind::SlidingCounter);
}

#[test]
fn a_token_bucket_is_as_its_model() {
    Bench::new().compare::<TokenBucketAlgorithm>(|burst| Kind::TokenBucket { burst });
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
    let worst = |admitted: Vec<u64>| [MINUTE, MINUTE / 10].map(|stretch| worst_of(&admitted, stretch));
    // Nine at the end of a window that began after five seconds, and ten when it ends.
    assert_eq!(worst(bench.admitted::<FixedWindowAlgorithm>(10, 10, MINUTE, &times)), [19, 19]);
    assert_eq!(worst(bench.admitted::<SlidingLogAlgorithm>(10, 10, MINUTE, &times)), [10, 10]);
    // Without the first: ten at the end of a minute, and while they are weighted less and less, nine more.
    assert_eq!(worst(bench.admitted::<SlidingCounterAlgorithm>(10, 10, MINUTE, &times[1..])), [19, 10]);
    assert_eq!(worst(bench.admitted::<TokenBucketAlgorithm>(10, 10, MINUTE, &times)), [19, 10]);
    assert_eq!(worst(bench.admitted::<TokenBucketAlgorithm>(10, 3, MINUTE, &times)), [12, 3]);
}
