//! Live changes for any number of browsers. A browser that comes back names the last event it saw (`Last-Event-ID`), and gets what it
//! missed, each event once. If that is no longer known, it gets one `resync` event, and reads the page again.
//!
//! An event's ID is the epoch of the stream and the ID of its entry. A shop that was reset has another epoch, so an ID from before
//! is never taken for one of now.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::changes::{Change, Kind};
use crate::hub::Live;
use crate::query::Query;
use crate::session::Visitor;
use crate::state::App;

/// How long a browser waits before it comes back, plus up to a second, so that not all come at once.
const RETRY_MS: u64 = 1_000;
/// How long one read of the follower blocks.
const BLOCK: Duration = Duration::from_secs(10);

/// Follows the stream of changes until the shop closes.
pub async fn follow(app: App) {
    let connect = || {
        let target = app.link.target();
        async move { target.blocking(BLOCK).await }
    };
    let mut follower = app.events.follower(connect);
    loop {
        let next = tokio::select! {
            next = follower.next() => next,
            () = app.closed() => return,
        };
        match next {
            Ok(entry) => app.events.take(entry).await,
            // The follower waits before it tries again.
            Err(_) => app.counters.follower_error(),
        }
    }
}

/// `GET /events`: the changes that concern this visitor. A browser names the last event in a header, and a script in `last`.
pub async fn events(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<Resume>,
    headers: HeaderMap,
) -> Response {
    if app.events.open() >= app.settings.connections {
        return come_back();
    }
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last = header.or(query.last.as_deref());
    Sse::new(Feed::begin(app, visitor, last).into_stream()).into_response()
}

/// Where to resume.
#[derive(Deserialize)]
pub struct Resume {
    last: Option<String>,
}

/// An answer to an event request that is refused. Browsers give up on any status but 200, so this is one: it only says when to come
/// back.
pub fn come_back() -> Response {
    let retry: Result<_, Infallible> = Ok(Event::default().retry(pause()));
    Sse::new(stream::iter([retry])).into_response()
}

/// An open event stream.
struct Feed {
    app: App,
    visitor: Visitor,
    first: VecDeque<Event>,
    changes: broadcast::Receiver<Arc<Live>>,
    /// Ticks whether or not there are changes, so that a busy stream ends with its session too.
    keep_alive: Interval,
    over: bool,
}

impl Feed {
    fn begin(app: App, visitor: Visitor, last: Option<&str>) -> Self {
        let (missed, complete, at, changes) = app.events.join(last);
        app.events.open.fetch_add(1, Ordering::Relaxed);
        // It has an ID, so a browser that saw nothing else resumes here.
        let hello = |event: Event| event.retry(pause());
        let mut first = VecDeque::new();
        if complete {
            first.extend(missed.iter().filter(|live| concerns(live, &visitor)).map(|live| event(live)));
            first.push_back(hello(Event::default().event("hello").id(&at).data("{}")));
        } else {
            first.push_back(hello(Event::default().event(Kind::Resync.name()).id(&at).data("{}")));
        }
        let every = app.settings.keep_alive;
        let mut keep_alive = interval_at(Instant::now() + every, every);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { app, visitor, first, changes, keep_alive, over: false }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut feed| async { feed.next().await.map(|event| (Ok(event), feed)) })
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        while !self.over {
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(live) if concerns(&live, &self.visitor) => {
                        self.over = live.change.kind == Kind::Bye;
                        return Some(event(&live));
                    }
                    Ok(_) => {}
                    // This browser was too slow. What is still kept follows; each event has its ID, so it can resume there.
                    Err(RecvError::Lagged(_)) => return Some(Event::default().event(Kind::Resync.name()).data("{}")),
                    Err(RecvError::Closed) => return None,
                },
                () = self.app.closed() => {
                    self.over = true;
                    return Some(Event::default().retry(pause()).comment("closing"));
                }
                _ = self.keep_alive.tick() => {
                    // While Redis does not answer, the stream stays.
                    self.over = matches!(self.visitor.lives(&self.app).await, Ok(false));
                    let alive = Event::default().comment("still here");
                    let bye = || Event::default().event(Kind::Bye.name()).data("{}");
                    return Some(if self.over { bye() } else { alive });
                }
            }
        }
        None
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.app.events.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn concerns(live: &Live, visitor: &Visitor) -> bool {
    match (&live.change.to, live.change.kind) {
        (None, _) => true,
        (Some(to), Kind::Bye) => *to == visitor.public_id,
        (Some(to), _) => *to == visitor.id(),
    }
}

/// JSON has no line ends, and IDs and names are ours. So nothing that a customer types can begin a field of its own.
fn event(live: &Live) -> Event {
    let Change { sku, left, .. } = &live.change;
    let data = serde_json::json!({ "sku": sku, "left": left }).to_string();
    Event::default().event(live.change.kind.name()).id(&live.id).data(data)
}

fn pause() -> Duration {
    let mut byte = [0; 2];
    // Without randomness, all come back at once.
    let _ = getrandom::fill(&mut byte);
    Duration::from_millis(RETRY_MS + u64::from(u16::from_le_bytes(byte)) % 1_000)
}
