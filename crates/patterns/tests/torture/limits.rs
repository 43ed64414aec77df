//! The four limiters. 50 requests of one caller in half an hour, and 55 in an hour; some of them are refunded.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lab_testing::TestConnection;
use patterns::fixed_window::{self, FixedWindowAlgorithm};
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::{self, SlidingCounterAlgorithm};
use patterns::sliding_log::{self, SlidingLogAlgorithm};
use patterns::token_bucket::{self, TokenBucketAlgorithm};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const CALLER: &str = "api_key";
const QUOTA: u32 = 50;
const WINDOW: Duration = Duration::from_mins(30);
const FORGOTTEN: &str = "those requests are forgotten, and a caller can have as many again";

pub const FIXED_WINDOW: Pattern = Pattern {
    name: "fixed_window",
    workload: |prefix| {
        let (lost, forward) = (FORGOTTEN, "if it is set forward, windows end early");
        Box::new(Requests::<FixedWindowAlgorithm>::new(prefix, lost, forward))
    },
    plain_commands: &[],
    scripts: fixed_window::scripts,
};

pub const SLIDING_LOG: Pattern = Pattern {
    name: "sliding_log",
    workload: |prefix| {
        let (lost, forward) = (FORGOTTEN, "if it is set forward, it is over");
        Box::new(Requests::<SlidingLogAlgorithm>::new(prefix, lost, forward))
    },
    plain_commands: &[],
    scripts: sliding_log::scripts,
};

pub const SLIDING_COUNTER: Pattern = Pattern {
    name: "sliding_counter",
    workload: |prefix| {
        let (lost, forward) = (FORGOTTEN, "if it is set forward, it is over");
        Box::new(Requests::<SlidingCounterAlgorithm>::new(prefix, lost, forward))
    },
    plain_commands: &[],
    scripts: sliding_counter::scripts,
};

pub const TOKEN_BUCKET: Pattern = Pattern {
    name: "token_bucket",
    workload: |prefix| {
        let lost = "the bucket is full again or has those tokens back";
        Box::new(Requests::<TokenBucketAlgorithm>::new(
            prefix,
            lost,
            "if it is set forward, the bucket is full",
        ))
    },
    plain_commands: &[],
    scripts: token_bucket::scripts,
};

struct Requests<A> {
    prefix: String,
    /// The sentences of the contract on lost data and on a clock set forward.
    lost: &'static str,
    forward: &'static str,
    began: Instant,
    admitted: Mutex<u32>,
    /// Refunds that may have been made.
    refunds: Mutex<BTreeSet<String>>,
    algorithm: PhantomData<A>,
}

impl<A: Algorithm> Requests<A> {
    fn new(prefix: &str, lost: &'static str, forward: &'static str) -> Self {
        let (began, prefix) = (Instant::now(), prefix.to_owned());
        let (admitted, refunds) = (Mutex::default(), Mutex::default());
        Self { prefix, lost, forward, began, admitted, refunds, algorithm: PhantomData }
    }

    fn limiter(&self, connection: TestConnection) -> Limiter<TestConnection, A> {
        let limits = [Limit::new("short", QUOTA, WINDOW), Limit::new("long", QUOTA + 5, 2 * WINDOW)];
        Limiter::new(connection, &self.prefix, &limits, IfUnreachable::Refuse).unwrap()
    }

    /// The most that may have been admitted if nothing was lost.
    fn promised(&self) -> u32 {
        let passed = self.began.elapsed().as_secs_f64() / WINDOW.as_secs_f64();
        match std::any::type_name::<A>() {
            name if name.contains("TokenBucket") || name.contains("SlidingCounter") => {
                // More than 0, and far below 2^32.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
                let more = (f64::from(QUOTA) * passed).ceil() as u32;
                QUOTA + more
            }
            _ => QUOTA,
        }
    }
}

impl<A: Algorithm> Workload for Requests<A> {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let limiter = self.limiter(connection);
        let decision = limiter.admit(CALLER).await?;
        if let Some(error) = decision.unreachable {
            return Err(error.into());
        }
        if decision.admitted {
            *self.admitted.lock().unwrap() += 1;
            if (client + call).is_multiple_of(7) {
                let id = format!("{client}-{call}");
                self.refunds.lock().unwrap().insert(id.clone());
                limiter.refund(CALLER, &decision, &id).await?;
            }
        }
        limiter.peek(CALLER, 1).await?.unreachable.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let limiter = self.limiter(connection);
        let state = limiter.peek(CALLER, 1).await?;
        let used = [QUOTA - state.limits[0].remaining, QUOTA + 5 - state.limits[1].remaining];
        let net = *self.admitted.lock().unwrap() - u32::try_from(self.refunds.lock().unwrap().len()).unwrap();
        let contract = match fault {
            Fault::KeyLost(_) | Fault::WritesLost => Some(self.lost),
            Fault::ClockForward => Some(self.forward),
            _ => None,
        };
        // The windows are longer than the test, so both limits have counted the same, but for what has come back since.
        if contract.is_none() && *fault != Fault::ClockBack && used[0].abs_diff(used[1]) > 1 {
            return Err(format!("both limits have counted the same; found {used:?}").into());
        }
        if state.retry_after.is_some_and(|wait| wait > 4 * WINDOW) {
            return Err(format!("no wait of more than two windows; found {:?}", state.retry_after).into());
        }
        let promised = self.promised();
        let most = if contract.is_some() { 2 * promised } else { promised };
        if net > most {
            return Err(format!("at most {most} admitted; found {net}").into());
        }
        limiter.reset(CALLER).await?;
        let again = limiter.admit(CALLER).await?;
        if !again.admitted || again.remaining != QUOTA - 1 {
            return Err(format!("the whole limit after a reset; found {again:?}").into());
        }
        Ok(match contract {
            Some(sentence) if net > promised => Verdict::Contract(sentence),
            _ => Verdict::Held,
        })
    }
}
