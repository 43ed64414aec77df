//! What the benches share: a private server, and a way to bench the approaches of a comparison. The benches
//! themselves are in `benches/`; all of them run with `cargo bench`, and with `cargo bench -- --test` once each,
//! untimed.

mod passes;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target, TargetArgs};
use lab_runner::{Approach, Comparison, LessonError, Terminal};
use tokio::runtime::Runtime;

pub use self::passes::Passes;
use self::passes::explain;

/// Runs benches on a private server, and turns what goes wrong into an exit code.
pub fn main(benches: impl FnOnce(&Bench, &mut Criterion) -> Result<(), Failure>) -> ExitCode {
    without_server(|criterion| benches(&Bench::start()?, criterion))
}

/// The same for benches of what the client does by itself.
pub fn without_server(benches: impl FnOnce(&mut Criterion) -> Result<(), Failure>) -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    let ended = benches(&mut criterion);
    criterion.final_summary();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            Terminal.note(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// A private server that is gone when the benches end, and a runtime to talk to it.
pub struct Bench {
    runtime: Runtime,
    target: Target,
}

impl Bench {
    /// Starts the server; `REDIS_LAB_SERVER` says which release.
    fn start() -> Result<Self, Failure> {
        let runtime = Runtime::new()
            .map_err(|error| Failure::new(Class::Other, "No runtime could be started.", error.to_string()))?;
        let target = runtime.block_on(TargetArgs::private().open())?;
        Ok(Self { runtime, target })
    }

    /// Whether the server knows this command.
    #[must_use]
    pub fn can(&self, command: &str) -> bool {
        self.runtime.block_on(self.target.can(command))
    }

    /// The server.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Waits for something that is not timed, such as preparing or clearing away.
    ///
    /// # Errors
    ///
    /// That of `work`, explained.
    pub fn wait_for<T>(&self, work: impl Future<Output = Result<T, LessonError>>) -> Result<T, Failure> {
        self.runtime.block_on(work).map_err(|error| explain(error, &self.target))
    }

    /// Passes of `pass`, which brings its data into the state that it starts from, does its work, and tells how long
    /// the work alone took.
    pub fn passes<F: AsyncFnMut() -> Result<Duration, LessonError>>(&self, pass: F) -> Passes<'_, F> {
        Passes { runtime: &self.runtime, target: &self.target, pass, failed: None }
    }

    /// Benches approaches that were found to do the same thing. A pass runs what one run of the lesson runs, so the
    /// throughput counts its operations.
    ///
    /// # Errors
    ///
    /// When the approaches disagree, or the server does.
    pub fn approaches<A: Approach + 'static>(
        &self,
        criterion: &mut Criterion,
        comparison: &Comparison<'_, A>,
    ) -> Result<(), Failure> {
        let connection = self.target.connection();
        self.wait_for(comparison.verify(&connection))?;
        let mut group = criterion.benchmark_group(comparison.title);
        for &approach in comparison.approaches {
            group.throughput(Throughput::Elements(approach.operations(comparison.input)));
            self.approach(&mut group, approach, comparison.input, &connection)?;
        }
        group.finish();
        Ok(())
    }

    /// Every pass starts from the same state: an approach that changes its data may otherwise find nothing left to do.
    /// And it has to see what the first one saw, or it did something else.
    fn approach<A: Approach + 'static>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        approach: A,
        input: &A::Input,
        connection: &Connection,
    ) -> Result<(), Failure> {
        let mut expected = None;
        let mut passes = self.passes(async || {
            let mut connection = connection.clone();
            approach.reset(input, &mut connection).await?;
            let begun = Instant::now();
            let seen = approach.run(input, &mut connection).await?;
            let took = begun.elapsed();
            match &expected {
                None => expected = Some(seen),
                Some(expected) if *expected == seen => {}
                Some(expected) => {
                    let claim = format!("every pass sees the same ({expected:?}, but then {seen:?})");
                    return Err(LessonError::Check(claim));
                }
            }
            Ok(took)
        });
        group.bench_function(approach.label(), |bencher| passes.time(bencher));
        passes.ended()
    }
}
