//! Questions and answers as JSON.

use lab_server::Choice;
use serde_json::{Value, json};

use crate::ChosenQuestion;
use crate::block::Block;
use crate::execution::{ExampleRunner, Execution};
use crate::guide::{Example, Paragraph};
use crate::session::{Answer, NotExecuted};

/// What there is, without the answers.
pub(crate) fn list(chosen: &[ChosenQuestion]) -> Value {
    chosen.iter().map(head).collect()
}

/// Questions with their answers; the examples are executed.
pub(crate) fn answers(chosen: &[ChosenQuestion], choice: &Choice) -> Value {
    let questions: Vec<Value> = chosen.iter().map(|asked| answer(asked, choice)).collect();
    json!({ "questions": questions })
}

fn head((topic, question): &ChosenQuestion) -> Value {
    json!({
        "number": question.number, "title": question.title, "slug": question.slug, "topic": topic.title,
        "level": question.level, "links": question.links(),
    })
}

fn answer(asked: &ChosenQuestion, choice: &Choice) -> Value {
    let (_, question) = asked;
    let mut examples = ExampleRunner::of(question, choice);
    let parts: Vec<Value> = question
        .examples
        .iter()
        .map(|part| match part {
            Example::Text(paragraph) => json!({ "text": paragraph.text() }),
            Example::Block(block) => executed(block, &examples.execute(block, &mut |_event| {})),
        })
        .collect();
    let texts = |part: &[Paragraph]| part.iter().map(Paragraph::text).collect::<Vec<_>>();
    let mut document = head(asked);
    document["say"] = json!(texts(&question.say));
    document["why"] = json!(texts(&question.why));
    document["trap"] = json!(texts(&question.trap));
    document["follow_ups"] = json!(texts(&question.follow_ups));
    document["read_more"] = json!(texts(&question.read_more));
    document["examples"] = json!(parts);
    document["see"] = json!(texts(&question.see));
    document
}

fn executed(block: &Block, execution: &Execution<'_>) -> Value {
    let steps = match &execution.outcome {
        Ok(answers) => answers,
        Err(NotExecuted::Skipped(reason)) => return json!({ "line": block.line, "skipped": reason }),
        Err(NotExecuted::Failed(reason)) => return json!({ "line": block.line, "failed": reason }),
    };
    let steps: Vec<Value> = block
        .steps()
        .map(|step| {
            let answer = steps.iter().find(|answer| answer.step.line == step.line);
            json!({
                "command": step.line_of_session(), "expected": step.expected,
                "reply": answer.map(|answer| &answer.lines), "as_expected": answer.map(Answer::fits),
            })
        })
        .collect();
    json!({ "line": block.line, "steps": steps })
}
