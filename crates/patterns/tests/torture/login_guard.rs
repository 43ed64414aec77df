//! One address guesses passwords: 30 attempts, then a pause of twenty minutes.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::login_guard::{self, Attempt, Guarded, LoginGuard, LoginRules};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
const ACCOUNT: &str = "ann@example.com";
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_mins(20);

pub const PATTERN: Pattern = Pattern {
    name: "login_guard",
    workload: |prefix| Box::new(Logins { prefix: prefix.to_owned(), allowed: Mutex::default() }),
    plain_commands: &["SET", "UNLINK"],
    scripts: login_guard::scripts,
};

struct Logins {
    prefix: String,
    allowed: Mutex<u32>,
}

impl Logins {
    fn guard(&self, connection: TestConnection) -> LoginGuard<TestConnection> {
        let rules = |attempts, pause| {
            let attempts = NonZeroU32::new(attempts).unwrap();
            LoginRules::new(attempts, pause, pause, Duration::from_hours(1)).unwrap()
        };
        LoginGuard::new(connection, &self.prefix).with_rules(rules(ATTEMPTS, PAUSE), rules(1_000, PAUSE))
    }
}

impl Workload for Logins {
    async fn call(&self, connection: TestConnection, client: usize, _: usize) -> Result<(), Failure> {
        let account = client.is_multiple_of(3).then_some(ACCOUNT);
        let attempt = self.guard(connection.clone()).attempt(ADDRESS, account).await?;
        *self.allowed.lock().unwrap() += u32::from(matches!(attempt, Attempt::Allowed { .. }));
        // Somebody else knows the password.
        let other = IpAddr::from([198, 51, 100, u8::try_from(client).unwrap_or(0)]);
        let _ = self.guard(connection.clone()).attempt(other, None).await?;
        self.guard(connection).succeeded(other, None).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let guard = self.guard(connection.clone());
        let allowed = *self.allowed.lock().unwrap();
        let contract = match fault {
            Fault::KeyLost(key) if key.ends_with(":block") => Some("the pause ends early"),
            Fault::KeyLost(_) | Fault::WritesLost => Some("those attempts are forgotten"),
            Fault::ClockForward => Some("if it is set forward, pauses and memories end early"),
            _ => None,
        };
        let most = if contract.is_some() { 2 * ATTEMPTS } else { ATTEMPTS };
        if allowed > most {
            return Err(format!("at most {most} passwords looked at; found {allowed}").into());
        }
        // Whatever was lost, the address is stopped after at most as many more, and not for longer than the pause.
        let mut wait = None;
        for _ in 0..=ATTEMPTS {
            if let Attempt::Blocked { retry_after } = guard.attempt(ADDRESS, None).await? {
                wait = retry_after;
                break;
            }
        }
        if wait.is_none_or(|wait| wait > PAUSE) {
            return Err(format!("a pause of at most {PAUSE:?}; found {wait:?}").into());
        }
        let keys = guard.keys(Guarded::Address(ADDRESS))?;
        let published: i64 = connection.send(&["PTTL", &keys.published]).await;
        let is_published =
            published > 0 && i128::from(published) <= i128::try_from(PAUSE.as_millis()).unwrap();
        // It is for other programs to read, and is not written again before the next pause.
        let is_lost = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost);
        if !is_published && !is_lost {
            return Err(format!("{} for as long as the pause; found PTTL {published}", keys.published).into());
        }
        guard.succeeded(ADDRESS, Some(ACCOUNT)).await?;
        let again = guard.attempt(ADDRESS, Some(ACCOUNT)).await?;
        if again != (Attempt::Allowed { left: ATTEMPTS - 1, pause: Duration::ZERO }) {
            return Err(format!("all attempts after a success; found {again:?}").into());
        }
        Ok(match contract {
            Some(sentence) if allowed > ATTEMPTS => Verdict::Contract(sentence),
            _ => Verdict::Held,
        })
    }
}
