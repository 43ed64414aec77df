//! Runs a source through the loader, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bulk_loader::{Endpoint, Journal, LoadError, Loaded, Loader, Source};
use lab_connection::{Failure, Target};
use lab_measure::load::{Indexes, ListElements, Strings, Users};
use lab_runner::Terminal;
use lab_runner::progress::Bar;
use lab_runner::resource_usage::Stopwatch;
use lab_runner::table::thousands;
use tokio::task::spawn_blocking;

use super::failures;
use super::plan::{Kind, LoadPlan, Writing};
use super::report::Report;
use super::restore::prove_restore;
use crate::keys::Keys;

/// Writes the records of a plan.
pub(crate) async fn records(
    target: &Target,
    plan: &LoadPlan,
    journal: Journal,
    bar: &Bar,
) -> Result<Report, Failure> {
    let keys = Keys::new(target.prefix());
    bar.begin(plan.records, plan.kind.name());
    let ended = match plan.kind {
        Kind::Users => users(target, plan, &keys, journal, bar).await,
        Kind::Strings => {
            let source = Strings::new(keys, plan.records, target.is_cluster());
            let command = source.command();
            timed(target, plan, Some(journal), source, bar, command).await
        }
        Kind::List => timed(target, plan, None, ListElements::new(&keys, plan.records), bar, "LPUSH").await,
    };
    match ended {
        Ok(report) => Ok(report),
        Err(error) => Err(failures::explain(&error, target, plan).await),
    }
}

async fn users(
    target: &Target,
    plan: &LoadPlan,
    keys: &Keys,
    journal: Journal,
    bar: &Bar,
) -> Result<Report, LoadError> {
    let dump = match plan.writing {
        Writing::Hset => None,
        Writing::Auto => prove_restore(plan, keys, target)
            .await
            .inspect_err(|why| Terminal.note(&format!("Users are written with HSET: {why}.")))
            .ok(),
    };
    let source = |dump| {
        let indexes = plan.indexes.then(|| Indexes::writes(keys.clone(), plan.records));
        Users::new(keys.clone(), plan.records, dump).with_indexes(indexes)
    };
    let (restores, command) = (dump.is_some(), if dump.is_some() { "RESTORE" } else { "HSET" });
    match timed(target, plan, Some(journal.clone()), source(dump), bar, command).await {
        // A cluster may have nodes of several versions; what one of them does not take, HSET does.
        Err(LoadError::Rejected { record, error }) if restores && is_about_restore(&error) => {
            Terminal.note(&format!("{record} was refused as RESTORE ({error}); going on with HSET."));
            let again = LoadPlan { resume: true, ..plan.clone() };
            timed(target, &again, Some(journal), source(None), bar, "HSET").await
        }
        ended => ended,
    }
}

/// What a node says that does not take RESTORE, or not of this version.
fn is_about_restore(error: &str) -> bool {
    ["DUMP payload", "Bad data format", "NOPERM", "unknown command", "unknown or disabled"]
        .iter()
        .any(|said| error.contains(said))
}

async fn timed<S: Source + Send + 'static>(
    target: &Target,
    plan: &LoadPlan,
    journal: Option<Journal>,
    source: S,
    bar: &Bar,
    command: &'static str,
) -> Result<Report, LoadError> {
    let with_journal = Loader { journal, ..loader(target, plan)? };
    let watch = Stopwatch::start(target).await;
    let (loaded, _source) = run(with_journal, source, bar, target.private().is_none()).await?;
    Ok(Report::new(&loaded, watch.stop().await, command))
}

/// A loader for a target.
fn loader(target: &Target, plan: &LoadPlan) -> Result<Loader, LoadError> {
    let refused = |error: String| LoadError::Refused { address: target.address().to_owned(), error };
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "TLS is added to it"))]
    let mut endpoint = Endpoint::from_info(target.connection_info(), target.is_cluster())
        .ok_or_else(|| refused("this kind of address is not known".into()))?;
    #[cfg(feature = "tls")]
    if let Some(config) = target.tls_config().map_err(|failure| refused(failure.to_string()))? {
        endpoint.use_tls(config, target.real_host());
    }
    Ok(Loader {
        connections: plan.connections,
        resume: plan.resume,
        max_downtime: plan.retry,
        ..Loader::new(endpoint)
    })
}

/// Runs a source from its beginning, with nothing to resume, and gives it back.
pub(crate) async fn from_the_start<S: Source + Send + 'static>(
    target: &Target,
    plan: &LoadPlan,
    source: S,
    bar: &Bar,
) -> Result<S, LoadError> {
    let loader = Loader { resume: false, ..loader(target, plan)? };
    run(loader, source, bar, false).await.map(|(_loaded, source)| source)
}

/// Runs a loader on a thread of its own and gives the source back. When the future is dropped, because of Ctrl-C say, the
/// loader is told to stop, and gets a moment to take in the replies to what it sent.
async fn run<S: Source + Send + 'static>(
    mut loader: Loader,
    mut source: S,
    bar: &Bar,
    can_be_resumed: bool,
) -> Result<(Loaded, S), LoadError> {
    let stop = Arc::new(AtomicBool::new(false));
    loader.stop = Arc::clone(&stop);
    let (sender, acknowledged) = channel();
    let mut stop_on_drop = StopOnDrop { stop, acknowledged, can_be_resumed, done: false };
    let bar = bar.clone();
    let loading = spawn_blocking(move || {
        let ended = lab_measure::load::run(&loader, &mut source, &mut |progress| bar.set(progress.records));
        if let Err(LoadError::Stopped { acknowledged }) = &ended {
            // Nobody may be listening any more.
            let _ = sender.send(source.records_before(*acknowledged));
        }
        ended.map(|loaded| (loaded, source))
    });
    let ended = loading.await;
    stop_on_drop.done = true;
    ended.map_err(|error| LoadError::System(std::io::Error::other(error)))?
}

struct StopOnDrop {
    stop: Arc<AtomicBool>,
    acknowledged: Receiver<u64>,
    can_be_resumed: bool,
    done: bool,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.stop.store(true, Ordering::Relaxed);
        if let Ok(records) = self.acknowledged.recv_timeout(Duration::from_secs(12))
            && self.can_be_resumed
        {
            Terminal.note(&format!(
                "{} records are acknowledged. The same command with --resume goes on from there.",
                thousands(records as f64)
            ));
        }
    }
}
