//! One step at a time, in a terminal: shows a step, waits for a key, and knows where to go.

use std::sync::Mutex;

use textwrap::core::display_width;

use crate::keyboard::{Key, key};
use crate::mutex::lock;
use crate::terminal::{NO_BREAK, Terminal, filled_rows, forget_rows, rows_of};

/// Where to go from a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// To the next step, or the next lesson.
    On,
    /// To the lesson with this index in the course.
    To(usize),
    /// To the end of the program.
    Quit,
}

/// What a learner answered at a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Where to go.
    Go(Go),
    /// One of the choices, from 0.
    Choice(usize),
    /// To a console on the lesson's server, and back to this prompt.
    Console,
}

/// The narrowest terminal; a prompt fits it.
const COLUMNS: usize = 60;
/// The rows of the screen that a prompt needs.
const PROMPT_ROWS: usize = 2;

/// Shows the steps of one lesson.
pub(crate) struct Stepper {
    /// The names of the course's lessons, in order.
    names: Vec<&'static str>,
    /// Whether a person is there to wait for.
    may_wait: bool,
    /// Whether it waits now. If not, all is printed at once.
    waits: bool,
    /// Lines of this step that did not fit the screen, shown at its end.
    rest: Vec<String>,
    /// The steps of this lesson so far, as they were shown.
    steps: Vec<String>,
    /// Whether something happened in this step besides paragraphs and announcements.
    active: bool,
}

impl Stepper {
    pub(crate) fn new(names: Vec<&'static str>, waits: bool) -> Self {
        Self { names, may_wait: waits, waits, rest: Vec::new(), steps: vec![String::new()], active: false }
    }

    /// Shows a part of the current step, as far as the screen has room for it.
    pub(crate) fn show(&mut self, text: &str, only_talks: bool) {
        self.active |= !only_talks;
        if let Some(step) = self.steps.last_mut() {
            step.push_str(text);
            step.push('\n');
        }
        if !self.waits {
            Terminal.line(text);
            return;
        }
        for line in text.split('\n') {
            if self.rest.is_empty() && has_room_for(line) {
                Terminal.line(line);
            } else {
                self.rest.push(line.to_owned());
            }
        }
    }

    /// Whether the next step has to wait for a key. Steps that only talk run on into the next.
    pub(crate) fn has_step_to_read(&self) -> bool {
        self.waits && self.active
    }

    /// At the end of a lesson it waits again, even if the rest of the lesson ran on.
    pub(crate) fn wait_again(&mut self) {
        self.waits = self.may_wait;
    }

    /// A step begins.
    pub(crate) fn begin_step(&mut self) {
        if self.active {
            self.steps.push(String::new());
            self.active = false;
        }
    }

    /// Everything from here on is shown without waiting.
    pub(crate) fn run_on(&mut self) {
        self.waits = false;
        for line in std::mem::take(&mut self.rest) {
            Terminal.line(&line);
        }
    }

    /// What does not fit the screen, one screen at a time; `false` at its end.
    fn show_next_page(&mut self) -> bool {
        if self.rest.is_empty() {
            return false;
        }
        let mut shown = 0;
        while let Some(line) = self.rest.get(shown).filter(|line| shown == 0 || has_room_for(line)) {
            Terminal.line(line);
            shown += 1;
        }
        self.rest.drain(..shown);
        true
    }

    fn lesson_called(&self, entry: &str) -> Option<usize> {
        let entry = entry.strip_prefix(':').unwrap_or(entry).trim().to_lowercase();
        let number = entry.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let index = number.or_else(|| self.names.iter().position(|name| *name == entry))?;
        (index < self.names.len()).then_some(index)
    }

    /// Whether a question waits for an answer.
    pub(crate) fn asks(&self) -> bool {
        self.waits
    }

    /// Waits at the end of a step, or after a question with choices, until it is clear where to go. `next` says what Enter does.
    pub(crate) async fn pause(stepper: &Mutex<Self>, next: &str, choices: usize) -> Answer {
        let mut back = 0;
        loop {
            let more = !lock(stepper).rest.is_empty();
            let enter = if more { "more" } else { next };
            // A question comes last, so it is not on the screen yet.
            let choices = if more { 0 } else { choices };
            // A color may have begun in a line above whose end is on the next page.
            let prompt = format!("{}\n{}", anstyle::Reset, key_hints(enter, choices));
            let pressed = key(prompt, choices).await;
            // The prompt gives way to what comes next.
            Terminal.prompt(&format!("\r{:60}\r", ""));
            let mut stepper = lock(stepper);
            forget_rows();
            match pressed {
                Key::Enter if stepper.show_next_page() => {}
                Key::Enter => return Answer::Go(Go::On),
                Key::Char(' ' | 'a') => {
                    stepper.run_on();
                    return Answer::Go(Go::On);
                }
                Key::Char('>') => return Answer::Console,
                Key::Char('q') | Key::End => return Answer::Go(Go::Quit),
                Key::Char(digit @ '1'..='9') => return Answer::Choice(digit as usize - '1' as usize),
                Key::Char('b') => {
                    let steps = stepper.steps.len();
                    back = (back + 1).min(steps - 1);
                    let shown = steps - 1 - back;
                    Terminal.line(&format!("── step {} of this lesson, again", shown + 1));
                    let again: Vec<String> = stepper.steps[shown].lines().map(str::to_owned).collect();
                    stepper.rest.splice(..0, again);
                    stepper.show_next_page();
                }
                Key::Char(_) => stepper.help(next),
                // Everything that was typed was taken back.
                Key::Line(entry) if entry.is_empty() => {}
                Key::Line(entry) if matches!(entry.as_str(), "quit" | "exit") => return Answer::Go(Go::Quit),
                Key::Line(entry) => {
                    if let Some(index) = stepper.lesson_called(&entry) {
                        return Answer::Go(Go::To(index));
                    }
                    let all = format!("There is no lesson {entry:?}. There are: {}.", stepper.numbered());
                    Terminal.paragraph(&all);
                }
            }
        }
    }

    fn help(&self, next: &str) {
        let lines = [
            format!("Enter       {next}"),
            "space or a  the rest of this lesson at once".into(),
            ">           a console on this server, as redis-cli; back returns".into(),
            "b           the step before, again".into(),
            ":7          lesson 7; its number alone will do".into(),
            ":counters   the lesson of this name".into(),
            "q           quit; the next time, you continue with this lesson".into(),
        ];
        Terminal.line(&lines.join("\n"));
        Terminal.paragraph(&format!("Lessons: {}.", self.numbered()));
    }

    fn numbered(&self) -> String {
        let numbered = self.names.iter().enumerate();
        let numbered: Vec<String> =
            numbered.map(|(index, name)| format!("{}.{NO_BREAK}{name}", index + 1)).collect();
        numbered.join(", ")
    }
}

/// Which key does what. Where there is no room for all, `?` explains the others.
fn key_hints(enter: &str, choices: usize) -> String {
    let guess = if choices > 0 { format!("1-{choices}, ") } else { String::new() };
    let hints = |all: &str, back: &str| format!("{guess}Enter: {enter} · {all}>: try · {back}q: quit · ? ");
    let tries = [hints("a: all · ", "b: back · "), hints("", "b: back · ")];
    let fitting = tries.into_iter().find(|hints| display_width(hints) < COLUMNS);
    fitting.unwrap_or_else(|| hints("", ""))
}

/// Whether the line fits on the screen above the prompt.
fn has_room_for(line: &str) -> bool {
    filled_rows() + rows_of(line) + PROMPT_ROWS <= Terminal.height()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_is_called_by_number_or_name_in_any_case() {
        let stepper = Stepper::new(vec!["strings", "expiry", "counters"], true);
        for (entry, index) in [("3", 2), (":3", 2), (":Counters", 2), ("STRINGS", 0), (": expiry", 1)] {
            assert_eq!(stepper.lesson_called(entry), Some(index), "{entry}");
        }
        for bad in [":0", ":4", "-1", "99999999999999999999", "string", "2 3", ":"] {
            assert_eq!(stepper.lesson_called(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_prompt_fits_the_narrowest_terminal() {
        for (enter, choices) in [("more", 0), ("next step", 0), ("skip", 4), ("30. leaderboards-of-games", 0)]
        {
            let hints = key_hints(enter, choices);
            assert!(display_width(&hints) < COLUMNS, "{hints}");
        }
        assert!(key_hints("next step", 0).contains("a: all") && key_hints("skip", 4).contains("a: all"));
    }

    #[test]
    fn steps_that_only_talk_are_read_with_the_next() {
        let mut stepper = Stepper::new(vec!["strings"], true);
        stepper.begin_step();
        stepper.show("An introduction.", true);
        assert!(!stepper.has_step_to_read());
        stepper.begin_step();
        stepper.show("> GET x", false);
        assert!(stepper.has_step_to_read());
        assert_eq!(stepper.steps, ["An introduction.\n> GET x\n"]);
    }
}
