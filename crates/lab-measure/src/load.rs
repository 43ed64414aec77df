//! What the loader sends, each command made from its number: records, indexes, questions about both, and removals.

mod indexes;
mod read_back;
mod sources;

use bulk_loader::{LoadError, Loaded, Loader, Progress, Source};

pub use self::indexes::{IndexCommands, PER_CHUNK};
pub use self::read_back::{MemberQuestions, RecordQuestions, SizeQuestions};
pub use self::sources::{Elements, Kind, PushKey, Strings, Unlink, Users, UsersAndIndexes};

/// Timed: sends everything that `source` has. Blocks the thread.
pub fn run(
    loader: &Loader,
    source: &mut (dyn Source + Send),
    progress: &mut dyn FnMut(Progress),
) -> Result<Loaded, LoadError> {
    loader.load(&mut AnySource(source), progress)
}

/// The loader is compiled once, for this source, rather than once for each of them.
struct AnySource<'a>(&'a mut (dyn Source + Send));

impl Source for AnySource<'_> {
    fn commands(&self) -> u64 {
        self.0.commands()
    }

    fn records_before(&self, command: u64) -> u64 {
        self.0.records_before(command)
    }

    fn write(&mut self, command: u64, again: bool, out: &mut Vec<u8>) {
        self.0.write(command, again, out);
    }

    fn slot(&mut self, command: u64) -> u16 {
        self.0.slot(command)
    }

    fn describe(&self, command: u64) -> String {
        self.0.describe(command)
    }

    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        self.0.accepts(command, reply)
    }

    fn repetition(&self) -> bulk_loader::Repetition {
        self.0.repetition()
    }

    fn long_replies(&self) -> bool {
        self.0.long_replies()
    }
}
