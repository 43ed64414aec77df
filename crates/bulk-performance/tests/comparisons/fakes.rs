//! Programs with the names of the real ones, which do what a test says and write down their arguments.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
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
