//! Leader: of many processes one leads, for a term with a number, and steps down by itself.
//!
//! The naive way reads who leads, and if nobody does, writes its own name. Two processes read at the same moment, and both
//! lead. SET NX fixes that, but a leader that only looks at its last renewal does not notice that it was stopped for longer than
//! its lease. And one that treats a failed renewal as the end of the program never leads again. Here one script takes the lease
//! or renews it. Each term has a number that is higher than all before it. The leader stops by its own monotonic clock before
//! its lease ends, and goes on as a candidate.
//!
//! No lease keeps a stopped leader from one more write. So use the term as the number of a `fence`: the record refuses a write
//! of an older term.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `leader:reports` | String | `token:term:candidate` of the leader, with the lease as TTL |
//! | `leader:{leader:reports}:term` | String | the highest term so far; gone a week after the last term began |
//!
//! - **Promise**: while a lease lasts, nobody else leads. Each term is higher than all before it. When a leader is lost, a
//!   candidate leads within the lease and 200 ms. A leader that cannot reach the server stops before its lease ends, and leads
//!   again without a restart if nobody else has taken over.
//! - **Cost**: one round trip and at most five commands for each call. A leader renews three times per lease. Another candidate asks as
//!   often, and at the moment at which the lease ends. So after a resignation, the next one leads within a third of the lease.
//! - **Memory**: about 160 bytes for each election.
//! - **Faults**: if the leader's key is lost, another candidate leads at once, with a higher term; the former leader notices at
//!   its next renewal. A lost term begins again at the server's clock in microseconds, so it does not go back, unless that clock
//!   went back by more than the time since then. A failover may lose the last term that began: two candidates then lead, and the
//!   later one has the higher term if the clocks of both servers agree. If the server's clock jumps forward, a lease may end
//!   early. If it is set back, terms still grow. While the server is away, nobody leads for longer than a lease.
//!
//! ```
//! use std::time::Duration;
//! use patterns::leader::Elections;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let elections = Elections::new(connection, "").with_lease(Duration::from_secs(3));
//! let first = elections.stand("reports", "worker-1")?;
//! let term = first.elected().await;
//! let second = elections.stand("reports", "worker-2")?;
//!
//! // Send the term with every write. The work is dropped when the term is over.
//! let done = first.lead(term, async { "the report is written" }).await;
//! assert_eq!(done, Some("the report is written"));
//!
//! first.resign().await?;
//! assert!(second.elected().await > term);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::Future;
use std::time::Duration;

use redis::aio::ConnectionLike;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::key::{Key, check_id};
use crate::lease::{Lease, MAX_LEASE, read_holder, with_jitter};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds};

pub use crate::lease::Token;

/// How long a candidate pauses after an error, at most.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// How long the highest term is kept after it began.
const TERM_TTL: Duration = Duration::from_hours(7 * 24);

const FILE: &str = include_str!("leader.lua");

/// Makes the candidate the leader if there is none, and renews the lease of the leader.
pub static CAMPAIGN: Script = Script::new("leader.lua: campaign", FILE, &["leading", "campaign"]);
/// Ends the lease, for the leader only.
pub static RESIGN: Script = Script::new("leader.lua: resign", FILE, &["leading", "resign"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&CAMPAIGN, &RESIGN])
}

/// Who stands for election: a name for people, and a token that no other process has, even one of the same name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// The name: any text of 1 to 512 bytes.
    pub name: String,
    /// The token.
    pub token: Token,
}

impl Candidate {
    /// A candidate with a new token.
    pub fn new(name: &str) -> Result<Self, LeaderError> {
        check_id(name).map_err(StoreError::from)?;
        Ok(Self { name: name.to_owned(), token: Token::random()? })
    }
}

/// A term of the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Term {
    /// Its number: higher than that of every term before. Send it with every write.
    pub number: u64,
    /// Its lease by the local clock. Work only while it is held.
    pub lease: Lease,
}

/// What a campaign found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The candidate leads.
    Leads(Term),
    /// Another one does.
    Follows(Leader),
}

/// Who leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leader {
    /// The candidate's name.
    pub candidate: String,
    /// The number of the term.
    pub term: u64,
    /// How long the lease lasts, unless it is renewed.
    pub expires_in: Duration,
}

/// The elections under a prefix. All candidates must use the same lease.
#[derive(Clone, Debug)]
pub struct Elections<C> {
    connection: C,
    prefix: String,
    lease: Duration,
}

impl<C: ConnectionLike + Clone> Elections<C> {
    /// Elections with leases of ten seconds.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), lease: Duration::from_secs(10) }
    }

    /// How long a leader leads without renewing: a millisecond to a year. The next one takes over that long after a crash.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease: lease.clamp(Duration::from_millis(1), MAX_LEASE), ..self }
    }

    /// Takes the lease if nobody leads, renews it if the candidate leads, or says who does. One round trip. After a lost reply,
    /// call it again.
    pub async fn campaign(&self, election: &str, candidate: &Candidate) -> Result<Standing, LeaderError> {
        check_id(&candidate.name).map_err(StoreError::from)?;
        let asked = Instant::now();
        let call = CAMPAIGN.call(&self.keys(election)?).arg(candidate.token.as_str()).arg(&candidate.name);
        let call = call.arg(milliseconds(self.lease)).arg(milliseconds(TERM_TTL));
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "LEADS" => {
                Ok(Standing::Leads(Term { number: reply.next()?, lease: Lease::asked_at(asked, self.lease) }))
            }
            "FOLLOWS" => {
                // Another program's key may have no TTL.
                let left: i64 = reply.next()?;
                let expires_in = u64::try_from(left).map_or(self.lease, Duration::from_millis);
                let (term, candidate) = (reply.next()?, reply.next()?);
                Ok(Standing::Follows(Leader { candidate, term, expires_in }))
            }
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Ends the candidate's term; false if it does not lead. One round trip.
    pub async fn resign(&self, election: &str, candidate: &Candidate) -> Result<bool, LeaderError> {
        let [leader, _] = self.keys(election)?;
        let reply: Reply = RESIGN.call(&[leader]).arg(candidate.token.as_str()).run(&self.connection).await?;
        Ok(reply.either("RESIGNED", "NOT_LEADING")?)
    }

    /// Who leads; `None` if nobody does. One round trip of plain commands.
    pub async fn leader(&self, election: &str) -> Result<Option<Leader>, StoreError> {
        let [leader, _] = self.keys(election)?;
        let holder = read_holder(&self.connection, &leader).await?;
        Ok(holder.map(|(term, candidate, expires_in)| Leader { candidate, term, expires_in }))
    }

    /// The keys of an election: the leader, and the highest term.
    pub fn keys(&self, election: &str) -> Result<[String; 2], StoreError> {
        let key = Key::new(&self.prefix, "leader", &[election])?;
        Ok([key.as_str().to_owned(), key.companion("term")])
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Elections<C> {
    /// Stands for election under this name until the candidacy is dropped: a task of tokio's campaigns, renews, and after a lost
    /// term campaigns again.
    pub fn stand(&self, election: &str, name: &str) -> Result<Candidacy<C>, LeaderError> {
        let candidate = Candidate::new(name)?;
        self.keys(election)?;
        let (report, status) = watch::channel(Status::default());
        let campaign = keep_campaigning(self.clone(), election.to_owned(), candidate.clone(), report);
        let campaign = tokio::spawn(campaign);
        Ok(Candidacy { elections: self.clone(), election: election.to_owned(), candidate, status, campaign })
    }
}

/// What the task of a candidacy reports.
#[derive(Clone, Debug, Default)]
struct Status {
    /// The last term. It is over when its lease is.
    term: Option<Term>,
    /// Why the last call failed, if it did.
    error: Option<String>,
}

/// A candidate that leads whenever it can. A candidacy that is dropped stops, and its term ends with the lease.
#[derive(Debug)]
pub struct Candidacy<C> {
    elections: Elections<C>,
    election: String,
    candidate: Candidate,
    status: watch::Receiver<Status>,
    campaign: JoinHandle<()>,
}

impl<C> Candidacy<C> {
    /// The number of the term if the candidate leads now, by the local clock. The next statement may already be too late, so
    /// fence every write.
    #[must_use]
    pub fn term(&self) -> Option<u64> {
        let status = self.status.borrow();
        status.term.filter(|term| term.lease.is_held()).map(|term| term.number)
    }

    /// Waits until the candidate leads, and returns the number of the term.
    pub async fn elected(&self) -> u64 {
        let mut watched = self.status.clone();
        loop {
            watched.mark_unchanged();
            if let Some(term) = self.term() {
                return term;
            }
            if watched.changed().await.is_err() {
                // The task has ended, and nobody can lead anymore.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the term with this number is over. Returns at once if it is.
    pub async fn over(&self, term: u64) {
        let mut watched = self.status.clone();
        loop {
            let current = watched.borrow_and_update().term;
            let current = current.filter(|current| current.number == term && current.lease.is_held());
            let Some(Term { lease, .. }) = current else { return };
            tokio::select! {
                () = lease.ended() => {}
                changed = watched.changed() => if changed.is_err() {
                    return lease.ended().await;
                }
            }
        }
    }

    /// Runs `work`, and drops it when the term is over: `None`. Work that does not await goes on to its next await.
    pub async fn lead<T>(&self, term: u64, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.over(term) => None,
            output = work => Some(output),
        }
    }

    /// Why the last call to the server failed; `None` if it did not.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.status.borrow().error.clone()
    }
}

impl<C: ConnectionLike + Clone> Candidacy<C> {
    /// Stops campaigning, and ends the term, so that the next candidate need not wait for the lease; false if it did not lead.
    pub async fn resign(mut self) -> Result<bool, LeaderError> {
        self.campaign.abort();
        let _stopped = (&mut self.campaign).await;
        self.elections.resign(&self.election, &self.candidate).await
    }
}

impl<C> Drop for Candidacy<C> {
    fn drop(&mut self) {
        self.campaign.abort();
    }
}

async fn keep_campaigning<C: ConnectionLike + Clone>(
    elections: Elections<C>,
    election: String,
    candidate: Candidate,
    report: watch::Sender<Status>,
) {
    let often = elections.lease / 3;
    let mut term: Option<Term> = None;
    loop {
        // A server that does not answer must not hide that the term is over.
        let latest = term.filter(|term| term.lease.is_held()).map(|term| term.lease.ends());
        let latest = latest.unwrap_or(Instant::now() + elections.lease);
        let campaign = timeout_at(latest, elections.campaign(&election, &candidate)).await;
        let (pause, error) = match campaign {
            Ok(Ok(Standing::Leads(won))) => {
                term = Some(won);
                (often, None)
            }
            Ok(Ok(Standing::Follows(leader))) => {
                term = None;
                (with_jitter(often).min(leader.expires_in + Duration::from_millis(1)), None)
            }
            // The term goes on until its lease ends.
            Ok(Err(error)) => (with_jitter(ERROR_PAUSE.min(often)), Some(error.to_string())),
            Err(_) => (with_jitter(ERROR_PAUSE.min(often)), Some("the server does not answer".to_owned())),
        };
        report.send_replace(Status { term, error });
        sleep(pause).await;
    }
}

/// Why nobody was elected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaderError {
    /// The operating system has no random bits.
    #[error("no random token: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// Redis, or the data in it. After a connection error, call again.
    #[error(transparent)]
    Store(#[from] StoreError),
}
