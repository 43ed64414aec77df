//! A load in the background, so that a test can do something to the server meanwhile.

use std::time::Duration;

use bulk_performance::load::{self, Plan, Report};
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::progress::Bar;
use lab_server::{Builder, Server};
use tokio::task::JoinHandle;

/// An opened server.
pub async fn on(url: &str) -> Target {
    TargetArgs::at(url).open().await.unwrap()
}

/// Users, everything read back at the end.
pub fn plan(records: u64) -> Plan {
    Plan { records, ..Plan::default() }
}

/// A server that has after a restart what it acknowledged before.
pub fn keeping_everything() -> Builder {
    Server::builder().config("appendonly", "yes").config("appendfsync", "always")
}

/// A load that runs.
pub struct Underway {
    bar: Bar,
    task: JoinHandle<Result<Report, Failure>>,
}

impl Underway {
    pub fn start(target: Target, plan: Plan) -> Self {
        let bar = Bar::hidden();
        let shown = bar.clone();
        Self { bar, task: tokio::spawn(async move { load::run(&target, &plan, &shown).await }) }
    }

    /// Waits until so many records are acknowledged.
    pub async fn until(&self, records: u64) {
        while self.bar.done() < records {
            assert!(!self.task.is_finished(), "the load ended before {records} records");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    pub async fn end(self) -> Result<Report, Failure> {
        self.task.await.unwrap()
    }
}
