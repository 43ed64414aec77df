//! Waiting between lessons, in a terminal.

use crate::entry::ask;
use crate::lesson::Lesson;
use crate::terminal::Terminal;

/// Where to go after a lesson.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// To the lesson with this index; past the last one, the end.
    To(usize),
    /// Nowhere.
    Quit,
}

/// Asks between lessons, or does not.
pub(crate) struct Pause {
    names: Vec<&'static str>,
    waits: bool,
}

impl Pause {
    pub(crate) fn between(lessons: &[&'static Lesson], waits: bool) -> Self {
        Self { names: lessons.iter().map(|lesson| lesson.name).collect(), waits }
    }

    /// Waits for Enter, `q`, or the number or name of a lesson. A bad entry asks again; the end of input quits.
    pub(crate) async fn after(&mut self, index: usize) -> Go {
        let next = index + 1;
        if !self.waits || next >= self.names.len() {
            return Go::To(next);
        }
        loop {
            let (number, name) = (next + 1, self.names[next]);
            let question = format!("\nEnter for {number}. {name}; a number or name to jump; q to quit: ");
            let Some(entry) = ask(&question).await else { return Go::Quit };
            match self.understand(&entry, next) {
                Some(go) => return go,
                None => Terminal.line(&format!(
                    "There are lessons 1 to {}: {}",
                    self.names.len(),
                    self.names.join(", ")
                )),
            }
        }
    }

    fn understand(&self, entry: &str, next: usize) -> Option<Go> {
        match entry {
            "" => Some(Go::To(next)),
            "q" | "quit" | "exit" => Some(Go::Quit),
            other => {
                let number = other.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                let index = number.or_else(|| self.names.iter().position(|name| *name == other))?;
                (index < self.names.len()).then_some(Go::To(index))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_mean_what_the_prompt_says() {
        let pause = Pause { names: vec!["strings", "expiry", "counters"], waits: true };
        assert_eq!(pause.understand("", 1), Some(Go::To(1)));
        assert_eq!(pause.understand("q", 1), Some(Go::Quit));
        assert_eq!(pause.understand("3", 1), Some(Go::To(2)));
        assert_eq!(pause.understand("strings", 1), Some(Go::To(0)));
        for bad in ["0", "4", "-1", "99999999999999999999", "string", "2 3"] {
            assert_eq!(pause.understand(bad, 1), None, "{bad}");
        }
    }
}
