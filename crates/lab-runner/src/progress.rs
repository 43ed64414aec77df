//! How far long work has come: a bar on a terminal, nothing elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, with the rate and the time that is left. Clones show the same bar.
#[derive(Clone, Debug)]
pub struct Bar {
    bar: ProgressBar,
    // For callers without a terminal.
    done: Arc<AtomicU64>,
}

impl Bar {
    /// A bar for `of` pieces of work; drawn only where standard error is a terminal.
    #[must_use]
    pub fn new(of: u64, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr_with_hz(5));
        let shown = Self { bar, done: Arc::default() };
        shown.begin(of, what);
        shown
    }

    /// A bar that is never drawn.
    #[must_use]
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), done: Arc::default() }
    }

    /// Starts from nothing again, for the next part of the work.
    pub fn begin(&self, of: u64, what: &str) {
        let template = "{msg:>9} {human_pos:>13} of {human_len} [{bar:20}] {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(of);
        self.bar.set_message(what.to_owned());
        self.bar.reset();
        self.done.store(0, Ordering::Relaxed);
    }

    /// So many pieces are done.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.bar.set_position(done);
    }

    /// The number of pieces that the last call of [`Bar::set`] named.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
