//! A mock interview: questions at random and against the clock, with follow-ups, and a score at the end.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::HumanDuration;
use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::render::wrap;
use lab_server::Choice;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::json;

use super::dialog::{Dialog, End, Timer};
use super::follow_up::follow_ups;
use super::order::mixed;
use super::score::{Answer, Score};
use crate::progress::{Grade, Progress};
use crate::{Arguments, ChosenQuestion, page};

const HOW_TO_GRADE: &str = "Answer aloud before you look. Then grade what you said, not what you know now. good: all of \
    \"Say\", and you would not step into the trap. hard: the main point, but late, or with a gap. again: you had no answer, or \
    a wrong one. The grade of a question also says when the quiz asks it again.";

/// Asks for `time`, and says how it went.
pub(crate) async fn run(
    chosen: &[ChosenQuestion],
    time: Duration,
    choice: &Choice,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let progress = Progress::open(&arguments.target, choice).await?;
    let seed = arguments.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let timer = Timer { began: Instant::now(), time };
    let dialog = Dialog { beside_json: arguments.json, timer: Some(timer) };
    let level = arguments.level.and_then(|level| level.to_possible_value());
    let level = level.map_or_else(String::new, |level| format!(", level {}", level.get_name()));
    let opening = format!(
        "\nA mock interview of {}{level}: at most {} questions, at random. --seed {seed} asks the same ones again.",
        HumanDuration(time),
        chosen.len(),
    );
    for text in [&opening, HOW_TO_GRADE] {
        dialog.line(&wrap(text, Terminal.text_width(), "", ""));
    }
    let mut answers = Vec::new();
    let mut end = End::AllAsked;
    for asked in order(chosen, seed).into_iter().map(|place| chosen[place]) {
        if let Err(sooner) = ask(asked, dialog, &progress, &mut answers).await? {
            end = sooner;
            break;
        }
    }
    let score = Score::of(seed, time, timer.began.elapsed(), end, answers);
    if arguments.json {
        Terminal.document(&json!({ "mock": score }));
    } else {
        Terminal.line(&score.to_text(Terminal.text_width()));
    }
    Ok(())
}

/// At random, the same for the same seed, and with the topics mixed.
fn order(chosen: &[ChosenQuestion], seed: u64) -> Vec<usize> {
    let topics: Vec<&str> = chosen.iter().map(|(topic, _)| topic.anchor.as_str()).collect();
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    mixed(&order, &topics, None)
}

/// A question and its follow-ups, each answered and graded. The grade of the question is kept at once.
async fn ask(
    asked: ChosenQuestion,
    dialog: Dialog,
    progress: &Progress,
    answers: &mut Vec<Answer>,
) -> Result<Result<(), End>, Failure> {
    let (_, question) = asked;
    dialog.line(&page::question(&asked));
    let grade = match reveal_and_grade(dialog, &page::answer_in_words(question)).await {
        Ok(Some(grade)) => grade,
        Ok(None) => return Ok(Ok(())),
        Err(end) => return Ok(Err(end)),
    };
    progress.grade(&question.slug, grade).await?;
    answers.push(Answer::to(asked, None, grade));
    if grade == Grade::Again {
        // An interviewer does not go deeper where there is nothing.
        return Ok(Ok(()));
    }
    for next in follow_ups(&question.follow_ups) {
        dialog.line(&page::labeled("They ask next", &next.question));
        match reveal_and_grade(dialog, &page::labeled("Say", &next.answer)).await {
            Ok(Some(grade)) => answers.push(Answer::to(asked, Some(next.question), grade)),
            Ok(None) => {}
            Err(end) => return Ok(Err(end)),
        }
    }
    Ok(Ok(()))
}

async fn reveal_and_grade(dialog: Dialog, answer: &str) -> Result<Option<Grade>, End> {
    if !dialog.think().await? {
        return Ok(None);
    }
    dialog.line(answer);
    dialog.grade().await
}

/// The time of an interview, as it is typed: `45m`, `1h30m`, `90s`; from a second to a day.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let mut seconds = 0_u64;
    let mut rest = text;
    for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let number: u64 = number.parse().map_err(|_| NO_TIME)?;
            seconds = seconds.saturating_add(number.saturating_mul(factor));
            rest = after;
        }
    }
    if rest.parse::<u64>().is_ok_and(|number| number > 0) {
        return Err(format!("{rest} of what? Add a unit: {rest}m for minutes"));
    }
    match seconds {
        1..=86_400 if rest.is_empty() => Ok(Duration::from_secs(seconds)),
        _ => Err(NO_TIME.to_owned()),
    }
}

const NO_TIME: &str = "a time is 45m, 1h30m, or 90s, from 1s to 24h";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::Guide;

    #[test]
    fn times_are_read_or_refused() {
        for (text, seconds) in
            [("45m", 2700), ("1h30m", 5400), ("90s", 90), ("1h0m5s", 3605), ("24h", 86_400)]
        {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "0m",
            "-5m",
            "h",
            "m",
            "45x",
            "25h",
            "1.5h",
            "30m1h",
            "1m1m",
            "5m x",
            "forty-five",
            "--level",
            "99999999999999999999m",
            "18446744073709551615h",
            "45 m",
        ] {
            assert_eq!(time(bad), Err(NO_TIME.to_owned()), "{bad}");
        }
        assert_eq!(time("45"), Err("45 of what? Add a unit: 45m for minutes".to_owned()));
        assert_eq!(time("1h30"), Err("30 of what? Add a unit: 30m for minutes".to_owned()));
    }

    #[test]
    fn a_seed_gives_one_order_and_topics_do_not_repeat() {
        let guide = Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"));
        let chosen: Vec<ChosenQuestion> = guide.questions().collect();
        let mut firsts = std::collections::HashSet::new();
        for seed in 0..50 {
            let asked = order(&chosen, seed);
            assert_eq!(asked, order(&chosen, seed));
            firsts.insert(asked[0]);
            let repeated = asked.windows(2).find(|pair| chosen[pair[0]].0.anchor == chosen[pair[1]].0.anchor);
            assert_eq!(repeated, None, "seed {seed}");
            let mut all = asked;
            all.sort_unstable();
            assert!(all.into_iter().eq(0..chosen.len()));
        }
        assert!(firsts.len() > 20, "{} different beginnings of 50", firsts.len());
    }
}
