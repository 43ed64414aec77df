//! What the quiz says to you and asks of you.

use std::time::{Duration, Instant};

use lab_runner::Terminal;
use lab_runner::input::{ask, entry};
use serde::Serialize;

use crate::progress::Grade;

const SHOW: &str = "Enter shows the answer, s skips it, q quits: ";
const GRADES: &str = "g good, h hard, a again, s no grade, q quit: ";

/// A conversation, against the clock if there is a timer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dialog {
    /// Standard output is for a JSON document, so all of this goes to standard error.
    pub(super) beside_json: bool,
    pub(super) timer: Option<Timer>,
}

/// Why a conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the end of the input is called that")]
pub(super) enum End {
    Quit,
    EndOfInput,
    Time,
    AllAsked,
}

impl Dialog {
    pub(super) fn line(self, text: &str) {
        if self.beside_json { Terminal.note(text) } else { Terminal.line(text) }
    }

    /// Waits until you want to see the answer (`true`) or skip it. When the time is up, it waits no longer.
    pub(super) async fn think(self) -> Result<bool, End> {
        self.choose("", SHOW, &[("", true), ("s", false)], true).await
    }

    /// Your grade, or nothing if you give none. It takes a key on purpose: Enter alone asks again. You may take your time.
    pub(super) async fn grade(self) -> Result<Option<Grade>, End> {
        let choices =
            [("g", Some(Grade::Good)), ("h", Some(Grade::Hard)), ("a", Some(Grade::Again)), ("s", None)];
        self.choose("How was it? ", GRADES, &choices, false).await
    }

    /// Asks until the entry is one of these, or `q`. A whole word counts as its first letter.
    async fn choose<T: Copy>(
        self,
        lead: &str,
        question: &str,
        choices: &[(&str, T)],
        ends_with_time: bool,
    ) -> Result<T, End> {
        loop {
            let left = self.timer.map(|timer| timer.left(Instant::now()));
            let lead = match left {
                None => lead.to_owned(),
                Some(Duration::ZERO) if ends_with_time => return Err(End::Time),
                Some(Duration::ZERO) => "Time is up. ".to_owned(),
                Some(left) => format!("{} left. ", clock(left)),
            };
            let entering = self.enter(format!("\n{lead}{question}"));
            let entered = match left.filter(|_| ends_with_time) {
                Some(left) => tokio::time::timeout(left, entering).await.map_err(|_| End::Time)?,
                None => entering.await,
            };
            let entered = entered.ok_or(End::EndOfInput)?.to_lowercase();
            let letter = match entered.as_str() {
                "good" | "hard" | "again" | "skip" | "quit" => &entered[..1],
                other => other,
            };
            if letter == "q" {
                return Err(End::Quit);
            }
            if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == letter) {
                return Ok(*chosen);
            }
            self.line("That is none of the keys.");
        }
    }

    async fn enter(self, prompt: String) -> Option<String> {
        if !self.beside_json {
            return ask(&prompt).await;
        }
        Terminal.note(&prompt);
        entry().await
    }
}

/// How long an interview takes, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) began: Instant,
    pub(super) time: Duration,
}

impl Timer {
    /// How much of the time is left.
    fn left(self, now: Instant) -> Duration {
        self.time.saturating_sub(now.saturating_duration_since(self.began))
    }
}

/// `44:59`, or `1:29:59`; a second that has begun counts.
fn clock(left: Duration) -> String {
    let seconds = left.as_millis().div_ceil(1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_falls_to_zero() {
        let (began, time) = (Instant::now(), Duration::from_mins(90));
        let timer = Timer { began, time };
        let shown = |seconds: f64| clock(timer.left(began + Duration::from_secs_f64(seconds)));
        assert_eq!([0.0, 0.5, 1.0, 1801.0].map(shown), ["1:30:00", "1:30:00", "1:29:59", "59:59"]);
        assert_eq!([5399.5, 5400.0, 9999.0].map(shown), ["0:01", "0:00", "0:00"]);
        assert_eq!(timer.left(began + time), Duration::ZERO);
    }
}
