//! Finds a server program: the one that was named, one on PATH, one in the cache, or a fetched one.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fetch;
use crate::version::{self, Product, Version};
use crate::{Choice, Error, Release};

/// A server program that runs on this machine, and the modules it loads.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    modules: Vec<PathBuf>,
    product: Product,
    version: Version,
    origin: Origin,
}

/// Where a program came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Named,
    Path,
    Cache,
}

impl Program {
    /// The program that `choice` asks for: the program it names, or the release it names (from PATH, the cache, or a fetch). If it
    /// names neither: `redis-server` on PATH, then `valkey-server` on PATH, then the cached Valkey, which is fetched if it isn't there.
    pub fn find(choice: &Choice) -> Result<Self, Error> {
        if let Some(path) = &choice.program {
            let path = resolve(path);
            return Self::ask(&path, Origin::Named).map_err(|reason| Error::Unusable { path, reason });
        }
        match choice.release {
            Some(release) => on_path()
                .find(|program| release.is(program.product, program.version))
                .map_or_else(|| Self::cached(release, choice.fetch), Ok),
            None => on_path().next().map_or_else(|| Self::any_cached(choice.fetch), Ok),
        }
    }

    /// The program's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The modules it is started with: JSON, Search, and Bloom for [`Release::Redis82Modules`], else none.
    #[must_use]
    pub fn modules(&self) -> &[PathBuf] {
        &self.modules
    }

    /// One line for people, for example `valkey-server 9.1.2 from PATH`.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = match self.product {
            Product::Redis => "redis-server",
            Product::Valkey => "valkey-server",
        };
        let version = self.version;
        let modules = if self.modules.is_empty() { "" } else { " with JSON, Search, and Bloom" };
        match self.origin {
            Origin::Named => format!("{name} {version}{modules} at {}", self.path.display()),
            Origin::Path => format!("{name} {version}{modules} from PATH"),
            Origin::Cache => format!("{name} {version}{modules} from the cache"),
        }
    }

    /// Product and release line, for example `Valkey 9.1`.
    #[must_use]
    pub fn product_line(&self) -> String {
        format!("{:?} {}.{}", self.product, self.version.major, self.version.minor)
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    fn cached(release: Release, may_fetch: bool) -> Result<Self, Error> {
        let fetch::Installed { program: path, modules } = fetch::install(release, may_fetch)?;
        match Self::ask(&path, Origin::Cache) {
            Ok(program) => Ok(Self { modules, ..program }),
            Err(reason) => Err(Error::Unusable { path, reason }),
        }
    }

    /// If nothing was chosen, the error must not name a release: any server would do.
    fn any_cached(may_fetch: bool) -> Result<Self, Error> {
        Self::cached(Release::Valkey91, may_fetch).map_err(|error| match error {
            Error::FetchForbidden { .. } => Error::NotFound {
                reason: "neither redis-server nor valkey-server is on PATH, and fetching one is forbidden \
                         (--no-fetch or REDIS_LAB_NO_FETCH)"
                    .to_owned(),
            },
            Error::NotForThisPlatform { platform, .. } => {
                Error::NotFound { reason: format!("none is on PATH, and none can be fetched for {platform}") }
            }
            other => other,
        })
    }

    fn ask(path: &Path, origin: Origin) -> Result<Self, String> {
        let (product, version) = version::ask(path)?;
        Ok(Self { path: path.to_owned(), modules: Vec::new(), product, version, origin })
    }
}

/// Looks a bare name up on PATH, as a shell does. Makes a path absolute, because the server starts in another directory.
fn resolve(program: &Path) -> PathBuf {
    if program.components().count() == 1
        && !program.exists()
        && let Some(found) =
            directories().map(|directory| directory.join(program)).find(|path| is_executable(path))
    {
        return found;
    }
    std::path::absolute(program).unwrap_or_else(|_| program.to_owned())
}

/// Every server on PATH that runs. Those called `redis-server` come first, because that is what people install.
fn on_path() -> impl Iterator<Item = Program> {
    ["redis-server", "valkey-server"]
        .into_iter()
        .flat_map(|name| directories().map(move |directory| directory.join(name)))
        .filter(|path| is_executable(path))
        .filter_map(|path| Program::ask(&path, Origin::Path).ok())
}

/// The directories of PATH. Leaves out empty entries, which mean the current directory to a shell.
fn directories() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|directory| directory.is_absolute()).collect::<Vec<_>>().into_iter()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
