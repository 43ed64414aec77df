//! What a lesson writes on.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use lab_connection::transcript::{Exchange, Listener};
use lab_connection::{Connection, Target, Transcript, own_keys};
use redis::RedisResult;

use crate::block::Block;
use crate::comparison::{Approach, Comparison};
use crate::error::{LessonError, Outcome};
use crate::need::Need;
use crate::table::Facts;

/// Takes the blocks of a page as they come: a renderer that prints, or a list.
type Reader = Box<dyn FnMut(Block) + Send>;

/// The page of one lesson. Paragraphs, commands and checks appear in the order in which they happen.
pub struct Page {
    target: Target,
    reader: Arc<Mutex<Reader>>,
}

impl Page {
    /// A page over a server; `reader` gets every block at once.
    pub fn new(target: Target, reader: impl FnMut(Block) + Send + 'static) -> Self {
        Self { target, reader: Arc::new(Mutex::new(Box::new(reader))) }
    }

    /// The server.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What stands in front of every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.target.prefix()
    }

    /// The connection of the lesson; what is sent over it appears on the page.
    #[must_use]
    pub fn redis(&self) -> Transcript<Connection> {
        self.traced(self.target.connection())
    }

    /// A traced connection of one's own, for WATCH and blocking commands.
    pub async fn own_redis(&self) -> RedisResult<Transcript<Connection>> {
        Ok(self.traced(self.target.dedicated().await?))
    }

    /// A connection whose traffic does not appear, for crowds of clients and for preparing data.
    #[must_use]
    pub fn quietly(&self) -> Connection {
        self.target.connection()
    }

    /// Whether the server knows this command.
    pub async fn can(&self, command: &str) -> bool {
        self.target.can(command).await
    }

    /// A paragraph.
    pub fn say(&self, text: impl Into<String>) {
        self.write(Block::Say { text: text.into() });
    }

    /// Source text, such as a script, line by line as it is.
    pub fn listing(&self, text: impl Into<String>) {
        self.write(Block::Listing { text: text.into() });
    }

    /// A claim; a broken one ends the run.
    pub fn check(&self, claim: impl Into<String>, held: bool) -> Outcome {
        let claim = claim.into();
        self.write(Block::Check { claim: claim.clone(), held });
        if held { Ok(()) } else { Err(LessonError::Check(claim)) }
    }

    /// A claim about a value; when it is broken, both values are shown.
    pub fn check_eq<T: PartialEq + Debug>(&self, claim: &str, actual: &T, expected: &T) -> Outcome {
        if actual == expected {
            self.check(claim, true)
        } else {
            self.check(format!("{claim} (expected {expected:?}, got {actual:?})"), false)
        }
    }

    /// Says that this server cannot show a part, and who can.
    pub fn skip(&self, need: Need) {
        let Need { command, had_by } = need;
        let reason = format!("This server has no {command}; to see it, use {had_by}.");
        self.write(Block::Skipped { reason });
    }

    /// A small table of facts.
    pub fn facts(&self, facts: Facts) {
        self.write(Block::Facts(facts));
    }

    /// Verifies, then times, then shows approaches side by side.
    pub async fn compare<A: Approach>(&self, comparison: Comparison<'_, A>) -> Outcome {
        let measured = comparison.measure(&self.target).await?;
        self.write(Block::Comparison(measured));
        Ok(())
    }

    /// Removes keys that an earlier run left, so that the lesson starts from clean ones.
    pub async fn start_clean(&self, keys: &[String]) -> Outcome {
        own_keys::unlink(&mut self.quietly(), keys).await?;
        Ok(())
    }

    /// The keys to open in Redis Insight afterwards.
    pub fn keys<K: Into<String>>(&self, names: impl IntoIterator<Item = K>) {
        self.write(Block::Keys { names: names.into_iter().map(Into::into).collect() });
    }

    fn traced(&self, connection: Connection) -> Transcript<Connection> {
        Transcript::new(connection, Arc::new(Pen(Arc::clone(&self.reader))))
    }

    fn write(&self, block: Block) {
        deliver(&self.reader, block);
    }
}

/// Writes what a transcript hears onto the page.
struct Pen(Arc<Mutex<Reader>>);

impl Listener for Pen {
    fn heard(&self, exchange: Exchange) {
        deliver(&self.0, Block::Exchange(exchange.into()));
    }
}

fn deliver(reader: &Mutex<Reader>, block: Block) {
    // A reader that panicked has already said so; the page goes on.
    reader.lock().unwrap_or_else(PoisonError::into_inner)(block);
}
