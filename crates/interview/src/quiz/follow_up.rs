//! "They will ask next": a text of the guide becomes questions with their answers.

use crate::guide::Paragraph;

/// What an interviewer asks next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FollowUp {
    pub(super) question: String,
    pub(super) answer: String,
}

/// The follow-ups in these paragraphs. A question ends with its question mark; the sentences behind it are the answer.
pub(super) fn follow_ups(paragraphs: &[Paragraph]) -> Vec<FollowUp> {
    let mut all: Vec<FollowUp> = Vec::new();
    for paragraph in paragraphs {
        let text = match paragraph {
            Paragraph::Item(_, text) => text.clone(),
            other => other.text(),
        };
        let mut begins_anew = true;
        // Sentences before the first question lead up to it.
        let mut lead = String::new();
        for sentence in sentences(&text) {
            match all.last_mut() {
                _ if sentence.ends_with('?') => {
                    let question = format!("{}{sentence}", std::mem::take(&mut lead));
                    all.push(FollowUp { question, answer: String::new() });
                    begins_anew = false;
                }
                Some(last) if !begins_anew => push(&mut last.answer, sentence),
                _ => lead = format!("{lead}{sentence} "),
            }
        }
        // A paragraph without a question goes on with the answer.
        if let Some(last) = all.last_mut() {
            push(&mut last.answer, lead.trim_end());
        }
    }
    all
}

fn push(answer: &mut String, text: &str) {
    if !answer.is_empty() && !text.is_empty() {
        answer.push(' ');
    }
    answer.push_str(text);
}

/// The sentences of a text. What stands in code ends none.
fn sentences(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut start, mut in_code) = (0, false);
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        in_code ^= c == '`';
        let next = rest.strip_prefix(' ').map(|rest| rest.chars().next().unwrap_or(' '));
        let ends = match c {
            '?' => rest.is_empty() || next.is_some(),
            // "e.g. this", "about 2. something": no new sentence.
            '.' | '!' => next.is_some_and(|next| !next.is_lowercase()),
            _ => false,
        };
        if ends && !in_code {
            all.push(text[start..at + c.len_utf8()].trim());
            start = at + c.len_utf8();
        }
    }
    all.push(text[start..].trim());
    all.retain(|sentence| !sentence.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::Guide;

    fn of(texts: &[&str]) -> Vec<(String, String)> {
        let paragraphs: Vec<Paragraph> = texts.iter().map(|text| Paragraph::Text((*text).into())).collect();
        follow_ups(&paragraphs).into_iter().map(|next| (next.question, next.answer)).collect()
    }

    #[test]
    fn questions_are_told_from_answers() {
        let pair = |question: &str, answer: &str| (question.to_owned(), answer.to_owned());
        assert_eq!(
            of(&["How long is a key? 512 MB. In short. What is `a? b`? -1, e.g. this? No."]),
            [
                pair("How long is a key?", "512 MB. In short."),
                pair("What is `a? b`?", ""),
                pair("-1, e.g. this?", "No."),
            ]
        );
        assert_eq!(
            of(&["RSS stays. Is that \"a leak?\" or not? Usually not.", "It comes back later."]),
            [pair("RSS stays. Is that \"a leak?\" or not?", "Usually not. It comes back later.")]
        );
        assert_eq!(of(&["No question here."]), []);
    }

    #[test]
    fn every_follow_up_of_the_guide_has_a_question_and_an_answer() {
        let guide = Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"));
        for (_, question) in guide.questions() {
            let found = follow_ups(&question.follow_ups);
            let place = format!("REDIS_GUIDE.md:{}: They will ask next", question.line);
            assert!(!found.is_empty(), "{place}: no question in it");
            for FollowUp { question, answer } in &found {
                assert!(!answer.is_empty(), "{place}: no answer to: {question}");
            }
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let all: Vec<&str> = found.iter().flat_map(|next| [&*next.question, &*next.answer]).collect();
            let texts = question.follow_ups.iter().map(|paragraph| match paragraph {
                Paragraph::Item(_, text) => text.clone(),
                other => other.text(),
            });
            assert_eq!(words(&all.join(" ")), words(&texts.collect::<Vec<_>>().join(" ")), "{place}");
        }
    }
}
