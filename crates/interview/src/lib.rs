//! REDIS_GUIDE.md: its examples executed, its questions asked.
//!
//! In reading order:
//!
//! 1. [`guide`]: the Markdown becomes topics, questions and examples; every deviation from its format is an error.
//! 2. [`block`]: an example, a `redis-cli` session; [`words`] splits its command lines.
//! 3. [`session`] executes a block on servers of its own, [`matching`] compares the replies with the expected ones,
//!    [`execution`] does that for all examples of a question and says what is wrong.
//! 4. `arguments`: the command line; `chosen`: the questions that it means.
//! 5. `page`: questions and answers as text; `document`: as JSON.
//! 6. [`progress`]: what is due when, kept in Redis. `quiz` asks.

mod arguments;
pub mod block;
mod chosen;
mod document;
pub mod execution;
pub mod guide;
pub mod matching;
mod page;
pub mod progress;
mod quiz;
pub mod session;
pub mod words;

/// The guide's Rust is compiled with the documentation's examples.
#[cfg(doctest)]
#[expect(
    rustdoc::invalid_codeblock_attributes,
    reason = "rustdoc does not know what examples may need: `key=value`"
)]
#[doc = include_str!("../../../REDIS_GUIDE.md")]
struct RustOfTheGuide;

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_server::Choice;

pub use crate::arguments::Arguments;
use crate::guide::Guide;

/// Lists, prints or asks the questions that were chosen.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let guide = Guide::built_in().map_err(|faults| {
        let why = faults
            .0
            .first()
            .map_or_else(String::new, |fault| format!("line {}: {}", fault.line, fault.problem));
        Failure::new(Class::Other, "The guide that this program was built with is not in its format.", why)
            .try_next("cargo test -p interview: tells everything that is wrong with it")
    })?;
    let chosen = chosen::questions(guide, &arguments)?;
    if arguments.list {
        if arguments.json {
            Terminal.document(&document::list(&chosen));
        } else {
            Terminal.line(&page::list(&chosen));
        }
        return Ok(());
    }
    let choice = examples_choice(&arguments)?;
    if arguments.json {
        let document = blocking(move || document::answers(&chosen, &choice)).await?;
        Terminal.document(&document);
        Ok(())
    } else if Terminal.interactive() {
        quiz::run(&chosen, &choice, &arguments).await
    } else {
        blocking(move || page::print(&chosen, &choice)).await
    }
}

/// The servers of the examples are always private: examples write any keys.
fn examples_choice(arguments: &Arguments) -> Result<Choice, Failure> {
    let target = &arguments.target;
    Choice::from_flags(target.server, target.server_program.clone(), target.no_fetch).map_err(|error| {
        Failure::new(Class::NoServer, "No private server could be started.", error.to_string())
    })
}

/// Work that waits for servers, on a thread of its own: so that Ctrl-C is heard.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(Class::Other, "An example could not be executed.", error.to_string()))
}
