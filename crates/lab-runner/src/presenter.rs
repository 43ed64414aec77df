//! Keeps what a lesson shows, and shows it: all at once, or one step at a time.

use std::sync::{Arc, Mutex};

use lab_connection::Target;

use crate::activity;
use crate::block::Block;
use crate::console;
use crate::error::{LessonError, Outcome};
use crate::mutex::lock;
use crate::render;
use crate::stepper::{Answer, Go, Stepper};
use crate::terminal::Terminal;

/// What is shown of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Nothing: it is only kept.
    Nothing,
    /// Everything as it comes.
    Everything,
    /// One step, and then the next when a person asks for it.
    OneStepAtATime,
}

/// Keeps what a lesson shows, and shows it.
#[derive(Clone)]
pub(crate) struct Presenter {
    blocks: Arc<Mutex<Vec<Block>>>,
    /// `None` if nothing is shown.
    stepper: Option<Arc<Mutex<Stepper>>>,
    /// The server that a console is opened on.
    target: Option<Target>,
}

impl Presenter {
    /// A presenter for a lesson on this server.
    pub(crate) fn with_console(names: Vec<&'static str>, show: Show, target: &Target) -> Self {
        Self { target: Some(target.clone()), ..Self::new(names, show) }
    }

    pub(crate) fn new(names: Vec<&'static str>, show: Show) -> Self {
        let stepper = Stepper::new(names, show == Show::OneStepAtATime);
        Self {
            blocks: Arc::default(),
            stepper: (show != Show::Nothing).then(|| Arc::new(Mutex::new(stepper))),
            target: None,
        }
    }

    /// Shows a part of the lesson.
    pub(crate) fn show(&self, block: Block) {
        if let Some(stepper) = &self.stepper {
            activity::interrupt();
            lock(stepper).show(
                &render::block(&block, Terminal.text_width()),
                matches!(block, Block::Say { .. } | Block::Announcement { .. }),
            );
        }
        lock(&self.blocks).push(block);
    }

    /// Begins a step; in a terminal, when the last one has been read.
    pub(crate) async fn begin_step(&self) -> Outcome {
        if let Some(stepper) = &self.stepper {
            if lock(stepper).has_step_to_read() {
                self.pause("next step", 0).await?;
            }
            lock(stepper).begin_step();
        }
        lock(&self.blocks).push(Block::Step);
        Ok(())
    }

    /// Waits until the end of a lesson has been read.
    pub(crate) async fn pause_at_the_end(&self, following: &str) -> Outcome {
        let waits = self.stepper.as_ref().is_some_and(|stepper| {
            let mut stepper = lock(stepper);
            stepper.wait_again();
            stepper.has_step_to_read()
        });
        if waits {
            self.pause(following, 0).await?;
        }
        Ok(())
    }

    /// Shows a question, and waits for an answer if a person is there. `None` if there is none.
    pub(crate) async fn ask(&self, question: Block, choices: usize) -> Result<Option<usize>, LessonError> {
        self.show(question);
        match &self.stepper {
            Some(stepper) if lock(stepper).asks() => self.pause("skip", choices).await,
            _ => Ok(None),
        }
    }

    /// Shows what still waits for room on the screen, because the lesson has failed and nothing follows.
    pub(crate) fn show_rest(&self) {
        if let Some(stepper) = &self.stepper {
            lock(stepper).run_on();
        }
    }

    /// Whether something is shown.
    pub(crate) fn shows(&self) -> bool {
        self.stepper.is_some()
    }

    /// All that the lesson showed.
    pub(crate) fn take_blocks(&self) -> Vec<Block> {
        std::mem::take(&mut *lock(&self.blocks))
    }

    async fn pause(&self, next: &str, choices: usize) -> Result<Option<usize>, LessonError> {
        let Some(stepper) = &self.stepper else { return Ok(None) };
        activity::pause();
        let answer = loop {
            match (Stepper::pause(stepper, next, choices).await, &self.target) {
                (Answer::Console, Some(target)) => console::open(target).await,
                (Answer::Console, None) => {}
                (answer, _) => break answer,
            }
        };
        activity::resume();
        match answer {
            Answer::Choice(choice) => Ok(Some(choice)),
            Answer::Go(Go::On) | Answer::Console => Ok(None),
            Answer::Go(elsewhere) => Err(LessonError::Left(elsewhere)),
        }
    }
}
