use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::leader::{self, Candidate, Elections, Standing, Token};

use crate::holders::Holders;
use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// Short, so that the term of a canceled call is over soon.
const LEASE: Duration = Duration::from_millis(300);
/// Longer than the clock jumps.
const DAYS: Duration = Duration::from_hours(48);

pub const PATTERN: Pattern = Pattern {
    name: "leader",
    workload: |prefix| {
        Box::new(Office { prefix: prefix.to_owned(), holders: Mutex::default(), before: Mutex::default() })
    },
    plain_commands: &["GET", "PTTL"],
    scripts: leader::scripts,
};

struct Office {
    prefix: String,
    holders: Mutex<Holders>,
    /// Who leads all the time, in another election.
    before: Mutex<Option<(Candidate, u64)>>,
}

impl Office {
    fn elections(&self, connection: TestConnection) -> Elections<TestConnection> {
        Elections::new(connection, &self.prefix).with_lease(LEASE)
    }
}

impl Workload for Office {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let candidate = Candidate::new("set-up")?;
        let elections = self.elections(connection).with_lease(DAYS);
        let Standing::Leads(term) = elections.campaign("other", &candidate).await? else {
            return Err("the only candidate leads".into());
        };
        *self.before.lock().unwrap() = Some((candidate, term.number));
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let elections = self.elections(connection);
        let token = Token::parse(&format!("client{client}call{call}")).ok_or("a token")?;
        let candidate = Candidate { name: format!("client{client}"), token };
        if let Standing::Leads(term) = elections.campaign("reports", &candidate).await? {
            self.holders.lock().unwrap().enter(&candidate.token, term.number, term.lease);
            elections.leader("reports").await?;
            self.holders.lock().unwrap().leave(&candidate.token);
        }
        elections.resign("reports", &candidate).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
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
        match fault {
            Fault::WritesLost => {
                return Ok(Verdict::Contract("A failover may lose the last term that began"));
            }
            Fault::KeyLost(_) if lost => {
                return Ok(Verdict::Contract("another candidate leads at once, with a higher term"));
            }
            _ => {}
        }
        self.holders.lock().unwrap().check(won)?;
        Ok(match fault {
            Fault::KeyLost(_) => {
                Verdict::Contract("A lost term begins again at the server's clock in microseconds")
            }
            _ => Verdict::Held,
        })
    }
}
