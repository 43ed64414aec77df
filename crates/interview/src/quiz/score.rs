//! How a mock interview went.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::HumanDuration;
use lab_runner::render::wrap;
use lab_runner::table::Table;
use serde_json::{Value, json};

use super::dialog::End;
use crate::guide::{Question, anchor};
use crate::progress::Grade;
use crate::{ChosenQuestion, page};

/// So many questions are named to read next.
const MOST_TO_READ: usize = 10;

/// What was asked and how it went.
pub(super) struct Score {
    pub(super) seed: u64,
    pub(super) time: Duration,
    pub(super) elapsed: Duration,
    pub(super) end: End,
    pub(super) answers: Vec<Answer>,
}

/// A graded answer to a question, or to a follow-up of it.
pub(super) struct Answer {
    pub(super) asked: ChosenQuestion,
    pub(super) follow_up: Option<String>,
    pub(super) grade: Grade,
}

/// How often each grade was given.
#[derive(Clone, Copy, Default)]
struct Counts {
    good: usize,
    hard: usize,
    again: usize,
}

impl Counts {
    fn of<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        let mut counts = Self::default();
        for answer in answers {
            match answer.grade {
                Grade::Good => counts.good += 1,
                Grade::Hard => counts.hard += 1,
                Grade::Again => counts.again += 1,
            }
        }
        counts
    }

    /// Good counts 1, hard a half, again nothing; 0 to 100, rounded down.
    fn percent(self) -> usize {
        let Self { good, hard, again } = self;
        (good * 100 + hard * 50).checked_div(good + hard + again).unwrap_or(0)
    }

    fn to_json(self) -> Value {
        json!({ "good": self.good, "hard": self.hard, "again": self.again, "score_percent": self.percent() })
    }
}

impl Score {
    pub(super) fn to_text(&self, width: usize) -> String {
        let why = match self.end {
            End::Quit | End::NoMoreInput => "You ended it",
            End::TimeIsUp => "Time is up",
            End::AllAsked => "All questions were asked",
        };
        let end = format!("\n{why}, after {} of {}.", HumanDuration(self.elapsed), HumanDuration(self.time));
        if self.answers.is_empty() {
            return format!("{end} Nothing was graded, so there is no score.");
        }
        let cells = |counts: Counts| {
            let Counts { good, hard, again } = counts;
            [good.to_string(), hard.to_string(), again.to_string(), format!("{} %", counts.percent())]
        };
        let table = Table::new("", &["topic", "good", "hard", "again", "score"]);
        let table = self
            .by_topic()
            .into_iter()
            .fold(table, |table, (topic, counts)| table.labeled(topic, cells(counts)));
        let table = table.labeled("all", cells(Counts::of(&self.answers)));
        let mut lines = vec![
            end,
            String::new(),
            table.to_text(width),
            wrap(
                "A good answer counts 1, a hard one a half. Follow-ups count as questions do.",
                width,
                "",
                "",
            ),
            String::new(),
        ];
        let weak = self.weak_questions();
        if weak.is_empty() {
            lines.push("Nothing was hard or missed.".into());
            return lines.join("\n");
        }
        lines.push("Read next in REDIS_GUIDE.md, the weakest first:".into());
        for question in &weak {
            lines.push(page::title(question, width));
        }
        let lessons: Vec<String> = lessons_of(&weak);
        if !lessons.is_empty() {
            let lessons = format!("See it happen: cargo tour {}", lessons.join(" "));
            lines.push(wrap(&lessons, width, "", "  "));
        }
        let numbers: Vec<String> = weak.iter().map(|question| question.number.to_string()).collect();
        let again = format!("Answer again: cargo interview --question {}", numbers.join(","));
        lines.push(wrap(&again, width, "", "  "));
        lines.join("\n")
    }

    pub(super) fn to_json(&self) -> Value {
        let answers = self.answers.iter().map(|Answer { asked: (topic, question), follow_up, grade }| {
            json!({ "number": question.number, "title": question.title, "topic": topic.title,
                "follow_up": follow_up, "grade": grade.name() })
        });
        let topics = self.by_topic().into_iter().map(|(topic, counts)| {
            let mut document = counts.to_json();
            document["topic"] = json!(topic);
            document
        });
        let read_next = self.weak_questions().into_iter().map(|question| {
            let link = anchor(&format!("{}. {}", question.number, question.title));
            json!({ "number": question.number, "title": question.title,
                "link": format!("REDIS_GUIDE.md#{link}"), "lessons": question.lessons() })
        });
        let ended = match self.end {
            End::Quit => "quit",
            End::NoMoreInput => "end_of_input",
            End::TimeIsUp => "time",
            End::AllAsked => "all_asked",
        };
        let mut document = Counts::of(&self.answers).to_json();
        for (name, value) in [
            ("seed", json!(self.seed)),
            ("seconds", json!(self.time.as_secs())),
            ("elapsed_seconds", json!(self.elapsed.as_secs())),
            ("ended", json!(ended)),
            ("answers", answers.collect()),
            ("topics", topics.collect()),
            ("read_next", read_next.collect()),
        ] {
            document[name] = value;
        }
        json!({ "mock": document })
    }

    /// The topics with their grades, the weakest first.
    fn by_topic(&self) -> Vec<(&'static str, Counts)> {
        let mut topics: BTreeMap<&'static str, Vec<&Answer>> = BTreeMap::new();
        for answer in &self.answers {
            topics.entry(&answer.asked.0.title).or_default().push(answer);
        }
        let counted = topics.into_iter().map(|(topic, answers)| (topic, Counts::of(answers)));
        let mut counted: Vec<_> = counted.collect();
        counted.sort_by_key(|(_, counts)| counts.percent());
        counted
    }

    /// The questions with a grade that was not good, the weakest first.
    fn weak_questions(&self) -> Vec<&'static Question> {
        let mut weak: Vec<(usize, &'static Question)> = Vec::new();
        for Answer { asked: (_, question), .. } in &self.answers {
            let of_it = self.answers.iter().filter(|answer| answer.asked.1.number == question.number);
            let percent = Counts::of(of_it).percent();
            if percent < 100 && weak.iter().all(|(_, known)| known.number != question.number) {
                weak.push((percent, question));
            }
        }
        weak.sort_by_key(|(percent, _)| *percent);
        weak.into_iter().map(|(_, question)| question).take(MOST_TO_READ).collect()
    }
}

/// The lessons that show these questions, each once.
fn lessons_of(questions: &[&Question]) -> Vec<String> {
    let mut lessons: Vec<String> = Vec::new();
    for lesson in questions.iter().flat_map(|question| question.lessons()) {
        if !lessons.contains(&lesson) {
            lessons.push(lesson);
        }
    }
    lessons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::Guide;

    /// The questions with these numbers and grades; `true` is a follow-up.
    fn score(answers: &[(usize, bool, Grade)]) -> Score {
        let guide = Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"));
        let answers = answers.iter().map(|&(number, follow_up, grade)| {
            let asked = guide.questions().find(|(_, question)| question.number == number).unwrap();
            Answer { asked, follow_up: follow_up.then(|| "And then?".to_owned()), grade }
        });
        Score {
            seed: 7,
            time: Duration::from_mins(45),
            elapsed: Duration::from_mins(44),
            end: End::TimeIsUp,
            answers: answers.collect(),
        }
    }

    #[test]
    fn the_weakest_come_first() {
        let guide = Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"));
        let (first, last) = (&guide.topics[0], guide.topics.last().unwrap());
        let (known, half, missed) =
            (first.questions[0].number, first.questions[2].number, last.questions[0].number);
        let score = score(&[
            (known, false, Grade::Good),
            (known, true, Grade::Good),
            (half, false, Grade::Good),
            (half, true, Grade::Hard),
            (missed, false, Grade::Again),
        ]);
        let document = &score.to_json()["mock"];
        assert_eq!(document["score_percent"], 70);
        assert_eq!(document["ended"], "time");
        assert_eq!(document["topics"][0]["topic"], last.title);
        assert_eq!(document["topics"][1]["score_percent"], 87);
        let numbers: Vec<_> =
            document["read_next"].as_array().unwrap().iter().map(|next| &next["number"]).collect();
        assert_eq!(numbers, [missed, half]);
        let text = score.to_text(60);
        assert!(text.contains("Time is up, after 44 minutes of 45 minutes."), "{text}");
        assert!(text.contains(&format!("cargo interview --question {missed},{half}")), "{text}");
        assert!(text.lines().all(|line| textwrap::core::display_width(line) <= 60), "{text}");
    }

    #[test]
    fn without_grades_there_is_no_score() {
        assert!(score(&[]).to_text(80).contains("Nothing was graded"));
        assert_eq!(score(&[]).to_json()["mock"]["score_percent"], 0);
        assert!(score(&[(1, false, Grade::Good)]).to_text(80).contains("Nothing was hard or missed."));
    }
}
