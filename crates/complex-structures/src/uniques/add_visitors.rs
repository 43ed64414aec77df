//! Ways to add the visits of a day.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::count::Counting;
use super::visitors::Visitors;

/// How to add many visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddVisitors {
    /// A pipeline of SADDs, one visit each.
    SetPipeline,
    /// One SADD.
    SetAtOnce,
    /// A pipeline of SETBITs.
    Bitmap,
    /// A pipeline of PFADDs, one visit each.
    EstimatePipeline,
    /// One PFADD.
    EstimateAtOnce,
}

impl AddVisitors {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SetPipeline, Self::SetAtOnce, Self::Bitmap, Self::EstimatePipeline, Self::EstimateAtOnce];

    /// The structure that is counted in.
    #[must_use]
    pub fn counting(self) -> Counting {
        match self {
            Self::SetPipeline | Self::SetAtOnce => Counting::Set,
            Self::Bitmap => Counting::Bitmap,
            Self::EstimatePipeline | Self::EstimateAtOnce => Counting::HyperLogLog,
        }
    }
}

impl Approach for AddVisitors {
    type Input = Visitors;
    /// Whether the count afterwards is what the structure promises: exact, or within three standard errors.
    type Output = bool;

    fn label(self) -> String {
        match self {
            Self::SetPipeline => "pipeline of SADDs",
            Self::SetAtOnce => "one SADD",
            Self::Bitmap => "pipeline of SETBITs",
            Self::EstimatePipeline => "pipeline of PFADDs",
            Self::EstimateAtOnce => "one PFADD",
        }
        .to_owned()
    }

    fn operations(self, visitors: &Visitors) -> u64 {
        visitors.visits().len() as u64
    }

    async fn reset<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<()> {
        redis::cmd("UNLINK").arg(&visitors.keys()).exec_async(connection).await
    }

    async fn run<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<bool> {
        let mut commands = redis::pipe();
        match self {
            Self::SetAtOnce => commands.cmd("SADD").arg(visitors.set()).arg(visitors.visits()).ignore(),
            Self::EstimateAtOnce => {
                commands.cmd("PFADD").arg(visitors.estimate()).arg(visitors.visits()).ignore()
            }
            Self::SetPipeline => each(&mut commands, visitors, |pipe, visitor| {
                pipe.cmd("SADD").arg(visitors.set()).arg(visitor).ignore();
            }),
            Self::EstimatePipeline => each(&mut commands, visitors, |pipe, visitor| {
                pipe.cmd("PFADD").arg(visitors.estimate()).arg(visitor).ignore();
            }),
            Self::Bitmap => each(&mut commands, visitors, |pipe, visitor| {
                pipe.cmd("SETBIT").arg(visitors.bits()).arg(visitor).arg(1).ignore();
            }),
        };
        match self.counting() {
            Counting::Set => commands.cmd("SCARD").arg(visitors.set()),
            Counting::Bitmap => commands.cmd("BITCOUNT").arg(visitors.bits()),
            Counting::HyperLogLog => commands.cmd("PFCOUNT").arg(visitors.estimate()),
        };
        let (counted,): (u64,) = commands.query_async(connection).await?;
        Ok(self.counting().is_right(counted, visitors.different() as u64))
    }
}

fn each<'a>(
    commands: &'a mut redis::Pipeline,
    visitors: &Visitors,
    add: impl Fn(&mut redis::Pipeline, u32),
) -> &'a mut redis::Pipeline {
    for &visitor in visitors.visits() {
        add(commands, visitor);
    }
    commands
}
