//! Where a lesson's blocks go: its context, its questions, and its transcripts write here.

use std::sync::{Mutex, MutexGuard};

use lab_connection::transcript::Exchange;

use crate::block::{Block, ShownExchange};
use crate::lua::Scripts;
use crate::mutex::lock;
use crate::presenter::Presenter;

/// Where a lesson's blocks go.
pub(crate) struct Screen {
    pub(crate) presenter: Presenter,
    guesses: Mutex<Guesses>,
    scripts: Mutex<Scripts>,
}

impl Screen {
    pub(crate) fn new(presenter: Presenter) -> Self {
        Self { presenter, guesses: Mutex::default(), scripts: Mutex::default() }
    }

    /// Shows a part of the lesson.
    pub(crate) fn write(&self, block: Block) {
        self.presenter.show(block);
    }

    /// The scripts that the lesson has shown.
    pub(crate) fn scripts(&self) -> MutexGuard<'_, Scripts> {
        lock(&self.scripts)
    }

    /// The answers that the learner has guessed so far.
    pub(crate) fn guesses(&self) -> MutexGuard<'_, Guesses> {
        lock(&self.guesses)
    }

    /// Shows what a transcript has recorded; `server` is its name, if it is not the lesson's own.
    pub(crate) fn show(&self, server: Option<String>, mut exchange: Exchange) {
        let notes = self.scripts().annotate(&mut exchange);
        self.write(Block::Exchange(ShownExchange::new(server, exchange, notes)));
    }
}

/// How many answers a learner guessed in a lesson, and how many were right.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guesses {
    pub(crate) all: usize,
    pub(crate) right: usize,
}
