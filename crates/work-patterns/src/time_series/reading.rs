//! The same chart from raw samples and from roll-ups.

use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::time_series::Every;
use redis::RedisResult;

use super::storing::{SERIES, Store, read_members, series, thousandths};

labeled! {
    /// Where the numbers of a chart come from.
    pub enum Chart {
        /// All members of the Sorted Set.
        Members => "Sorted Set: ZRANGEBYSCORE",
        /// All packed samples.
        Samples => "packed samples",
        /// The roll-ups of minutes.
        Minutes => "roll-ups of minutes",
        /// The roll-ups of hours.
        Hours => "roll-ups of hours",
    }
}

/// What is drawn: whole hours of the stored samples.
#[derive(Clone, Debug)]
pub struct Span {
    /// What the keys begin with.
    pub prefix: String,
    /// The first millisecond.
    pub from: u64,
    /// The first millisecond after.
    pub to: u64,
}

impl Approach for Chart {
    type Input = Span;
    /// How many samples, and their sum in thousandths.
    type Output = (u64, i64);

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, _: &Span) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _: &Span, _: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, span: &Span, connection: &mut C) -> RedisResult<(u64, i64)> {
        let Span { prefix, from, to } = span;
        let series = series(connection.clone(), prefix);
        let every = match self {
            Self::Members => {
                let keys = Store::MemberIsBoth.keys(prefix, 0).map_err(into_redis_error)?;
                let values = read_members(connection, &keys[0], *from, *to).await?;
                return Ok((values.len() as u64, values.into_iter().map(thousandths).sum()));
            }
            Self::Samples => {
                let page = series.range(SERIES, *from, *to, usize::MAX).await.map_err(into_redis_error)?;
                let units = page.samples.iter().map(|sample| thousandths(sample.value)).sum();
                return Ok((page.samples.len() as u64, units));
            }
            Self::Minutes => Every::Minute,
            Self::Hours => Every::Hour,
        };
        let roll_ups = series.roll_ups(SERIES, every, *from, *to).await.map_err(into_redis_error)?;
        let count = roll_ups.iter().map(|roll_up| roll_up.count).sum();
        Ok((count, roll_ups.iter().map(|roll_up| thousandths(roll_up.sum)).sum()))
    }
}
