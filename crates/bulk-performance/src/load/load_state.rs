//! What the last load wrote, in a Hash beside the data. It is saved before the first record and after the last, so the next
//! load can remove or resume it.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bulk_loader::Journal;
use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target, own_keys};
use lab_measure::load::Unlink;
use lab_runner::progress::Bar;
use redis::AsyncCommands;

use super::plan::{Kind, LoadPlan};
use super::{failures, retry, stream};
use crate::keys::Keys;
use crate::stored::index_keys;

/// At most this many keys are searched for stray ones; a database with more is probably not for tests.
const MOST_STRAY: usize = 1_000_000;

/// A load that has begun.
pub(crate) struct LoadState {
    key: String,
    /// Where the load keeps how far it has come.
    pub(crate) journal: Journal,
}

/// What the key says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StoredState {
    records: u64,
    indexes: bool,
    /// Commands are numbered differently there.
    cluster: bool,
    load: String,
    done: bool,
}

impl StoredState {
    fn read(fields: &HashMap<String, String>) -> Option<Self> {
        let field = |name: &str| fields.get(name).map(String::as_str);
        Some(Self {
            records: field("records")?.parse().ok()?,
            indexes: field("indexes") == Some("yes"),
            cluster: field("cluster") == Some("yes"),
            load: field("load").unwrap_or_default().to_owned(),
            done: field("state") == Some("done"),
        })
    }

    fn fields(&self) -> [(&'static str, String); 5] {
        let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        [
            ("records", self.records.to_string()),
            ("indexes", word(self.indexes)),
            ("cluster", word(self.cluster)),
            ("load", self.load.clone()),
            ("state", if self.done { "done" } else { "loading" }.to_owned()),
        ]
    }
}

/// Removes what an earlier load left, or finds the one to resume.
pub(crate) async fn prepare(target: &Target, plan: &LoadPlan, bar: &Bar) -> Result<LoadState, Failure> {
    let keys = Keys::new(target.prefix());
    let key = keys.loaded(plan.kind.name());
    let name = &key;
    let read = |mut connection: Connection| async move { connection.hgetall(name).await };
    let stored: HashMap<String, String> =
        retry::until_reachable(target, plan.retry, read).await.map_err(|error| target.explain(&error))?;
    let before = StoredState::read(&stored);
    let load = if plan.resume {
        same_load(before, plan, target)?
    } else {
        remove(target, plan, &keys, before.as_ref(), bar).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = StoredState {
            records: plan.records,
            indexes: plan.indexes,
            cluster: target.is_cluster(),
            load: format!("{:x}{:x}", now.as_nanos(), std::process::id()),
            done: false,
        };
        save(target, plan, &key, &begun.fields()).await?;
        begun.load
    };
    Ok(LoadState { key, journal: Journal { key: keys.journal(plan.kind.name()), load } })
}

/// The load that `--resume` means, when it is the one that was interrupted.
fn same_load(before: Option<StoredState>, plan: &LoadPlan, target: &Target) -> Result<String, Failure> {
    let refuse = |why: String| {
        Failure::new(Class::Usage, "There is no such load to resume.", why)
            .try_next("leave --resume out: a new load removes what the last one wrote")
    };
    let Some(before) = before else {
        let kind = plan.kind.name();
        return Err(refuse(format!("The server has no record of a --kind {kind} load.")));
    };
    if before.done {
        return Err(refuse("The last load is complete.".into()));
    }
    if (before.records, before.indexes, before.cluster) != (plan.records, plan.indexes, target.is_cluster()) {
        let server = if before.cluster { "a cluster" } else { "a single server" };
        let indexes = if before.indexes { " --indexes" } else { "" };
        return Err(refuse(format!(
            "The interrupted load ran on {server} with --records {}{indexes}.",
            before.records
        )));
    }
    Ok(before.load)
}

/// Removes what the last load may have written, and other keys with names that this load is going to write.
async fn remove(
    target: &Target,
    plan: &LoadPlan,
    keys: &Keys,
    before: Option<&StoredState>,
    bar: &Bar,
) -> Result<(), Failure> {
    let pattern = match plan.kind {
        Kind::List => {
            unlink(target, plan, &[keys.biglist_count(), keys.biglist()]).await?;
            return Ok(());
        }
        Kind::Users => {
            unlink(target, plan, &index_keys(keys)).await?;
            keys.users_pattern()
        }
        Kind::Strings => keys.user_texts_pattern(),
    };
    let records = before.map_or(0, |before| before.records);
    // What other lessons, or the shop, left under the same names.
    let pattern = pattern.as_str();
    let find = |mut connection| async move { own_keys::matching(&mut connection, pattern, MOST_STRAY).await };
    let mut stray =
        retry::until_reachable(target, plan.retry, find).await.map_err(|error| target.explain(&error))?;
    stray.retain(|key| keys.number_in(key).is_some_and(|number| number <= plan.records && number > records));
    unlink(target, plan, &stray).await?;
    let source = Unlink { keys: keys.clone(), kind: plan.kind, records, cluster: target.is_cluster() };
    bar.begin(records, "removed");
    match stream::from_the_start(target, plan, source, bar).await {
        Ok(_source) => Ok(()),
        Err(error) => Err(failures::explain(&error, target, plan).await),
    }
}

impl LoadState {
    /// Notes that the load is finished.
    pub(crate) async fn finish(&self, target: &Target, plan: &LoadPlan) -> Result<(), Failure> {
        save(target, plan, &self.key, &[("state", "done".to_owned())]).await
    }
}

async fn save(
    target: &Target,
    plan: &LoadPlan,
    key: &str,
    fields: &[(&'static str, String)],
) -> Result<(), Failure> {
    let write = |mut connection: Connection| async move { connection.hset_multiple(key, fields).await };
    retry::until_reachable(target, plan.retry, write).await.map_err(|error| target.explain(&error))
}

async fn unlink(target: &Target, plan: &LoadPlan, keys: &[impl AsRef<[u8]>]) -> Result<(), Failure> {
    let remove = |mut connection| async move { own_keys::unlink(&mut connection, keys).await };
    retry::until_reachable(target, plan.retry, remove).await.map_err(|error| target.explain(&error))?;
    Ok(())
}
