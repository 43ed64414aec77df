//! What does a record take in memory, by the way it is stored? `cargo bulk memory`

mod access_cost;
mod buckets;
mod codec;
mod codes;
mod columns;
mod compression;
mod document;
mod encoding;
mod indexes;
mod lifetime;
mod limits;
mod memory_usage;
mod report;
mod store;
mod tables;

use std::sync::Arc;

use clap::Args;
use lab_connection::{Connection, Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::measurement::ComparisonResult;
use lab_runner::{Approach, Comparison, Lesson, LessonContext, LessonError, Outcome};

pub use self::access_cost::{ChangeOne, ReadOne, ReadWhole, check_changes};
pub use self::compression::Zstd;
pub use self::document::Values;
pub use self::encoding::Encoding;
pub use self::limits::{Limit, Limits};
pub use self::memory_usage::{Growth, MemoryUsage, kept_as, usage};
pub use self::store::Store;
use crate::keys::Keys;
use crate::people::{People, Record};
use crate::stored::Content;

/// Users that stay in each encoding, to be looked at.
const LEFT: u64 = 10;
/// Users of which some are read and changed when time is measured.
const TIMED: u64 = 1_000;
/// Which encoding is only timed under its setting.
const PACKED: Encoding = Encoding::MessagePackPacked;

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "memory",
    title: "Bytes per record",
    question: "What does a record take in memory, by the way it is stored?",
    commands: &["OBJECT ENCODING", "MEMORY USAGE", "HGET", "LINDEX", "BITFIELD_RO"],
    needs: &[],
    sources: &[lab_runner::source!("src/memory.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx, Options::short())),
};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Users to weigh in each encoding
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,
}

impl Options {
    /// Sizes for the lesson.
    fn short() -> Self {
        Self { records: 2_000 }
    }
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::run_with(&target, &LESSON, output, |ctx| Box::pin(run(ctx, options))).await
}

async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let mut connection = ctx.untraced("TODO");
    let limits = Limits::ask(&mut connection).await?;
    let zstd = Zstd::train(&People::new())?.map(Arc::new);
    let store = Store::new(Keys::new(ctx.prefix()), options.records, limits.bucket(), zstd.clone());
    lifetime::forget(&store, &mut connection).await?;
    lifetime::note(&store, &mut connection).await?;

    let encodings = available(ctx, limits, zstd.is_some());
    report::introduce(ctx, &store, limits).await?;
    let weights = weigh(ctx, &store, limits, &encodings).await?;
    let raw = raw_bytes(&store);
    report::show_bytes(ctx, &store, &weights, raw)?;
    let rates = time(ctx, &store, limits, &encodings).await?;
    report::show_prices(ctx, &store, &weights, raw, &rates);
    let indexes = indexes::weigh(&store, &mut connection).await?;
    report::show_indexes(ctx, &store, &weights, &indexes);

    lifetime::forget(&store, &mut connection).await?;
    let left = store.with_records(LEFT.min(options.records));
    lifetime::note(&left, &mut connection).await?;
    for &encoding in &encodings {
        write(&left, limits, encoding, &mut connection).await?;
    }
    report::look(ctx, &left, &encodings).await
}

/// Bytes of the values alone: no field names, no keys, no framing.
fn raw_bytes(store: &Store) -> u64 {
    let mut record = Record::default();
    let bytes = (1..=store.records()).map(|number| {
        record.write(&store.people().user(number));
        record.raw_bytes() as u64
    });
    bytes.sum()
}

/// The encodings that can be had here; says which are left out, and why.
fn available(ctx: &LessonContext, limits: Limits, zstd: bool) -> Vec<Encoding> {
    let (possible, refused): (Vec<Encoding>, Vec<Encoding>) =
        Encoding::ALL.into_iter().partition(|encoding| limits.possible(*encoding, ctx.target()));
    if !refused.is_empty() {
        let labels: Vec<&str> = refused.iter().map(|encoding| encoding.label()).collect();
        ctx.say(format!(
            "Left out: {}. They need another setting of the server, and a setting is changed only on a server that was \
             started for this run: --server valkey-9.1.",
            labels.join("; ")
        ));
    }
    if !zstd {
        ctx.say(
            "Left out: everything with zstd. This program was built without it; build with --features zstd to see it.",
        );
    }
    possible.into_iter().filter(|encoding| zstd || !encoding.needs_zstd()).collect()
}

async fn write(
    store: &Store,
    limits: Limits,
    encoding: Encoding,
    connection: &mut Connection,
) -> Result<(), LessonError> {
    let writer = &mut connection.clone();
    let work = async { Ok(store.write(encoding, writer).await?) };
    limits.held_for(encoding, connection, work).await
}

async fn weigh(
    ctx: &LessonContext,
    store: &Store,
    limits: Limits,
    encodings: &[Encoding],
) -> Result<Vec<MemoryUsage>, LessonError> {
    let mut connection = ctx.untraced("TODO");
    let expected = Content::expected(store.people(), store.records());
    let growth = match ctx.target().private() {
        Some(_) => Some(Growth::from_now(&mut connection).await?),
        None => None,
    };
    let mut weights = Vec::new();
    for &encoding in encodings {
        let worker = &mut connection.clone();
        let work = MemoryUsage::of(encoding, store, &expected, growth, worker);
        weights.push(limits.held_for(encoding, &mut connection, work).await?);
    }
    ctx.check("each encoding gave back every user as it was", weights.len() == encodings.len())?;
    Ok(weights)
}

/// Reading one field, changing one, reading whole users: by every encoding in turn.
async fn time(
    ctx: &LessonContext,
    store: &Store,
    limits: Limits,
    encodings: &[Encoding],
) -> Result<[ComparisonResult; 3], LessonError> {
    let mut connection = ctx.untraced("TODO");
    let store = store.with_records(TIMED.min(store.records()));
    for &encoding in encodings.iter().filter(|encoding| **encoding != PACKED) {
        write(&store, limits, encoding, &mut connection).await?;
    }
    let mut holder = connection.clone();
    let work = async {
        if encodings.contains(&PACKED) {
            store.write(PACKED, &mut connection).await?;
        }
        for &encoding in encodings {
            let kept = check_changes(&store, encoding, &mut connection).await?;
            if !kept {
                let claim = format!("'{}' changes one field and leaves the others", encoding.label());
                return Err(LessonError::Check(claim));
            }
        }
        ctx.check("each encoding changed one field and left the others as they were", true)?;
        Ok([
            compare(ctx, &store, encodings, ReadOne).await?,
            compare(ctx, &store, encodings, ChangeOne).await?,
            compare(ctx, &store, encodings, ReadWhole).await?,
        ])
    };
    // A longer value written under the usual setting would unpack what is to be timed packed.
    if encodings.contains(&PACKED) { limits.held_for(PACKED, &mut holder, work).await } else { work.await }
}

async fn compare<A: Approach<Input = Store>>(
    ctx: &LessonContext,
    store: &Store,
    encodings: &[Encoding],
    approach: fn(Encoding) -> A,
) -> Result<ComparisonResult, LessonError> {
    let approaches: Vec<A> = encodings.iter().map(|&encoding| approach(encoding)).collect();
    Comparison { title: "", approaches: &approaches, input: store }.measure(ctx.target()).await
}
