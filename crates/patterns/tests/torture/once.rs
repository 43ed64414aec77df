use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::once::{self, Begun, Once, OnceError, Token};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// Short, so that the key of a canceled or refused call is free soon.
const LEASE: Duration = Duration::from_millis(300);
/// Longer than the clock jumps.
const DAYS: Duration = Duration::from_hours(48);

pub const PATTERN: Pattern = Pattern {
    name: "once",
    workload: |prefix| Box::new(Payments { prefix: prefix.to_owned(), seen: Mutex::default() }),
    plain_commands: &[],
    scripts: once::scripts,
};

struct Payments {
    prefix: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The tokens that were told that they are the first.
    first: BTreeMap<String, BTreeSet<String>>,
    /// The answers that callers got.
    answers: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Payments {
    fn once(&self, connection: TestConnection) -> Once<TestConnection> {
        Once::new(connection, &self.prefix).with_lease(LEASE).with_kept(DAYS)
    }

    fn answered(&self, key: &str, answer: Vec<u8>) {
        self.seen.lock().unwrap().answers.entry(key.to_owned()).or_default().insert(answer);
    }
}

impl Workload for Payments {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let once = self.once(connection);
        let key = format!("order{}-{call}", client % 3);
        let token = Token::parse(&format!("client{client}call{call}")).ok_or("a token")?;
        // One of the callers finds out that it can do nothing.
        if client % 3 == 2 && client > 5 {
            once.give_up(&key, &token).await?;
        }
        loop {
            match once.begin(&key, &token, key.as_bytes()).await? {
                Begun::Started { attempt } => {
                    if attempt == 1 {
                        let mut seen = self.seen.lock().unwrap();
                        seen.first.entry(key.clone()).or_default().insert(token.to_string());
                    }
                    match once.finish(&key, &token, key.as_bytes(), token.as_str().as_bytes()).await {
                        Ok(answer) => break self.answered(&key, answer),
                        Err(OnceError::Lost) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Begun::InProgress { retry_in } => {
                    tokio::time::sleep(retry_in.min(Duration::from_millis(10))).await;
                }
                Begun::Done(answer) => break self.answered(&key, answer),
            }
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let once = self.once(connection);
        let (answers, first) = {
            let seen = self.seen.lock().unwrap();
            (seen.answers.clone(), seen.first.clone())
        };
        let forgetful = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost);
        for (key, answers) in &answers {
            let begun = once.begin(key, &Token::random()?, key.as_bytes()).await?;
            let stored = matches!(&begun, Begun::Done(answer) if answers.contains(answer));
            if !forgetful && (!stored || answers.len() > 1) {
                return Err(format!("one answer for {key}; found {answers:?} and {begun:?}").into());
            }
            let other = once.begin(key, &Token::random()?, b"another request").await;
            if !matches!(other, Err(OnceError::OtherRequest)) {
                return Err(format!("a refusal of another request; found {other:?}").into());
            }
        }
        if let Some((key, tokens)) = first.iter().find(|(_, tokens)| tokens.len() > 1)
            && !forgetful
        {
            return Err(format!("one first caller of {key}; found {tokens:?}").into());
        }
        Ok(match fault {
            Fault::KeyLost(_) => Verdict::Contract("the request is new: it may run again"),
            Fault::WritesLost => Verdict::Contract("A failover may forget the last answers that were stored"),
            _ => Verdict::Held,
        })
    }
}
