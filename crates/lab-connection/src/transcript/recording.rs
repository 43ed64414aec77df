//! Turns a request and its reply into an [`Exchange`].

use std::borrow::Cow;
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, RedisError, Value};

use super::command::{command_line, first_arguments, more};
use super::reply::{error_text, reply_text, server_error_text};
use super::{Exchange, Listener, SHOWN_COMMANDS, Shape, secret, wire};

type Answer<'a> = Result<&'a [Value], &'a RedisError>;

/// What is sent in one go.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Transaction(&'a Pipeline),
}

/// A request in flight. If it is dropped without a reply, because the caller gave up, the listener still gets it: the server may execute it.
pub struct Recording<'a> {
    listener: &'a dyn Listener,
    request: Request<'a>,
    since: Instant,
    reported: bool,
}

impl<'a> Request<'a> {
    pub fn of(pipeline: &'a Pipeline) -> Self {
        if pipeline.is_transaction() {
            return Self::Transaction(pipeline);
        }
        let mut commands = pipeline.cmd_iter();
        match (commands.next(), commands.next()) {
            // The bytes on the wire are those of a single command; redis-rs subscribes this way.
            (Some(only), None) => Self::Command(only),
            _ => Self::Pipeline(pipeline),
        }
    }
}

impl<'a> Recording<'a> {
    /// Starts the clock.
    pub fn start(listener: &'a dyn Listener, request: Request<'a>) -> Self {
        Self { listener, request, since: Instant::now(), reported: false }
    }

    /// Reports to the listener.
    pub fn finish(mut self, answer: Answer<'_>) {
        let elapsed = self.since.elapsed();
        self.reported = true;
        self.listener.on_exchange(exchange(self.request, Some(answer), elapsed));
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.listener.on_exchange(exchange(self.request, None, self.since.elapsed()));
        }
    }
}

fn exchange(request: Request<'_>, answer: Option<Answer<'_>>, elapsed: Duration) -> Exchange {
    let waited_for = !matches!(request, Request::Command(cmd) if cmd.is_no_response());
    let replies = match answer {
        None => vec!["(no reply) the caller stopped waiting".into()],
        Some(_) if !waited_for => vec!["(no reply asked for)".into()],
        Some(answer) => replies(request, answer),
    };
    let (shape, command_count, bytes_sent) = match request {
        Request::Command(cmd) => (Shape::Command, 1, wire::command_len(cmd)),
        Request::Pipeline(pipeline) => (Shape::Pipeline, pipeline.len(), wire::pipeline_len(pipeline)),
        Request::Transaction(pipeline) => {
            (Shape::Transaction, pipeline.len() + 2, wire::pipeline_len(pipeline))
        }
    };
    Exchange {
        shape,
        commands: commands(request),
        replies,
        command_count,
        elapsed,
        bytes_sent,
        bytes_received: if waited_for { answer.map_or(0, |answer| received_len(request, answer)) } else { 0 },
        round_trips: usize::from(waited_for),
    }
}

fn commands(request: Request<'_>) -> Vec<String> {
    match request {
        Request::Command(cmd) => vec![command_line(cmd)],
        Request::Pipeline(pipeline) => {
            first(pipeline.cmd_iter().map(command_line), pipeline.len(), "command")
        }
        Request::Transaction(pipeline) => {
            let mut lines = vec!["MULTI".to_owned()];
            lines.extend(first(pipeline.cmd_iter().map(command_line), pipeline.len(), "command"));
            lines.push("EXEC".into());
            lines
        }
    }
}

fn replies(request: Request<'_>, answer: Answer<'_>) -> Vec<String> {
    match (request, answer) {
        (Request::Command(cmd), Ok(values)) => {
            // A subscription is confirmed once per channel.
            let texts: Vec<_> = values.iter().map(|value| shown(cmd, value)).collect();
            vec![texts.join("\n")]
        }
        (Request::Command(cmd), Err(error)) => {
            vec![secret::without_arguments(&first_arguments(cmd, usize::MAX), error_text(error))]
        }
        (Request::Pipeline(pipeline), Ok(values)) => {
            let texts = pipeline.cmd_iter().zip(values).map(|(cmd, value)| shown(cmd, value));
            first(texts, values.len(), "reply")
        }
        (Request::Transaction(pipeline), Ok(values)) => {
            let queued = first(pipeline.cmd_iter().map(|_| "QUEUED".to_owned()), pipeline.len(), "reply");
            let result = values.last().map(|value| reply_text(&executed(pipeline, value)));
            std::iter::once("OK".to_owned()).chain(queued).chain(result).collect()
        }
        (Request::Transaction(pipeline), Err(error)) => aborted(pipeline, error),
        (Request::Pipeline(_), Err(error)) => vec![error_text(error)],
    }
}

/// A transaction that was discarded because the server would not queue some command. redis-rs keeps those errors
/// and drops EXEC's own.
fn aborted(pipeline: &Pipeline, error: &RedisError) -> Vec<String> {
    let refused = error.clone().into_server_errors().unwrap_or_else(|| [].into());
    if error.code() != Some("EXECABORT") || refused.iter().all(|(_, error)| error.code() == "EXECABORT") {
        return vec![error_text(error)];
    }
    let texts = pipeline.cmd_iter().enumerate().map(|(index, cmd)| {
        let reason = refused.iter().find(|(refused, _)| *refused == index);
        reason.map_or_else(
            || "QUEUED".to_owned(),
            |(_, error)| {
                secret::without_arguments(&first_arguments(cmd, usize::MAX), server_error_text(error))
            },
        )
    });
    let mut lines = vec!["OK".to_owned()];
    lines.extend(first(texts, pipeline.len(), "reply"));
    // In the words of Redis and Valkey, which redis-rs drops.
    lines.push("(error) EXECABORT Transaction discarded because of previous errors.".into());
    lines
}

fn shown(cmd: &Cmd, value: &Value) -> String {
    let text = reply_text(&secret::without_secrets(&first_arguments(cmd, 2), value));
    if matches!(value, Value::ServerError(_)) {
        return secret::without_arguments(&first_arguments(cmd, usize::MAX), text);
    }
    text
}

/// EXEC's array, whose items answer the commands in order.
fn executed<'a>(pipeline: &Pipeline, value: &'a Value) -> Cow<'a, Value> {
    let Value::Array(items) = value else {
        return Cow::Borrowed(value);
    };
    let shown: Vec<Cow<'_, Value>> = pipeline
        .cmd_iter()
        .zip(items)
        .map(|(cmd, item)| secret::without_secrets(&first_arguments(cmd, 2), item))
        .collect();
    if shown.iter().all(|item| matches!(item, Cow::Borrowed(_))) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(Value::Array(shown.into_iter().map(Cow::into_owned).collect()))
}

fn first(texts: impl Iterator<Item = String>, count: usize, noun: &str) -> Vec<String> {
    let mut lines: Vec<String> = texts.take(SHOWN_COMMANDS).collect();
    if count > lines.len() {
        lines.push(more(count - lines.len(), noun));
    }
    lines
}

fn received_len(request: Request<'_>, answer: Answer<'_>) -> usize {
    let values = match answer {
        Ok(values) => values.iter().map(wire::reply_len).sum(),
        Err(error) => {
            let errors = error.clone().into_server_errors();
            errors.iter().flat_map(|errors| errors.iter()).map(|(_, error)| wire::error_len(error)).sum()
        }
    };
    match (request, answer) {
        (Request::Transaction(pipeline), Ok(_)) => values + wire::queued_len(pipeline.len()),
        _ => values,
    }
}
