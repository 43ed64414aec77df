//! Where a lesson's blocks go: its context, its questions, and its transcripts write here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab_connection::transcript::{Exchange, Listener};

use crate::block::{Block, ShownExchange};
use crate::lua::Scripts;
use crate::presenter::Presenter;

/// Where a lesson's blocks go.
pub(crate) struct Screen {
    pub(crate) presenter: Presenter,
    pub(crate) predictions: Predictions,
    scripts: Mutex<Scripts>,
}

impl Screen {
    pub(crate) fn new(presenter: Presenter) -> Self {
        Self { presenter, predictions: Predictions::default(), scripts: Mutex::default() }
    }

    /// Shows a part of the lesson.
    pub(crate) fn write(&self, block: Block) {
        self.presenter.show(block);
    }

    /// The scripts that the lesson has shown.
    pub(crate) fn scripts(&self) -> MutexGuard<'_, Scripts> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, server: Option<String>, mut exchange: Exchange) {
        let notes = self.scripts().annotate(&mut exchange);
        self.write(Block::Exchange(ShownExchange::new(server, exchange, notes)));
    }
}

/// What a transcript records is shown.
impl Listener for Screen {
    fn on_exchange(&self, exchange: Exchange) {
        self.show(None, exchange);
    }
}

/// The same, with the name of the server.
pub(crate) struct OtherServer {
    name: String,
    screen: Arc<Screen>,
}

impl OtherServer {
    pub(crate) fn new(name: &str, screen: Arc<Screen>) -> Self {
        Self { name: name.to_owned(), screen }
    }
}

impl Listener for OtherServer {
    fn on_exchange(&self, exchange: Exchange) {
        self.screen.show(Some(self.name.clone()), exchange);
    }
}

/// How many answers a learner guessed in a lesson, and how many were right.
#[derive(Debug, Default)]
pub(crate) struct Predictions {
    guessed: AtomicUsize,
    right: AtomicUsize,
}

impl Predictions {
    pub(crate) fn count(&self, right: bool) {
        self.guessed.fetch_add(1, Ordering::Relaxed);
        self.right.fetch_add(usize::from(right), Ordering::Relaxed);
    }

    /// Guesses, and right ones; `None` if there was no guess.
    pub(crate) fn total(&self) -> Option<(usize, usize)> {
        let guessed = self.guessed.load(Ordering::Relaxed);
        (guessed > 0).then(|| (guessed, self.right.load(Ordering::Relaxed)))
    }
}
