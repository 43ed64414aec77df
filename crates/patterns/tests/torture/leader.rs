use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::leader::{self, Candidate, Elections, Standing, Term, Token};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// Short, so that the term of a canceled call is over soon.
const LEASE: Duration = Duration::from_millis(300);
/// Longer than the clock jumps.
const DAYS: Duration = Duration::from_hours(48);

pub const PATTERN: Pattern = Pattern {
    name: "leader",
    workload: |prefix| {
        Box::new(Office { prefix: prefix.to_owned(), seen: Mutex::default(), before: Mutex::default() })
    },
    plain_commands: &["GET", "PTTL"],
    scripts: leader::scripts,
};

struct Office {
    prefix: String,
    seen: Mutex<Seen>,
    /// Who leads all the time, in another election.
    before: Mutex<Option<(Candidate, u64)>>,
}

#[derive(Default)]
struct Seen {
    /// Who leads now, by its own clock.
    leading: Vec<(Token, Term)>,
    /// The token of each term.
    terms: BTreeMap<u64, Token>,
    violation: Option<String>,
}

impl Office {
    fn elections(&self, connection: TestConnection) -> Elections<TestConnection> {
        Elections::new(connection, &self.prefix).with_lease(LEASE)
    }

    fn enter(&self, token: &Token, term: Term) {
        let mut seen = self.seen.lock().unwrap();
        seen.leading.retain(|(other, term)| other != token && term.lease.is_held());
        if term.lease.is_held()
            && let Some(other) = seen.leading.first()
        {
            seen.violation = Some(format!("one leader; found {other:?} and {token} in {term:?}"));
        }
        match seen.terms.insert(term.number, token.clone()) {
            Some(other) if other != *token => {
                seen.violation = Some(format!("a term for one; found {term:?} of {token} and {other}"));
            }
            _ => seen.leading.push((token.clone(), term)),
        }
    }

    async fn count(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let elections = self.elections(connection);
        let (before, term) = self.before.lock().unwrap().clone().ok_or("a leader from the beginning")?;
        let [other, _] = elections.keys("other")?;
        let lost = matches!(fault, Fault::KeyLost(key) if *key == other);
        match elections.campaign("other", &before).await? {
            Standing::Leads(next) if lost == (next.number > term) => {}
            other => return Err(format!("the term {term}, or a later one if lost; found {other:?}").into()),
        }
        // What a canceled or refused call left is over after its lease.
        let checker = Candidate::new("checker")?;
        let won = loop {
            match elections.campaign("reports", &checker).await? {
                Standing::Leads(term) => break term.number,
                Standing::Follows(_) => tokio::time::sleep(LEASE / 10).await,
            }
        };
        elections.resign("reports", &checker).await?;
        let (highest, violation) = {
            let seen = self.seen.lock().unwrap();
            (seen.terms.keys().last().copied().unwrap_or(0), seen.violation.clone())
        };
        match fault {
            Fault::WritesLost => {
                return Ok(Verdict::Contract("A failover may lose the last term that began"));
            }
            Fault::KeyLost(_) if lost => {
                return Ok(Verdict::Contract("another candidate leads at once, with a higher term"));
            }
            _ => {}
        }
        if let Some(violation) = violation {
            return Err(violation.into());
        }
        if won <= highest {
            return Err(format!("a later term than {highest}; found {won}").into());
        }
        Ok(match fault {
            Fault::KeyLost(_) => {
                Verdict::Contract("A lost term begins again at the server's clock in microseconds")
            }
            _ => Verdict::Held,
        })
    }
}

impl Workload for Office {
    fn set_up(&self, connection: TestConnection) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let candidate = Candidate::new("set-up")?;
            let elections = self.elections(connection).with_lease(DAYS);
            let Standing::Leads(term) = elections.campaign("other", &candidate).await? else {
                return Err("the only candidate leads".into());
            };
            *self.before.lock().unwrap() = Some((candidate, term.number));
            Ok(())
        })
    }

    fn call(
        &self,
        connection: TestConnection,
        client: usize,
        call: usize,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let elections = self.elections(connection);
            let token = Token::parse(&format!("client{client}call{call}")).ok_or("a token")?;
            let candidate = Candidate { name: format!("client{client}"), token };
            if let Standing::Leads(term) = elections.campaign("reports", &candidate).await? {
                self.enter(&candidate.token, term);
                elections.leader("reports").await?;
                self.seen.lock().unwrap().leading.retain(|(token, _)| *token != candidate.token);
            }
            elections.resign("reports", &candidate).await?;
            Ok(())
        })
    }

    fn check<'a>(
        &'a self,
        connection: TestConnection,
        fault: &'a Fault,
    ) -> BoxFuture<'a, Result<Verdict, String>> {
        Box::pin(async move { self.count(connection, fault).await.map_err(|error| error.to_string()) })
    }
}
