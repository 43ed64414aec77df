//! How far long work has come: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error, with the rate and the time that is left. Clones show the same bar.
#[derive(Clone, Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar for `of` pieces of work; drawn only where standard error is a terminal.
    #[must_use]
    pub fn new(of: u64, what: &str) -> Self {
        let bar = Self(ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr_with_hz(5)));
        bar.begin(of, what);
        bar
    }

    /// A bar that is never drawn.
    #[must_use]
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Starts from nothing again, for the next part of the work.
    pub fn begin(&self, of: u64, what: &str) {
        let template = "{msg:>9} {human_pos:>13} of {human_len} [{bar:20}] {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
        self.0.set_length(of);
        self.0.set_message(what.to_owned());
        self.0.reset();
    }

    /// So many pieces are done.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// How many pieces are done; all of them once the bar is finished.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.0.position()
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
