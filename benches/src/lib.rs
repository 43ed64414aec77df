//! What the benches share: a private server, and a way to bench the approaches of a comparison. The benches
//! themselves are in `benches/`; all of them run with `cargo bench`, and with `cargo bench -- --test` once each,
//! untimed.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target, TargetArgs};
use lab_runner::{Approach, Comparison, LessonError, Terminal};
use tokio::runtime::Runtime;

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
        self.runtime.block_on(work).map_err(|error| self.explain(error))
    }

    /// In the words of every other failure of this workspace.
    fn explain(&self, error: LessonError) -> Failure {
        error.explain(&self.target, "The approaches cannot be benched.")
    }

    /// Benches `pass`, which brings its data into the state that it starts from, does its work, and tells how long the work alone
    /// took. After an error the rest takes no time, which criterion refuses to report.
    ///
    /// # Errors
    ///
    /// The first error of a pass. Criterion's closures cannot fail, so it is kept until the end.
    pub fn time(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        label: String,
        mut pass: impl AsyncFnMut() -> Result<Duration, LessonError>,
    ) -> Result<(), Failure> {
        let mut failed = None;
        let mut time = async |passes: u64| {
            let mut took = Duration::ZERO;
            for _ in 0..passes {
                // Seen by the optimizer as a thing that may change, or the passes that are left out would take no time at all,
                // and criterion would warm up forever.
                if black_box(&failed).is_some() {
                    continue;
                }
                match pass().await {
                    Ok(time) => took += time,
                    Err(error) => failed = Some(error),
                }
            }
            if failed.is_some() { Duration::ZERO } else { took }
        };
        group.bench_function(label, |bencher| {
            bencher.iter_custom(|passes| self.runtime.block_on(time(passes)));
        });
        failed.map_or(Ok(()), |error| Err(self.explain(error)))
    }

    /// Benches approaches that were found to do the same thing. A pass runs what one run of the lesson runs, so the
    /// throughput counts its operations.
    ///
    /// # Errors
    ///
    /// When the approaches disagree, or the server does.
    pub fn compare<A: Approach + 'static>(
        &self,
        criterion: &mut Criterion,
        title: &str,
        approaches: &[A],
        input: &A::Input,
    ) -> Result<(), Failure> {
        let connection = self.target.connection();
        self.wait_for(Comparison { title, approaches, input }.verify(&connection))?;
        let mut group = criterion.benchmark_group(title);
        for &approach in approaches {
            group.throughput(Throughput::Elements(approach.operations(input)));
            self.approach(&mut group, approach, input, &connection)?;
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
        let pass = async || {
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
        };
        self.time(group, approach.label(), pass)
    }
}
