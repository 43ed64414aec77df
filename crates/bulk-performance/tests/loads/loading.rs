//! A load in the background, so that a test can do something to the server meanwhile.

use std::time::Duration;

use bulk_performance::load::{self, LoadPlan, Report};
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::progress::Bar;
use lab_server::{Builder, Server};
use tokio::task::JoinHandle;

use crate::relay::Relay;

/// An opened server.
pub async fn on(url: &str) -> Target {
    TargetArgs::at(url).open().await.unwrap()
}

/// Users, everything read back at the end.
pub fn plan(records: u64) -> LoadPlan {
    LoadPlan { records, ..LoadPlan::default() }
}

/// Loads, and reads everything back.
pub async fn run(target: &Target, plan: &LoadPlan) -> Result<Report, Failure> {
    load::run(target, plan, &Bar::hidden()).await
}

/// Reads back what a load wrote, and names the first record that is not right.
pub async fn first_wrong(target: &Target, plan: &LoadPlan) -> Option<String> {
    let checked = load::check::everything(target, plan, &Bar::hidden()).await.unwrap();
    checked.wrong.map(|wrong| wrong.record)
}

/// A server that has after a restart what it acknowledged before. It is slower than the command because of that. How far a load has come
/// is written down only when replies are read, and while the server is the faster one, that is late; and a signal is to arrive while there
/// is still something to write.
pub fn keeping_everything() -> Builder {
    Server::builder().config("appendonly", "yes").config("appendfsync", "always")
}

/// Ends all connections but the one that this takes.
pub fn kill_connections(server: &Server) {
    let mut admin = server.client().get_connection().unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut admin).unwrap();
}

/// A load that runs.
pub struct Underway {
    bar: Bar,
    task: JoinHandle<Result<Report, Failure>>,
    relay: Option<Relay>,
}

impl Underway {
    pub fn start(target: Target, plan: LoadPlan) -> Self {
        let bar = Bar::hidden();
        let shown = bar.clone();
        let task = tokio::spawn(async move { load::run(&target, &plan, &shown).await });
        Self { bar, task, relay: None }
    }

    /// A load that does nothing but what the test waits for, until it is to go on: it cannot be over too early.
    pub async fn held(server: &Server, plan: LoadPlan) -> Self {
        let (relay, url) = Relay::in_front_of(server);
        Self::held_by(relay, on(&url).await, plan)
    }

    /// The same for a target that was opened through this relay.
    pub fn held_by(relay: Relay, target: Target, plan: LoadPlan) -> Self {
        relay.hold();
        Self { relay: Some(relay), ..Self::start(target, plan) }
    }

    /// Waits until so many records are acknowledged.
    pub async fn until(&self, records: u64) {
        self.until_so(|| self.bar.done() >= records).await;
    }

    /// Waits for a condition.
    pub async fn until_so(&self, mut condition: impl FnMut() -> bool) {
        while !condition() {
            assert!(!self.task.is_finished(), "the load ended too early");
            if let Some(relay) = &self.relay {
                relay.let_pass(1);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets it go on to its end.
    pub async fn end(self) -> Result<Report, Failure> {
        if let Some(relay) = &self.relay {
            relay.open();
        }
        self.task.await.unwrap()
    }
}
