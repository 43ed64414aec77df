//! The command line.

mod show;
mod watch;

use std::io;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use lab_server::{Choice, Release};
use serde_json::json;

use crate::catalog::{self, EXERCISES};
use crate::exercise::{Exercise, Kind};
use crate::lab::Lab;
use crate::rust;
use crate::verdict::{Fault, Verdict};
use crate::work::{FOLDER, Work};

/// Exercises: repair code that is wrong in the way people get it wrong
#[derive(Debug, Parser)]
#[command(name = "exercises", bin_name = "cargo exercises", version, about)]
pub struct Cli {
    /// What to do [default: watch]
    #[command(subcommand)]
    command: Option<Command>,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    options: Options,
}

/// Where, and on which server.
#[derive(Args, Clone, Debug)]
struct Options {
    /// The folder of your files [default: exercises-work in the project]
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// The release of the private servers: valkey-9.1, redis-7.0, redis-8.2, redis-8.2-modules or redis-8.10
    #[arg(long, global = true, value_name = "RELEASE")]
    server: Option<Release>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the next exercise, and check your file each time you save it
    Watch {
        /// Begin with this exercise [default: the first that is not done]
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// All exercises, and which are done
    List,
    /// Check your file once
    Run {
        /// The exercise [default: the first that is not done]
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// The next of three hints
    Hint {
        /// The exercise [default: the first that is not done]
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Begin again; what you wrote is copied first
    Reset {
        /// The exercise
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// A right answer and why it is right, once you have solved it
    Solution {
        /// The exercise
        #[arg(value_name = "NAME")]
        name: String,

        /// Show it although you have not solved it yet
        #[arg(long)]
        anyway: bool,
    },
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        self.json
    }
}

/// Everything that a command needs.
struct Session {
    work: Work,
    lab: Lab,
    json: bool,
}

/// Runs a command.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let choice = Choice::from_flags(cli.options.server, None, false).map_err(|error| {
        Failure::new(Class::NoServer, "There is no server to check with.", error.to_string())
    })?;
    let folder = cli.options.folder.unwrap_or_else(|| rust::root().join(FOLDER));
    let work = Work::open(&folder).map_err(|error| cannot_write(&folder.display().to_string(), &error))?;
    let session = Session { work, lab: Lab::new(choice), json: cli.json };
    let watches = !cli.json && Terminal.interactive();
    match cli.command.unwrap_or(if watches { Command::Watch { name: None } } else { Command::List }) {
        Command::Watch { name } => watch::watch(&session, session.next(name.as_deref())?).await,
        Command::List => {
            session.list();
            Ok(())
        }
        Command::Run { name } => session.run(session.next(name.as_deref())?).await,
        Command::Hint { name } => session.hint(session.next(name.as_deref())?),
        Command::Reset { name } => session.reset(named(&name)?),
        Command::Solution { name, anyway } => session.solution(named(&name)?, anyway),
    }
}

impl Session {
    /// The exercise of this name, or the first that is not done, or the first.
    fn next(&self, name: Option<&str>) -> Result<&'static Exercise, Failure> {
        match name {
            Some(name) => named(name),
            None => Ok(self.first_to_do().unwrap_or(&EXERCISES[0])),
        }
    }

    fn first_to_do(&self) -> Option<&'static Exercise> {
        let done = self.work.progress().done;
        EXERCISES.iter().find(|exercise| !done.contains(exercise.name))
    }

    fn list(&self) {
        let done = self.work.progress().done;
        if self.json {
            let exercises: Vec<_> = EXERCISES
                .iter()
                .map(|exercise| {
                    json!({
                        "name": exercise.name, "kind": exercise.kind, "lesson": exercise.lesson(), "title": exercise.title(),
                        "file": self.work.file(exercise), "done": done.contains(exercise.name),
                    })
                })
                .collect();
            Terminal.document(&json!({ "exercises": exercises }));
        } else {
            show::list(&done);
        }
    }

    /// Runs the check of an exercise on the learner's file.
    async fn check(&self, exercise: &'static Exercise) -> Result<Verdict, Failure> {
        let file = self.work.begin(exercise).map_err(|error| cannot_write(&exercise.file_name(), &error))?;
        let verdict = if exercise.kind == Kind::Rust {
            rust::check(exercise, &file).await
        } else {
            match self.work.read(exercise) {
                Ok(answer) => catalog::check(exercise, &answer, &self.lab).await,
                Err(error) => Err(Fault::new(format!("Your file cannot be read: {error}"))),
            }
        };
        if verdict.is_ok() {
            let done = self.work.change(|progress| {
                progress.done.insert(exercise.name.to_owned());
            });
            done.map_err(|error| cannot_write("your progress", &error))?;
        }
        Ok(verdict)
    }

    async fn run(&self, exercise: &'static Exercise) -> Result<(), Failure> {
        let verdict = self.check(exercise).await?;
        if self.json {
            let document = match &verdict {
                Ok(passed) => json!({ "exercise": exercise.name, "passed": true, "observed": passed.0 }),
                Err(fault) => json!({
                    "exercise": exercise.name, "passed": false, "what": fault.what, "observed": fault.observed,
                }),
            };
            Terminal.document(&document);
        } else {
            show::verdict(exercise, &verdict, &self.work.file(exercise));
        }
        verdict.map(drop).map_err(|_| {
            Failure::new(
                Class::CheckFailed,
                format!("{} is not solved yet.", exercise.name),
                "See what was observed.",
            )
            .try_next(format!("cargo exercises hint {}", exercise.name))
        })
    }

    fn hint(&self, exercise: &'static Exercise) -> Result<(), Failure> {
        let seen = self.work.progress().hints.get(exercise.name).copied().unwrap_or_default();
        let level = (seen + 1).min(3);
        let hint = exercise.hint(level).unwrap_or_default();
        self.work
            .change(|progress| {
                progress.hints.insert(exercise.name.to_owned(), level);
            })
            .map_err(|error| cannot_write("your progress", &error))?;
        if self.json {
            Terminal.document(&json!({ "exercise": exercise.name, "level": level, "hint": hint }));
        } else {
            Terminal.line(&format!("Hint {level} of 3 for {}", exercise.name));
            show::prose(hint);
        }
        Ok(())
    }

    fn reset(&self, exercise: &'static Exercise) -> Result<(), Failure> {
        let copy = self.work.reset(exercise).map_err(|error| cannot_write(&exercise.file_name(), &error))?;
        let file = self.work.file(exercise);
        if self.json {
            Terminal.document(&json!({ "exercise": exercise.name, "file": file, "copy": copy }));
            return Ok(());
        }
        if let Some(copy) = copy {
            Terminal.paragraph(&format!("What you wrote is in {}.", copy.display()));
        }
        Terminal.paragraph(&format!("{} is as it was at the start.", file.display()));
        Ok(())
    }

    fn solution(&self, exercise: &'static Exercise, anyway: bool) -> Result<(), Failure> {
        if !anyway && !self.work.progress().done.contains(exercise.name) {
            let what = format!("You have not solved {} yet.", exercise.name);
            return Err(Failure::new(Class::Usage, what, "A solution teaches most after your own.")
                .try_next(format!("cargo exercises hint {}", exercise.name))
                .try_next(format!("cargo exercises solution {} --anyway", exercise.name)));
        }
        if self.json {
            Terminal.document(
                &json!({ "exercise": exercise.name, "solution": exercise.solution, "why": exercise.why() }),
            );
        } else {
            show::solution(exercise);
        }
        Ok(())
    }
}

fn named(name: &str) -> Result<&'static Exercise, Failure> {
    // A path to the learner's file will do, too.
    let stem = std::path::Path::new(name)
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    catalog::find(&stem).ok_or_else(|| {
        Failure::new(
            Class::Usage,
            format!("There is no exercise '{name}'."),
            "Each has a name such as sell-one-ticket.",
        )
        .try_next("cargo exercises list")
    })
}

fn cannot_write(what: &str, error: &io::Error) -> Failure {
    Failure::new(Class::Other, format!("Cannot write {what}."), error.to_string())
        .try_next("--folder FOLDER: another place for your files")
}
