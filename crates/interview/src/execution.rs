//! The examples of a question, executed in order.

use std::fmt::Write;

use lab_server::Choice;

use crate::block::Block;
use crate::guide::Question;
use crate::session::{Answer, Event, NotExecuted, Session};

/// A block and what became of it.
#[derive(Clone, Debug)]
pub struct Execution<'a> {
    /// Whose example it is.
    pub question: &'a Question,
    /// Its number among the blocks of the question, from 1.
    pub number: usize,
    /// The block.
    pub block: &'a Block,
    /// The answers, right or wrong, or why there are none.
    pub outcome: Result<Vec<Answer<'a>>, NotExecuted>,
}

/// Executes the blocks of a question one after the other: each on fresh servers, a `same` block on those of the one
/// before it.
pub struct ExampleRunner<'a> {
    question: &'a Question,
    choice: Choice,
    number: usize,
    session: Result<Session, NotExecuted>,
}

impl<'a> ExampleRunner<'a> {
    /// None of them executed yet.
    pub fn of(question: &'a Question, choice: &Choice) -> Self {
        let session = Err(NotExecuted::Failed("there is no block before this one".into()));
        Self { question, choice: choice.clone(), number: 0, session }
    }

    /// Executes the next block, which has to be the question's next one.
    pub fn execute(&mut self, block: &'a Block, listen: &mut dyn FnMut(&Event<'a>)) -> Execution<'a> {
        self.number += 1;
        if !block.environment.same {
            // The servers of the block before end here, before new ones start.
            self.session = Err(NotExecuted::Failed(String::new()));
            self.session = Session::start(&block.environment, &self.choice);
        }
        let outcome = match &mut self.session {
            // A `same` block may need what the one before it did not.
            Ok(session) => {
                let able = session.check_commands(&block.environment.needs);
                able.map(|()| session.execute(block, listen))
            }
            Err(unable) => Err(unable.clone()),
        };
        Execution { question: self.question, number: self.number, block, outcome }
    }

    /// Executes all of them.
    pub fn execute_all(mut self) -> Vec<Execution<'a>> {
        let blocks: Vec<_> = self.question.blocks().collect();
        blocks.into_iter().map(|block| self.execute(block, &mut |_event| {})).collect()
    }
}

impl Execution<'_> {
    /// Why it was skipped, if it was.
    pub fn skipped(&self) -> Option<&str> {
        match &self.outcome {
            Err(NotExecuted::Skipped(reason)) => Some(reason),
            _ => None,
        }
    }

    /// What is wrong, if anything: the question, the block, and each command with the expected and the real reply.
    pub fn complaint(&self) -> Option<String> {
        let mut found = String::new();
        match &self.outcome {
            Err(NotExecuted::Failed(reason)) => {
                let _ = writeln!(found, "  {reason}");
            }
            Err(NotExecuted::Skipped(_)) => {}
            Ok(answers) => {
                for answer in answers.iter().filter(|answer| !answer.fits()) {
                    let step = answer.step;
                    let _ = writeln!(found, "  line {}: {}", step.line, step.line_of_session());
                    let _ = write!(found, "{}", answer.alignment);
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        let Self { question, number, block, .. } = self;
        Some(format!(
            "Question {}. {} (REDIS_GUIDE.md:{}, block {number}; - expected, + came)\n{found}",
            question.number, question.title, block.line
        ))
    }
}
