//! What the loader sends, each command made from its number: records, indexes, removals, and reads of all that was written.

mod indexes;
mod reads;
mod writes;

use bulk_loader::{LoadError, Loaded, Loader, Progress, Source};

pub use self::indexes::{IndexSizes, Indexes};
pub use self::reads::RecordReads;
pub use self::writes::{ListElements, Strings, Unlink, Users};

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A Hash of eight fields: `user:1`
    #[default]
    Users,
    /// A String of the same values: `user_text:1`
    Strings,
    /// An element of one List: `biglist`
    List,
}

impl Kind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Strings => "strings",
            Self::List => "list",
        }
    }

    /// Records in one command that writes or reads them; on a cluster one key at a time, because they live in different slots.
    fn per_command(self, cluster: bool) -> u64 {
        match self {
            Self::Users => 1,
            Self::Strings if cluster => 1,
            Self::Strings => 50,
            Self::List => 1_000,
        }
    }
}

/// Timed: sends everything that `source` has. Blocks the thread. The loader is compiled once, for any source.
pub fn run(
    loader: &Loader,
    source: &mut (dyn Source + Send),
    progress: &mut dyn FnMut(Progress),
) -> Result<Loaded, LoadError> {
    loader.load(source, progress)
}
