//! Guests log in, change what their session holds, get new tokens, and log out, here and everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::sessions::{self, SessionError, Sessions};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// The call with which a client ends all sessions of its user so far.
const ENDS_ALL: usize = 1;

pub const PATTERN: Pattern = Pattern {
    name: "sessions",
    workload: |prefix| Box::new(Visitors { prefix: prefix.to_owned(), known: Mutex::default() }),
    plain_commands: &["HGETALL", "PEXPIRE", "PTTL", "GET", "TIME", "ZRANGE", "UNLINK"],
    scripts: sessions::scripts,
};

struct Visitors {
    prefix: String,
    known: Mutex<Known>,
}

/// What was acknowledged.
#[derive(Default)]
struct Known {
    /// Whose, and the token.
    alive: BTreeSet<(usize, String)>,
    ended: BTreeSet<String>,
    /// The token that each call has got.
    cookies: BTreeMap<(usize, usize), String>,
    /// Sessions that ended although no call had ended them.
    missed: usize,
}

impl Visitors {
    fn sessions(&self, connection: TestConnection) -> Sessions<TestConnection> {
        Sessions::new(connection, &self.prefix)
    }

    async fn change_and_read(
        &self,
        sessions: &Sessions<TestConnection>,
        token: &str,
        call: usize,
    ) -> Result<(), SessionError> {
        let visits = call.to_string();
        let (theme, visits) = ([("theme", "dark")], [("visits", visits.as_str())]);
        tokio::try_join!(sessions.set(token, &theme), sessions.set(token, &visits))?;
        let session = sessions.read(token).await?.ok_or(SessionError::NoSession)?;
        // Both changes, and what the guest had.
        if session.fields.len() == 3 { Ok(()) } else { Err(SessionError::TooManyFields) }
    }

    /// A call that failed goes on where it was: the visitor has a cookie.
    async fn visit(
        &self,
        sessions: &Sessions<TestConnection>,
        client: usize,
        call: usize,
    ) -> Result<(), SessionError> {
        let (user, guest) = (format!("user{client}"), format!("guest{client}_{call}"));
        let cookie = self.known.lock().unwrap().cookies.get(&(client, call)).cloned();
        let is_retry = cookie.is_some();
        let mut token = if let Some(token) = cookie {
            token
        } else {
            // An earlier attempt may have begun it.
            sessions.begin_as(&guest, &[("currency", "EUR")]).await?;
            let token = sessions.login(&guest, &user).await?.session.token;
            let mut known = self.known.lock().unwrap();
            known.ended.insert(guest);
            known.cookies.insert((client, call), token.clone());
            token
        };
        // An earlier attempt may have ended it already.
        if !(is_retry && matches!(call, ENDS_ALL | 4)) {
            self.change_and_read(sessions, &token, call).await?;
        }
        match call {
            3 => {
                // If the reply is lost, the user has to log in again.
                self.known.lock().unwrap().cookies.remove(&(client, call));
                let rotated = sessions.rotate(&token).await?;
                self.known.lock().unwrap().ended.insert(std::mem::replace(&mut token, rotated));
                self.known.lock().unwrap().alive.insert((client, token));
            }
            4 => {
                sessions.end(&token).await?;
                self.known.lock().unwrap().ended.insert(token);
            }
            ENDS_ALL => {
                sessions.end_everywhere(&user).await?;
                let mut known = self.known.lock().unwrap();
                known.ended.insert(token);
                let alive = std::mem::take(&mut known.alive);
                for (whose, token) in alive {
                    if whose == client {
                        known.ended.insert(token);
                    } else {
                        known.alive.insert((whose, token));
                    }
                }
            }
            _ => {
                self.known.lock().unwrap().alive.insert((client, token));
            }
        }
        Ok(())
    }
}

impl Workload for Visitors {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        match self.visit(&self.sessions(connection), client, call).await {
            Err(SessionError::NoSession | SessionError::EndedMeanwhile) => {
                self.known.lock().unwrap().missed += 1;
                Ok(())
            }
            ended => Ok(ended?),
        }
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let sessions = self.sessions(connection.clone());
        let is_alive = async |token: &str| sessions.read(token).await.map(|session| session.is_some());
        let (alive, ended, mut missed) = {
            let mut known = self.known.lock().unwrap();
            (std::mem::take(&mut known.alive), std::mem::take(&mut known.ended), known.missed)
        };
        let mut back = 0;
        for token in &ended {
            back += usize::from(is_alive(token).await?);
        }
        for (_, token) in &alive {
            missed += usize::from(!is_alive(token).await?);
        }
        // Not stuck: a login, and an end that ends what is listed and what is not.
        for client in 0..3 {
            let user = format!("user{client}");
            let mut tokens: Vec<String> =
                alive.iter().filter(|(whose, _)| *whose == client).map(|(_, token)| token.clone()).collect();
            tokens.push(sessions.login("last", &user).await?.session.token);
            if !is_alive(&tokens[tokens.len() - 1]).await? {
                return Err("expected a new session; found none".into());
            }
            sessions.end_everywhere(&user).await?;
            sessions.login("last", &user).await?;
            for token in tokens {
                if is_alive(&token).await? {
                    return Err(format!("expected no session after the end of all; found {token}").into());
                }
            }
            let _ = sessions.end_everywhere(&user).await;
            // The next user logs in from another guest's session.
            let _: i64 = connection.send(&["DEL", &format!("{}session:last", self.prefix)]).await;
        }
        if back > 0 && *fault != Fault::WritesLost {
            return Err(format!("expected {} ended sessions; found {back} of them alive", ended.len()).into());
        }
        Ok(match fault {
            Fault::WritesLost if back + missed > 0 => Verdict::Contract(
                "a new session is gone, and an ended session may be alive again until it is ended again or its time is over",
            ),
            Fault::KeyLost(_) if missed > 0 => Verdict::Contract(
                "if a session or a user's generation is evicted or lost, the session has ended",
            ),
            Fault::ClockForward if missed > 0 => {
                Verdict::Contract("a session that has less time left than that ends")
            }
            _ if missed > 0 => {
                return Err(
                    format!("expected {} sessions; found {missed} ended by no call", alive.len()).into()
                );
            }
            _ => Verdict::Held,
        })
    }
}
