//! A process of the run: it reads its role and plays it.

use std::env;
use std::io;
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use tokio::time::sleep;

use crate::torture::journal::Journal;
use crate::torture::locks::holder;
use crate::torture::role::{Part, Role, VARIABLE};
use crate::torture::{bare, producer, stream, worker};

const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Plays the role that the environment gives, until its end or that of the process that gave it.
pub(crate) async fn run(args: &TargetArgs) -> Result<(), Failure> {
    if let Some(holder) = env::var(holder::VARIABLE).ok().and_then(|text| serde_json::from_str(&text).ok()) {
        return holder::run(&holder).await;
    }
    let given = env::var(VARIABLE).ok().and_then(|text| serde_json::from_str::<Role>(&text).ok());
    let role = given.ok_or_else(|| {
        Failure::new(
            Class::Usage,
            "This command is for 'torture' itself.",
            "It starts its processes with it.",
        )
        .try_next("cargo work torture")
    })?;
    tokio::select! {
        () = end_of_input() => Ok(()),
        ended = play(args, &role) => ended,
    }
}

async fn play(args: &TargetArgs, role: &Role) -> Result<(), Failure> {
    let journal = Journal::open(&role.journal)?;
    let target = open(args).await?;
    match role.part {
        Part::Producer => producer::run(&target, role, &journal).await,
        Part::Worker => worker::run(&target, role, journal).await,
        Part::StreamProducer => stream::produce(&target, role, &journal).await,
        Part::StreamWorker => stream::work(&target, role, journal).await,
        Part::BareProducer => bare::produce(&target, role, &journal).await,
        Part::BareWorker => bare::work(&target, role, &journal).await,
    }
}

/// Opens the server, which may just have been killed.
async fn open(args: &TargetArgs) -> Result<Target, Failure> {
    loop {
        match args.open().await {
            // It may have come back empty, without the marker that says whose data it has: the run writes that again.
            Err(failure)
                if failure.exit_code() == Class::Refused.exit_code()
                    || failure.class() == Class::ForeignData =>
            {
                sleep(BETWEEN_TRIES).await;
            }
            opened => return opened,
        }
    }
}

/// Returns when the process that started this one has ended, however it did.
async fn end_of_input() {
    let reading = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink()));
    let _ = reading.await;
}
