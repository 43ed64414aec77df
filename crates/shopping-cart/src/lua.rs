//! Scripts of `patterns`, as lessons print them.

use lab_runner::ScriptInFile;
use patterns::script::Script;

/// The script as a lesson shows it.
#[must_use]
pub fn lua(script: &'static Script) -> ScriptInFile<'static> {
    ScriptInFile {
        folder: "crates/patterns/src",
        file: script.file(),
        name: script.name(),
        shown: script.shown(),
        source: script.source(),
        hash: script.hash(),
    }
}
