//! Programs with the names of the real ones, which do what a test says and write down their arguments.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory of such programs.
pub struct Fakes {
    directory: TempDir,
}

impl Fakes {
    /// An empty one.
    pub fn none() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// With one more program: it tells a version when asked for it, else runs these lines of shell.
    pub fn with(self, name: &str, lines: &str) -> Self {
        let path = self.directory.path().join(name);
        let arguments = self.directory.path().join("arguments");
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in --version|-c) echo '{name} 0.0'; exit 0;; esac\n\
             echo \"{name} $*\" >> '{}'\n{lines}\n",
            arguments.display()
        );
        write_program(&path, &script);
        self
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Every line of arguments so far, each behind the program's name.
    pub fn arguments(&self) -> String {
        fs::read_to_string(self.directory.path().join("arguments")).unwrap_or_default()
    }
}

/// Writes a program that can be run at once. A process of its own writes it: were the file open in this one, whatever
/// another test starts meanwhile would hold it open for writing too, and running it would fail with "Text file busy".
fn write_program(path: &Path, script: &str) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writing = writer.spawn().unwrap();
    writing.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(writing.wait().unwrap().success());
}
