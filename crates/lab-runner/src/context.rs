//! What a lesson speaks and sends through.

use std::fmt::Debug;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target, Transcript, own_keys};
use redis::{ErrorKind, RedisError, RedisResult};

use crate::block::{Block, Code};
use crate::comparison::{Approach, Comparison};
use crate::concurrent::try_join_all;
use crate::error::{LessonError, Outcome};
use crate::lua::LuaScript;
use crate::need::Need;
use crate::prediction::Prediction;
use crate::presenter::{Presenter, Show};
use crate::screen::Screen;
use crate::source::{Excerpt, Source};
use crate::step::Step;
use crate::table::Table;

/// A round trip below this is none of a slow network.
const FAST: Duration = Duration::from_millis(5);
/// From this round trip on, comparisons take fewer rounds.
const SLOW: Duration = Duration::from_millis(50);
const MAX_PINGS: usize = 8;
/// On a slow network, fewer of them are enough.
const PING_BUDGET: Duration = Duration::from_millis(250);
/// What [`LessonContext::fit`] plans for one part of a lesson on a slow network.
const NETWORK_BUDGET: Duration = Duration::from_secs(2);

/// What a lesson speaks and sends through. Paragraphs, code, commands, and checks appear in the order in which they happen.
pub struct LessonContext {
    target: Target,
    sources: &'static [Source],
    screen: Arc<Screen>,
    round_trip: Duration,
}

impl LessonContext {
    /// A context over a server. Measures the round trip with a few PINGs.
    pub(crate) async fn new(
        target: Target,
        sources: &'static [Source],
        presenter: Presenter,
    ) -> RedisResult<Self> {
        let round_trip = round_trip(&target).await?;
        let screen = Arc::new(Screen::new(presenter));
        Ok(Self { target, sources, screen, round_trip })
    }

    /// A context that shows nothing, for tests of parts of a lesson.
    pub async fn silent(target: Target) -> RedisResult<Self> {
        Self::new(target, &[], Presenter::new(Vec::new(), Show::Nothing)).await
    }

    /// The server.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What every key begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.target.prefix()
    }

    /// The connection of the lesson. What is sent over it is shown.
    #[must_use]
    pub fn redis(&self) -> Transcript<Connection> {
        self.traced(None, self.target.connection())
    }

    /// A new connection, for WATCH and blocking commands. What is sent over it is shown.
    pub async fn dedicated_redis(&self) -> RedisResult<Transcript<Connection>> {
        Ok(self.traced(None, self.target.dedicated().await?))
    }

    /// A connection to another server of the lesson, such as its replica. What is sent over it is shown behind the server's name:
    /// `replica> GET greeting`.
    pub fn redis_of<C>(&self, server: &str, connection: C) -> Transcript<C> {
        self.traced(Some(server.to_owned()), connection)
    }

    /// New connections, opened at the same time, for clients that must not share one. What is sent over them is shown.
    pub async fn dedicated<const N: usize>(&self) -> RedisResult<[Transcript<Connection>; N]> {
        let opened = try_join_all([(); N].map(|()| self.dedicated_redis())).await?;
        opened.try_into().map_err(|_| RedisError::from((ErrorKind::Client, "a connection is missing")))
    }

    /// A connection whose commands are not shown, such as those of many clients or of preparations. `what` announces them: who
    /// sends which commands, by name, and why.
    #[must_use]
    pub fn untraced(&self, what: impl Into<String>) -> Connection {
        self.announce(what);
        self.target.connection()
    }

    /// Announces commands that the lesson sends without showing them: who sends which commands, and why.
    pub fn announce(&self, what: impl Into<String>) {
        self.write(Block::Announcement { text: what.into() });
    }

    /// Whether the server knows this command.
    pub async fn can(&self, command: &str) -> bool {
        self.target.can(command).await
    }

    /// Begins a step: what happens next and why, in a few lines. The lines of Rust that follow in the source are shown, up to the
    /// next call of `ctx`. In a terminal the last step stays on the screen until Enter, so nothing that depends on time may
    /// cross a step.
    ///
    /// [`Step::predict`] asks the learner what will come.
    #[track_caller]
    pub fn step(&self, text: impl Into<String>) -> Step<'_> {
        let here = Location::caller();
        let source = self.sources.iter().find(|source| here.file().ends_with(source.path));
        Step { screen: &self.screen, text: text.into(), excerpt: source.and_then(|source| source.step(here)) }
    }

    /// Asks the learner what comes next in a step that has begun, such as below a function that it runs:
    /// `let guess = ctx.predict("How many are left?", ["7", "8", "9"]).await?`. [`Prediction::answer`] says what it was.
    pub async fn predict<const N: usize>(
        &self,
        question: impl Into<String>,
        choices: [&str; N],
    ) -> Result<Prediction<'_>, LessonError> {
        Prediction::ask(&self.screen, question.into(), choices.map(str::to_owned).to_vec()).await
    }

    /// How many answers the learner guessed so far, and how many of these were right; `None` if there was no guess.
    pub(crate) fn guessed(&self) -> Option<(usize, usize)> {
        let guesses = *self.screen.guesses();
        (guesses.all > 0).then_some((guesses.all, guesses.right))
    }

    /// One more paragraph in the same step.
    pub fn say(&self, text: impl Into<String>) {
        self.write(Block::Say { text: text.into() });
    }

    /// Lines of Rust that run in this step, from another place than the step itself: `source.function("by_watch")`.
    pub fn code(&self, excerpt: Excerpt) {
        self.write(Block::Code(excerpt.into()));
    }

    /// A function of the lesson's sources that runs in this step, such as the approach that a race calls.
    ///
    /// # Panics
    ///
    /// If none of them has it: the test of every lesson shows all that it shows.
    pub fn function(&self, name: &str) {
        match self.sources.iter().find_map(|source| source.find_function(name)) {
            Some(excerpt) => self.code(excerpt),
            None => assert!(self.sources.is_empty(), "no source of this lesson has a function {name:?}"),
        }
    }

    /// Prints a script once, with its comments, and loads it with SCRIPT LOAD. After this, its calls are shown with its name and
    /// with the names of their arguments and replies.
    pub async fn script(&self, script: &LuaScript<'_>) -> Outcome {
        if self.screen.scripts().add(script) {
            let LuaScript { name, path, line, text, source, .. } = script;
            let text = (*text).trim_end().to_owned();
            let only_comment = text.lines().all(|line| line.starts_with("--"));
            let name =
                if only_comment { format!("{name}, what it takes and replies") } else { (*name).into() };
            self.write(Block::Code(Code { name, path: (*path).into(), line: *line, text }));
            let code = if only_comment { "The code follows there. " } else { "" };
            self.announce(format!(
                "{code}SCRIPT LOAD sends the script once; from now on EVALSHA calls it by its hash."
            ));
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(*source).exec_async(&mut self.target.connection()).await?;
        }
        Ok(())
    }

    /// From now on, calls of this script are shown with its name, though the lesson has not printed it.
    pub(crate) fn name_script(&self, script: &LuaScript<'_>) {
        self.screen.scripts().name(script);
    }

    /// Text that is shown line by line as it is, such as a configuration.
    pub fn listing(&self, text: impl Into<String>) {
        self.write(Block::Listing { text: text.into() });
    }

    /// A claim. If it is broken, the lesson ends here, and the run with exit code 1.
    pub fn check(&self, claim: impl Into<String>, held: bool) -> Outcome {
        let claim = claim.into();
        self.write(Block::Check { claim: claim.clone(), held });
        if held { Ok(()) } else { Err(LessonError::Check(claim)) }
    }

    /// A claim about a value. If it is broken, both values are shown.
    pub fn check_eq<T: PartialEq + Debug>(&self, claim: &str, actual: &T, expected: &T) -> Outcome {
        if actual == expected {
            self.check(claim, true)
        } else {
            self.check(format!("{claim} (expected {expected:?}, got {actual:?})"), false)
        }
    }

    /// Says that this server cannot show a part, and which one can.
    pub fn skip(&self, need: Need) {
        self.write(Block::skipped(need));
    }

    /// Says that a part cannot be shown here, and why.
    pub fn skip_part(&self, reason: impl Into<String>) {
        self.write(Block::Skipped { reason: reason.into() });
    }

    /// A table.
    pub fn table(&self, table: Table) {
        self.write(Block::Table(table));
    }

    /// Verifies that the approaches do the same, times them, and shows them side by side.
    pub async fn compare<A: Approach>(&self, comparison: Comparison<'_, A>) -> Outcome {
        let result = comparison.measure_over(&self.target, self.round_trip >= SLOW).await?;
        self.write(Block::Comparison(result));
        Ok(())
    }

    /// Removes keys that an earlier run left, so the lesson starts from clean ones.
    pub async fn start_clean(&self, keys: &[String]) -> Outcome {
        let mut names: Vec<&str> = keys.iter().take(8).map(String::as_str).collect();
        if names.len() < keys.len() {
            names.push("…");
        }
        let mut connection = self.untraced(format!("Start clean: UNLINK {}", names.join(" ")));
        own_keys::unlink(&mut connection, keys).await?;
        Ok(())
    }

    /// The keys to open in Redis Insight afterward.
    pub fn keys<K: Into<String>>(&self, names: impl IntoIterator<Item = K>) {
        self.write(Block::Keys { names: names.into_iter().map(Into::into).collect() });
    }

    /// The round trip to the server, measured when the lesson began.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// `count`, or on a slow network as many as take about two seconds there, if each costs `round_trips`, one after the other;
    /// never fewer than `at_least`. Says so if it is fewer than `count`.
    #[must_use]
    pub fn fit(&self, what: &str, count: usize, at_least: usize, round_trips: f64) -> usize {
        let seconds_each = self.round_trip.as_secs_f64() * round_trips;
        let affordable = NETWORK_BUDGET.as_secs_f64() / seconds_each.max(1e-9);
        if self.round_trip < FAST || affordable >= count as f64 {
            return count;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is positive and below count"
        )]
        let fitting = (affordable as usize).max(at_least).min(count);
        if fitting < count {
            let what = if fitting == 1 { what.strip_suffix('s').unwrap_or(what) } else { what };
            let milliseconds = self.round_trip.as_secs_f64() * 1e3;
            self.say(format!(
                "This network takes {milliseconds:.0} ms for a round trip, so this part uses {fitting} {what} instead of {count}."
            ));
        }
        fitting
    }

    fn traced<C>(&self, server: Option<String>, connection: C) -> Transcript<C> {
        let screen = Arc::clone(&self.screen);
        Transcript::new(connection, Arc::new(move |exchange| screen.show(server.clone(), exchange)))
    }

    fn write(&self, block: Block) {
        self.screen.write(block);
    }
}

/// The shortest of a few, because a busy machine is not a slow network. The first one below [`FAST`] ends it.
async fn round_trip(target: &Target) -> RedisResult<Duration> {
    let mut connection = target.connection();
    let (started, mut shortest) = (Instant::now(), Duration::MAX);
    for _ in 0..MAX_PINGS {
        let begun = Instant::now();
        redis::cmd("PING").exec_async(&mut connection).await?;
        shortest = shortest.min(begun.elapsed());
        if shortest < FAST || started.elapsed() > PING_BUDGET {
            break;
        }
    }
    Ok(shortest)
}
