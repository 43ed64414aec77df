//! The questions that the command line means.

use lab_connection::Failure;
use lab_connection::failure::Class;

use crate::arguments::Arguments;
use crate::guide::{Guide, Question, Topic};

/// A question and the topic it stands under.
pub(crate) type Asked = (&'static Topic, &'static Question);

/// Those that fit all flags, in the order of the guide; at least one.
pub(crate) fn questions(guide: &'static Guide, arguments: &Arguments) -> Result<Vec<Asked>, Failure> {
    let Arguments { topic, level, question, lesson, .. } = arguments;
    let fits = |(of, asked): &Asked| {
        topic.as_ref().is_none_or(|text| is_about(of, text))
            && level.is_none_or(|level| asked.level == level)
            && question.is_none_or(|number| asked.number == number)
            && lesson.as_ref().is_none_or(|name| leads_to(asked, name))
    };
    let chosen: Vec<Asked> = guide.questions().filter(fits).collect();
    if chosen.is_empty() {
        let topics: Vec<_> = guide.topics.iter().map(|topic| topic.title.as_str()).collect();
        let count = guide.questions().count();
        let why = format!("There are {count} questions, about: {}.", topics.join("; "));
        return Err(
            Failure::new(Class::Usage, "No question fits these flags.", why).try_next("--list: all of them")
        );
    }
    Ok(chosen)
}

fn is_about(topic: &Topic, text: &str) -> bool {
    let text = text.trim_start_matches('#').to_lowercase();
    topic.anchor == text || topic.title.to_lowercase().contains(&text)
}

fn leads_to(question: &Question, lesson: &str) -> bool {
    question.links().iter().any(|link| link.names(lesson))
}
