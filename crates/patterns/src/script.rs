//! Scripts and commands: runs a script on any server, whether the server knows it or not, with errors that say what to do.
//!
//! A pattern's `.lua` file is one script, or several sections that begin with a line `---- name`. A [`Script`] is made of the
//! sections it needs:
//!
//! ```
//! use patterns::script::{Reply, Script};
//!
//! const FILE: &str = "---- read\nlocal had = redis.call('GET', KEYS[1])\n---- add\nreturn {'ADDED', had}\n";
//! static ADD: Script = Script::new("stock.lua: add", FILE, &["read", "add"]);
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! assert_eq!(ADD.name(), "stock.lua: add");
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let mut reply: Reply = ADD.call(&["stock"]).arg(2).run(&connection).await?;
//! assert_eq!(reply.outcome, "ADDED");
//! assert_eq!(reply.next::<Option<u64>>()?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In its comments, each script says what it gets and what it replies, once:
//!
//! ```lua
//! -- KEYS: cart, prices, deadlines
//! -- ARGV: cart TTL (ms), order ID, then for each line: SKU, units
//! -- Replies: TAKEN, units; or TIDY
//! ```
//!
//! Names are separated by commas, and a unit is in parentheses. `then for each ...:` begins a group that repeats to the end, or as
//! often as an argument before it says. A script without `ARGV` takes no arguments. A line that continues the one before begins
//! with three spaces after the dashes.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, ErrorKind, FromRedisValue, ParsingError, Pipeline, RedisError, ToRedisArgs, Value};

use crate::key::KeyError;

/// The functions that scripts share.
const SHARED: &str = include_str!("script.lua");

/// A Lua script, sent by its hash.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    file: &'static str,
    sections: &'static [&'static str],
    text: OnceLock<Text>,
}

/// Put together when it is first needed.
#[derive(Debug)]
struct Text {
    source: String,
    /// Where the pattern's own text begins.
    shown_from: usize,
    hash: String,
}

impl Script {
    /// A script of the whole file, or of the sections with these names in this order. The functions of `script.lua` that it calls
    /// come first, and then the comment with KEYS, ARGV, and replies. The name is for people, such as `cart.lua: add`.
    ///
    /// A section that is missing panics at the first use. A test goes through all scripts.
    #[must_use]
    pub const fn new(name: &'static str, file: &'static str, sections: &'static [&'static str]) -> Self {
        Self { name, file, sections, text: OnceLock::new() }
    }

    /// The name for people: the file and the operation.
    #[must_use]
    pub const fn name(&self) -> &str {
        self.name
    }

    /// The whole text of the pattern's file.
    #[must_use]
    pub const fn file(&self) -> &str {
        self.file
    }

    /// The text that the server runs.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.text().source
    }

    /// The pattern's own part of the text, without the functions that all patterns share.
    #[must_use]
    pub fn shown(&self) -> &str {
        let text = self.text();
        &text.source[text.shown_from..]
    }

    /// The SHA-1 of the source, 40 hexadecimal digits, by which EVALSHA names the script.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.text().hash
    }

    fn text(&self) -> &Text {
        self.text.get_or_init(|| {
            let own: String = match self.sections {
                [] => self.file.to_owned(),
                sections => sections.iter().map(|name| section(self.file, name)).collect(),
            };
            let shared = ["whole", "now_ms", "require_commands", "require_channel"];
            let own = header_first(&own);
            let called = shared.into_iter().filter(|name| own.contains(&format!("{name}(")));
            let mut source: String = called.map(|name| section(SHARED, name)).collect();
            let shown_from = source.len();
            source.push_str(&own);
            let hash = redis::Script::new(&source).get_hash().to_owned();
            Text { source, shown_from, hash }
        })
    }

    /// A call with these keys, which must share a slot. Arguments follow with [`Call::arg`].
    #[must_use]
    pub fn call(&self, keys: &[impl AsRef<str>]) -> Call<'_> {
        let mut evalsha = redis::cmd("EVALSHA");
        evalsha.arg(self.hash()).arg(keys.len());
        for key in keys {
            evalsha.arg(key.as_ref());
        }
        Call { script: self, keys: keys.iter().map(|key| key.as_ref().to_owned()).collect(), evalsha }
    }
}

/// Each script with its operation: what follows `.lua: ` in its name, or the whole name if its file has no sections.
#[must_use]
pub fn by_operation(scripts: &[&'static Script]) -> Vec<(&'static str, &'static Script)> {
    let operation = |name: &'static str| name.split_once(": ").map_or(name, |(_, operation)| operation);
    scripts.iter().map(|script| (operation(script.name), *script)).collect()
}

/// The section from the line `---- name` to the next such line.
fn section<'a>(file: &'a str, name: &str) -> &'a str {
    let heading = format!("---- {name}\n");
    let Some((_, from)) = file.split_once(&heading) else { panic!("the script has no section {name:?}") };
    from.find("\n---- ").map_or(from, |end| &from[..=end])
}

/// The text with the comment that ends with `-- Replies:` first, so that you learn what ARGV holds before a section uses it.
fn header_first(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_code = |line: &&str| !line.starts_with("--");
    let replies = lines.iter().position(|line| line.starts_with("-- Replies:"));
    let code_before = lines[..replies.unwrap_or(0)].iter().rposition(is_code);
    let (Some(replies), Some(code_before)) = (replies, code_before) else { return text.to_owned() };
    let continued = lines[replies + 1..].iter().take_while(|line| line.starts_with("--   ")).count();
    let (start, end) = (code_before + 1, replies + 1 + continued);
    [&lines[start..end], &["\n"], &lines[..start], &lines[end..]].concat().concat()
}

/// A script with its keys and arguments.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    script: &'a Script,
    keys: Vec<String>,
    evalsha: Cmd,
}

impl Call<'_> {
    /// Adds an argument, or several.
    #[must_use]
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.evalsha.arg(argument);
        self
    }

    /// Runs the script by its hash, and by its source if the server does not know it: after a restart, on another node, after
    /// SCRIPT FLUSH. It sends the source with EVAL instead of SCRIPT LOAD, so the script cannot be lost in between, and no
    /// other node of a cluster is involved. One round trip; two the first time.
    pub async fn run<T: FromRedisValue>(
        &self,
        connection: &(impl ConnectionLike + Clone),
    ) -> Result<T, StoreError> {
        let mut connection = connection.clone();
        let mut result = self.evalsha.query_async(&mut connection).await;
        if result.as_ref().is_err_and(missed_a_key) {
            result = self.evalsha.query_async(&mut connection).await;
        }
        if result.as_ref().is_err_and(|error: &RedisError| error.code() == Some("NOSCRIPT")) {
            result = self.eval().query_async(&mut connection).await;
        }
        result.map_err(|error| self.explain(error))
    }

    /// [`Call::run`], and then WAIT in the same pipeline. On another connection, or later, WAIT would say nothing about this
    /// script. Returns the reply, and how many replicas had the script's writes within `timeout` (a millisecond to a year). One
    /// round trip. The connection's response timeout must be longer than `timeout`.
    pub async fn run_and_wait<T: FromRedisValue>(
        &self,
        connection: &(impl ConnectionLike + Clone),
        replicas: usize,
        timeout: Duration,
    ) -> Result<(T, usize), StoreError> {
        let mut wait = redis::cmd("WAIT");
        wait.arg(replicas).arg(milliseconds(timeout));
        let send = async |command: Cmd| -> Result<(T, usize), RedisError> {
            let mut pipeline = Pipeline::new();
            pipeline.add_command(command).add_command(wait.clone());
            let replies = connection.clone().req_packed_commands(&pipeline, 0, 2).await?;
            let mut replies = replies.into_iter().map(Value::extract_error);
            let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
            let reply = T::from_redis_value(next()?)?;
            Ok((reply, usize::from_redis_value(next()?)?))
        };
        let mut result = send(self.evalsha.clone()).await;
        if result.as_ref().is_err_and(missed_a_key) {
            result = send(self.evalsha.clone()).await;
        }
        if result.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT")) {
            result = send(self.eval()).await;
        }
        result.map_err(|error| self.explain(error))
    }

    /// The same call with the source in place of the hash.
    fn eval(&self) -> Cmd {
        let mut eval = redis::cmd("EVAL");
        eval.arg(self.script.source());
        for argument in self.evalsha.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                eval.arg(bytes);
            }
        }
        eval
    }

    fn explain(&self, error: RedisError) -> StoreError {
        match error.code() {
            Some("MALFORMED") => {
                let detail = error.detail().unwrap_or_default();
                // The server adds the script and the line of the error.
                StoreError::Malformed(quote(detail.split(" script: ").next().unwrap_or(detail)))
            }
            Some("WRONGTYPE") => StoreError::WrongType(quote(&self.keys.join(", "))),
            _ => StoreError::Redis(error),
        }
    }
}

/// While a slot moves, a key that expires between the server's check and the script's first access counts as moved. The script
/// then ends before it has written anything. The error has no code. The second text is Redis 8's.
fn missed_a_key(error: &RedisError) -> bool {
    const TEXTS: [&str; 2] = ["non local key in a cluster node", "accessed during rehashing of the slot"];
    error.detail().is_some_and(|detail| TEXTS.iter().any(|text| detail.contains(text)))
}

/// The reply of a script: a word for the outcome, then its values.
#[derive(Debug)]
pub struct Reply {
    /// The word.
    pub outcome: String,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    /// The next value.
    #[expect(clippy::should_implement_trait, reason = "each value has a type of its own")]
    pub fn next<T: FromRedisValue>(&mut self) -> Result<T, StoreError> {
        Ok(T::from_redis_value(self.values.next().unwrap_or(Value::Nil))?)
    }

    /// An error unless the outcome is this word.
    pub fn must_be(&self, outcome: &str) -> Result<(), StoreError> {
        if self.outcome == outcome { Ok(()) } else { Err(self.unexpected()) }
    }

    /// True for the first word, false for the second, and an error for any other.
    pub fn either(&self, yes: &str, no: &str) -> Result<bool, StoreError> {
        if self.outcome == yes { Ok(true) } else { self.must_be(no).map(|()| false) }
    }

    /// The error for an unknown outcome.
    #[must_use]
    pub fn unexpected(&self) -> StoreError {
        let outcome = quote(&self.outcome);
        StoreError::Redis(
            (ErrorKind::UnexpectedReturnType, "a script has an unknown outcome", outcome).into(),
        )
    }
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut values = Vec::<Value>::from_redis_value(value)?.into_iter();
        let outcome = String::from_redis_value(values.next().unwrap_or(Value::Nil))?;
        Ok(Self { outcome, values })
    }
}

/// Sends one plain command.
pub async fn send<T: FromRedisValue>(
    connection: &(impl ConnectionLike + Clone),
    command: &Cmd,
) -> Result<T, StoreError> {
    Ok(command.query_async(&mut connection.clone()).await?)
}

/// Sends several plain commands in one round trip. On a cluster, their keys must share a slot.
pub async fn send_all<T: FromRedisValue>(
    connection: &(impl ConnectionLike + Clone),
    pipeline: &Pipeline,
) -> Result<T, StoreError> {
    Ok(pipeline.query_async(&mut connection.clone()).await?)
}

/// The first command of a pipeline that the server refused, instead of a list of all. The error names `key` if its type is
/// wrong.
#[must_use]
pub fn first_refusal(error: RedisError, key: &str) -> StoreError {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, refused), ..]) if refused.code() == "WRONGTYPE" => StoreError::WrongType(quote(key)),
        Some([(_, refused), ..]) => StoreError::Redis(refused.clone().into()),
        _ => StoreError::Redis(error),
    }
}

/// Redis refused or could not be reached, or a key holds what the pattern never writes there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An ID or the prefix makes no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// One of these keys holds another type of value.
    #[error(
        "one of these keys holds another type of value than the pattern writes, and nothing was changed: {0}"
    )]
    WrongType(String),
    /// A key holds a value that another program must have written.
    #[error("a key holds a value that the pattern never writes, and nothing was changed: {0}")]
    Malformed(String),
    /// The server's or the connection's error. After a timeout or a lost connection, the outcome of a change is unknown: ask
    /// again with the same ID.
    #[error("{0}")]
    Redis(#[from] RedisError),
}

impl From<ParsingError> for StoreError {
    fn from(error: ParsingError) -> Self {
        Self::Redis(error.into())
    }
}

/// Foreign text for an error message: escaped and shortened.
#[must_use]
pub fn quote(text: &str) -> String {
    let cut: String = text.chars().take(200).collect();
    cut.escape_debug().to_string()
}

/// A time in whole milliseconds, from one to a year.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    const YEAR: u128 = 365 * 24 * 60 * 60 * 1000;
    // At most a year, so it fits.
    u64::try_from(time.as_millis().clamp(1, YEAR)).unwrap_or(u64::MAX)
}

/// Awaits all futures at once, in the caller's task, and returns their outputs in order.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    type Slot<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);
    let mut slots: Vec<Slot<F>> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut slots {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    slots.into_iter().filter_map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_its_sections_and_the_functions_they_name() {
        let header = "-- Adds.\n-- KEYS: a\n-- Replies: ADDED, number;\n--   or FULL\n";
        let file =
            format!("-- Comment.\n\n---- read\nlocal n = whole('1')\n\n---- write\n{header}return n\n");
        let script = Script::new("stock.lua: write", file.leak(), &["read", "write"]);
        assert!(script.source().contains("local function whole("));
        assert!(!script.source().contains("local function now_ms("));
        assert_eq!(script.shown(), format!("{header}\nlocal n = whole('1')\n\nreturn n\n"));
        assert!(script.source().ends_with(script.shown()), "{}", script.source());
        assert_eq!(script.hash().len(), 40);
    }
}
