//! What a lesson cannot do without.

/// A command that not every server has.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The command, for example `JSON.SET`.
    pub command: &'static str,
    /// Who has it, as a hint for the learner, for example `--server redis-8.2-modules`.
    pub available_in: &'static str,
}
