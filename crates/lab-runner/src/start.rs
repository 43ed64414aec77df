//! Parse, run, and turn the result into an exit code.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_connection::transcript::for_terminal;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::terminal::Terminal;
use crate::{activity, keyboard};

/// What [`start`] needs to know of a command line.
pub trait Cli {
    /// Whether the output is one JSON document. Then a failure is one, too.
    fn json(&self) -> bool;
}

/// 0 done, 1 a check failed, 2 usage, 3 cannot connect, 4 not allowed, 5 the server lacks a feature,
/// 130 interrupted.
pub fn start<C, R, F>(run: R) -> ExitCode
where
    C: CommandFactory + FromArgMatches + Cli,
    R: FnOnce(C) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    start_service(|cli| async {
        tokio::select! {
            // In this order, so Ctrl-C is noticed before anything begins.
            biased;
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
            () = terminated() => Err(Failure::new(Class::Interrupted, "Terminated.", "A signal ended the program.")),
            ended = run(cli) => ended,
        }
    })
}

/// [`start`] for a program that ends in its own time after Ctrl-C, as a service does.
pub fn start_service<C, R, F>(run: R) -> ExitCode
where
    C: CommandFactory + FromArgMatches + Cli,
    R: FnOnce(C) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    let cli = match parse::<C>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let json = cli.json();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            Terminal.note(&format!("error: the system cannot start threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async { run(cli).await });
    // A thread may still wait for input that nobody needs.
    runtime.shutdown_background();
    keyboard::restore();
    lab_console::modes::restore();
    activity::pause();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

/// Waits for SIGTERM or SIGHUP, so that the terminal is restored after them, too.
async fn terminated() {
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

fn interrupted() -> Failure {
    Failure::new(
        Class::Interrupted,
        "Interrupted.",
        "You pressed Ctrl-C. On a server of your own, the keys that were written stay.",
    )
}

/// Says what went wrong and returns the exit code for it.
fn report(failure: &Failure, json: bool) -> ExitCode {
    if json {
        Terminal.document(&json!({ "error": failure }));
    } else {
        Terminal.note(&format!("\n{failure}"));
    }
    ExitCode::from(failure.exit_code())
}

/// As clap does it, but what people typed is shown without passwords and without control characters.
fn parse<C: CommandFactory + FromArgMatches>() -> Result<C, ExitCode> {
    let parsed = C::command().try_get_matches().and_then(|matches| C::from_arg_matches(&matches));
    parsed.map_err(|error| {
        if !error.use_stderr() {
            Terminal.line(error.render().ansi().to_string().trim_end());
            return ExitCode::SUCCESS;
        }
        let text = without_passwords(&error.render().to_string());
        let lines: Vec<_> = text.trim_end().lines().map(for_terminal).collect();
        if std::env::args_os().any(|argument| argument == "--json") {
            let what = lines.first().map_or("wrong arguments", AsRef::as_ref);
            report(&Failure::new(Class::Usage, what, "See --help."), true);
        } else {
            Terminal.note(&lines.join("\n"));
        }
        ExitCode::from(2)
    })
}

/// Replaces what is between the first `://` and the last `@`, and what follows `pass=`. A password may hold spaces, quotes, and line
/// breaks.
fn without_passwords(text: &str) -> String {
    let mut shown = text.to_owned();
    if let (Some(from), Some(to)) = (shown.find("://"), shown.rfind('@'))
        && from + 3 <= to
    {
        shown.replace_range(from + 3..to, "(redacted)");
    }
    if let Some(at) = shown.find("pass=") {
        shown.replace_range(at + 5.., "(redacted)");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_typed_in_the_wrong_place_are_not_repeated() {
        let shown =
            without_passwords("error: invalid value 'redis://u:s3cret@h:1/0' for '[LESSON]...'\n\nhelp\n");
        assert_eq!(shown, "error: invalid value 'redis://(redacted)@h:1/0' for '[LESSON]...'\n\nhelp\n");
        assert!(!without_passwords("unexpected 'redis+unix:///x?pass=s3cret' found\n").contains("s3cret"));
        assert_eq!(without_passwords("'redis://:p@s s\n'w@h'"), "'redis://(redacted)@h'");
    }
}
