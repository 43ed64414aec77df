//! What the benches share: a private server, and a way to bench the approaches of a comparison. The benches
//! themselves are in `benches/`.

use std::process::ExitCode;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target, TargetArgs};
use lab_runner::{Approach, Comparison, Terminal};
use tokio::runtime::Runtime;

/// Runs benches on a private server, and turns what goes wrong into an exit code.
pub fn main(benches: impl FnOnce(&Bench, &mut Criterion) -> Result<(), Failure>) -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    let ended = Bench::start().and_then(|bench| benches(&bench, &mut criterion));
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
        self.runtime.block_on(comparison.verify(&connection)).map_err(|error| {
            Failure::new(
                Class::CheckFailed,
                format!("'{}' cannot be benched.", comparison.title),
                error.to_string(),
            )
        })?;
        let mut group = criterion.benchmark_group(comparison.title);
        for &approach in comparison.approaches {
            group.throughput(Throughput::Elements(approach.operations(comparison.subject)));
            self.approach(&mut group, approach, comparison.subject, &connection)?;
        }
        group.finish();
        Ok(())
    }

    fn approach<A: Approach + 'static>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        approach: A,
        subject: &A::Subject,
        connection: &Connection,
    ) -> Result<(), Failure> {
        let explain = |error: &redis::RedisError| self.target.explain(error);
        self.runtime
            .block_on(approach.reset(subject, &mut connection.clone()))
            .map_err(|error| explain(&error))?;
        // Criterion's closures cannot fail, so the first error is kept and told afterwards.
        let mut failed = None;
        group.bench_function(approach.label(), |bencher| {
            bencher.iter(|| {
                if failed.is_none() {
                    failed = self.runtime.block_on(approach.run(subject, &mut connection.clone())).err();
                }
            });
        });
        failed.map_or(Ok(()), |error| Err(explain(&error)))
    }
}
