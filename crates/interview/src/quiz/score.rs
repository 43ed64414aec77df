//! How a mock interview went: plain data, as text or as JSON.

use std::time::Duration;

use indicatif::HumanDuration;
use lab_runner::render::wrap;
use lab_runner::table::Table;
use serde::Serialize;

use super::dialog::End;
use crate::guide::{Question, anchor};
use crate::progress::Grade;
use crate::{ChosenQuestion, page};

/// So many questions are named to read next.
const MOST_TO_READ: usize = 10;

/// What was asked, how it went, and what follows from it.
#[derive(Serialize)]
pub(super) struct Score {
    pub(super) seed: u64,
    /// What was planned.
    seconds: u64,
    elapsed_seconds: u64,
    ended: End,
    #[serde(flatten)]
    all: Counts,
    answers: Vec<Answer>,
    /// The weakest first.
    topics: Vec<TopicScore>,
    /// Questions with a grade that was not good, the weakest first.
    read_next: Vec<Reading>,
}

/// A graded answer to a question, or to a follow-up of it.
#[derive(Serialize)]
pub(super) struct Answer {
    number: usize,
    title: &'static str,
    topic: &'static str,
    follow_up: Option<String>,
    grade: Grade,
    #[serde(skip)]
    question: &'static Question,
}

/// How often each grade was given.
#[derive(Clone, Copy, Serialize)]
struct Counts {
    good: usize,
    hard: usize,
    again: usize,
    /// Good counts 1, hard a half, again nothing; 0 to 100, rounded down.
    score_percent: usize,
}

#[derive(Serialize)]
struct TopicScore {
    topic: &'static str,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Reading {
    number: usize,
    title: &'static str,
    link: String,
    lessons: Vec<String>,
    #[serde(skip)]
    question: &'static Question,
}

impl Answer {
    pub(super) fn to((topic, question): ChosenQuestion, follow_up: Option<String>, grade: Grade) -> Self {
        Self {
            number: question.number,
            title: &question.title,
            topic: &topic.title,
            follow_up,
            grade,
            question,
        }
    }
}

impl Counts {
    fn of(answers: &[Answer], counts: impl Fn(&Answer) -> bool) -> Self {
        let count = |grade| answers.iter().filter(|answer| answer.grade == grade && counts(answer)).count();
        let [good, hard, again] = [Grade::Good, Grade::Hard, Grade::Again].map(count);
        let score_percent = (good * 100 + hard * 50).checked_div(good + hard + again).unwrap_or(0);
        Self { good, hard, again, score_percent }
    }

    fn cells(self) -> [String; 4] {
        let Self { good, hard, again, score_percent } = self;
        [good.to_string(), hard.to_string(), again.to_string(), format!("{score_percent}%")]
    }
}

impl Score {
    pub(super) fn of(seed: u64, time: Duration, elapsed: Duration, ended: End, answers: Vec<Answer>) -> Self {
        let mut topics: Vec<TopicScore> = Vec::new();
        let mut weak: Vec<(usize, Reading)> = Vec::new();
        for Answer { topic, question, .. } in &answers {
            if topics.iter().all(|known| known.topic != *topic) {
                let counts = Counts::of(&answers, |answer| answer.topic == *topic);
                topics.push(TopicScore { topic, counts });
            }
            let percent = Counts::of(&answers, |answer| answer.number == question.number).score_percent;
            if percent < 100 && weak.iter().all(|(_, known)| known.number != question.number) {
                weak.push((percent, Reading::of(question)));
            }
        }
        topics.sort_by_key(|topic| topic.counts.score_percent);
        weak.sort_by_key(|(percent, _)| *percent);
        Self {
            seed,
            seconds: time.as_secs(),
            elapsed_seconds: elapsed.as_secs(),
            ended,
            all: Counts::of(&answers, |_| true),
            answers,
            topics,
            read_next: weak.into_iter().map(|(_, reading)| reading).take(MOST_TO_READ).collect(),
        }
    }

    pub(super) fn to_text(&self, width: usize) -> String {
        let why = match self.ended {
            End::Quit | End::EndOfInput => "You ended it",
            End::Time => "Time is up",
            End::AllAsked => "All questions were asked",
        };
        let [elapsed, time] =
            [self.elapsed_seconds, self.seconds].map(|seconds| HumanDuration(Duration::from_secs(seconds)));
        let end = format!("\n{why}, after {elapsed} of {time}.");
        if self.answers.is_empty() {
            return format!("{end} Nothing was graded, so there is no score.");
        }
        let table = Table::new("", &["topic", "good", "hard", "again", "score"]);
        let add = |table: Table, score: &TopicScore| table.labeled(score.topic, score.counts.cells());
        let table = self.topics.iter().fold(table, add).labeled("all", self.all.cells());
        let how = "A good answer counts 1, a hard one a half. Follow-ups count as questions do.";
        let mut lines =
            vec![end, String::new(), table.to_text(width), wrap(how, width, "", ""), String::new()];
        if self.read_next.is_empty() {
            lines.push("Nothing was hard or missed.".into());
            return lines.join("\n");
        }
        lines.push("Read next in REDIS_GUIDE.md, the weakest first:".into());
        lines.extend(self.read_next.iter().map(|reading| page::title(reading.question, width)));
        let mut lessons: Vec<&str> = Vec::new();
        for lesson in self.read_next.iter().flat_map(|reading| &reading.lessons) {
            if !lessons.contains(&lesson.as_str()) {
                lessons.push(lesson);
            }
        }
        if !lessons.is_empty() {
            lines.push(wrap(&format!("See it happen: cargo tour {}", lessons.join(" ")), width, "", "  "));
        }
        let numbers: Vec<String> = self.read_next.iter().map(|reading| reading.number.to_string()).collect();
        let again = format!("Answer again: cargo interview --question {}", numbers.join(","));
        lines.push(wrap(&again, width, "", "  "));
        lines.join("\n")
    }
}

impl Reading {
    fn of(question: &'static Question) -> Self {
        let Question { number, title, .. } = question;
        let link = format!("REDIS_GUIDE.md#{}", anchor(&format!("{number}. {title}")));
        Self { number: *number, title, link, lessons: question.lessons(), question }
    }
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
            Answer::to(asked, follow_up.then(|| "And then?".to_owned()), grade)
        });
        Score::of(7, Duration::from_mins(45), Duration::from_mins(44), End::Time, answers.collect())
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
        let document = serde_json::to_value(&score).unwrap();
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
        assert!(score(&[(1, false, Grade::Good)]).to_text(80).contains("Nothing was hard or missed."));
    }
}
