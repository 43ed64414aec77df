//! Counting what happens: metrics, visitors, revenue, funnels and retention, each event once.
//!
//! The naive way is a counter raised by whoever sees something happen. It is wrong three times. An event whose answer was
//! lost is sent again, and counts twice. A page that somebody loads again is taken for another visitor. And what happened
//! at 23:59 and arrives at 00:01 counts for the wrong day. Here every event has an [`EventId`](crate::EventId) and the
//! [`Day`] on which it happened, and one script looks the id up and counts, in one step.
//!
//! In reading order: [`Day`] and [`Week`]; [`DailyMetrics`] records events; [`Funnel`] counts how far visitors come;
//! [`UniqueVisitors`] counts them in three ways; [`WeeklyMetrics`] adds days up; [`ActiveUsers`] tells who comes back.
//!
//! ```
//! use storefront::analytics::{DailyMetrics, Event, Recorded};
//! use storefront::{Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let metrics = DailyMetrics::new(connection, Keys::new("", Layout::Standalone));
//!
//! let day = "2024-01-01".parse()?;
//! let view = Event::page_view("event-1".parse()?, day, "user123".parse()?);
//! let lines = vec![("PROD123".parse()?, "19.99".parse()?)];
//! let order = Event::order("event-2".parse()?, day, "user123".parse()?, lines);
//! assert_eq!(metrics.record(&view).await?, Recorded::Counted);
//! assert_eq!(metrics.record(&order).await?, Recorded::Counted);
//! // The answer was lost, so it is sent again.
//! assert_eq!(metrics.record(&order).await?, Recorded::Duplicate);
//!
//! let counted = metrics.of(day).await?;
//! assert_eq!((counted.get("page_views"), counted.get("orders"), counted.get("revenue")), (1, 1, 1_999));
//! assert_eq!(counted.visitors, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod active;
mod daily;
mod day;
mod event;
mod funnel;
mod visitors;
mod weekly;

pub use active::{ActiveUsers, MOST_DAYS, Retention, RetentionError};
pub use daily::{DailyMetrics, Metrics, RecordError, Recorded};
pub use day::{Day, DayError, Week};
pub use event::{Event, Happening, MOST_ORDER_LINES};
pub use funnel::{Funnel, FunnelError, MOST_STEPS, Reached, StepCount, Steps, StepsError};
pub use visitors::{Counting, MOST_BIT, UniqueVisitors, VisitorError};
pub use weekly::{RollUpError, WeeklyMetrics};

use std::time::Duration;

use crate::span::history_milliseconds as milliseconds;

/// How long counts are kept unless told otherwise: 400 days, so that a day can be compared with that of a year ago.
pub const DEFAULT_KEEP: Duration = Duration::from_hours(400 * 24);

/// From here on a double, which every score of a Sorted Set is, leaves out whole numbers: 2^53.
const INEXACT: i64 = 1 << 53;
