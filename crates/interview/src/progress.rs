//! What is due when: kept in Redis, on your server or in a file of your own.
//!
//! Two keys: a Sorted Set of the questions by the time at which each is due, and a Hash with what is known of each. A
//! question is named by the [slug](crate::guide::Question::slug) of its title, so that a new number changes nothing.
//!
//! The rule, by the server's clock:
//!
//! | grade | due in | and the next `good` is due in |
//! |---|---|---|
//! | again | a minute | a day |
//! | hard | a day | two days |
//! | good | a day the first time, then twice as long as the last time, half a year at most | twice that |

mod grading;
mod keys;
mod saved;

use std::collections::HashMap;
use std::env;
use std::time::Duration;

use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::Terminal;
use lab_server::Choice;

pub use grading::Grade;
use keys::Keys;
use saved::Saved;

/// The progress of one person.
pub struct Progress {
    target: Target,
    keys: Keys,
    // Last, so that the connections are closed before its server ends.
    saved: Option<Saved>,
}

/// What is due when.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The server's clock, milliseconds since 1970.
    pub now: i64,
    /// When each question that was ever graded is due, by its slug; milliseconds since 1970.
    pub due: HashMap<String, i64>,
}

impl Progress {
    /// Opens it: on the server that was named (by flags or by `REDIS_URL`), else from the file. `choice` is the program
    /// that reads the file.
    pub async fn open(args: &TargetArgs, choice: &Choice) -> Result<Self, Failure> {
        let (target, saved) = if names_a_server(args) {
            let target = args.open().await?;
            Terminal.note(&format!("Progress: {}", target.describe()));
            (target, None)
        } else {
            let (choice, args) = (choice.clone(), args.clone());
            let saved = crate::blocking(move || Saved::open(&choice)).await??;
            let here = TargetArgs { db: args.db, prefix: args.prefix, ..TargetArgs::at(saved.url()) };
            Terminal.note(&format!("Progress: {}", saved.describe()));
            (here.open().await?, Some(saved))
        };
        let keys = Keys::new(target.prefix(), target.is_cluster());
        Ok(Self { target, keys, saved })
    }

    /// What is due when.
    pub async fn standing(&self) -> Result<Standing, Failure> {
        grading::standing(&mut self.target.connection(), &self.keys)
            .await
            .map_err(|error| self.target.explain(&error))
    }

    /// Notes a grade and returns after what time the question is due. It is kept when this returns.
    pub async fn grade(&self, slug: &str, grade: Grade) -> Result<Duration, Failure> {
        let mut connection = self.target.connection();
        let due = grading::grade(&mut connection, &self.keys, slug, grade).await;
        let due = due.map_err(|error| self.target.explain(&error))?;
        if self.saved.is_some() {
            let saved = redis::cmd("SAVE").exec_async(&mut connection).await;
            saved.map_err(|error| self.target.explain(&error))?;
        }
        Ok(due)
    }
}

/// Whether a server was named. One that merely listens on 6379 was not: nobody asked for keys there.
fn names_a_server(args: &TargetArgs) -> bool {
    if args.private || args.server.is_some() || args.server_program.is_some() {
        return false;
    }
    let address = args.url.is_some() || args.host.is_some() || args.port.is_some() || args.cluster;
    let login = args.user.is_some() || args.askpass;
    let tls = args.tls || args.cacert.is_some() || args.cert.is_some() || args.sni.is_some();
    address || login || tls || env::var_os("REDIS_URL").is_some_and(|url| !url.is_empty())
}
