//! Scripts of `patterns`, as lessons print and load them.

use patterns::script::Script;

use crate::concurrent::try_join_all;
use crate::context::LessonContext;
use crate::error::Outcome;
use crate::lua::ScriptInFile;

/// Functions that many scripts share, and that no lesson prints.
const SHARED: [(&str, &str); 2] = [
    ("whole(", "reads a whole number, and refuses anything else"),
    (
        "require_commands(",
        "ends a script before its first write unless the user may send all of the commands",
    ),
];

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

/// Loads all scripts of some patterns, so that each call is one EVALSHA and one round trip.
pub async fn load(ctx: &LessonContext, patterns: &[Vec<(&str, &'static Script)>]) -> Outcome {
    let mut files: Vec<&str> =
        patterns.iter().filter_map(|scripts| Some(lua(scripts.first()?.1).file_name())).collect();
    files.dedup();
    let files = match files.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => files.concat(),
    };
    let called = SHARED
        .into_iter()
        .filter(|(name, _)| patterns.iter().flatten().any(|(_, script)| script.shown().contains(name)));
    let shared: Vec<String> = called.map(|(name, does)| format!(" {name}) {does}.")).collect();
    ctx.announce(format!(
        "SCRIPT LOAD sends the scripts of {files}. The lesson prints the important ones.{}",
        shared.concat()
    ));
    for (_, script) in patterns.iter().flatten() {
        ctx.name_script(&lua(script).contract());
    }
    let redis = ctx.target().connection();
    let loads = patterns.iter().flatten().map(|(_, script)| {
        let mut redis = redis.clone();
        async move { redis::cmd("SCRIPT").arg("LOAD").arg(script.source()).exec_async(&mut redis).await }
    });
    Ok(try_join_all(loads.collect::<Vec<_>>()).await.map(drop)?)
}
