//! What a power cut takes that a kill does not: bytes that the server has written and the kernel not yet.
//!
//! A killed process loses nothing that it wrote. So for `everysec` and `no`, this watches how much of the append-only file is certainly
//! on the disk, and cuts off the rest when the server is killed.
//!
//! - `everysec`: WAITAOF answers when an fsync has covered this client's last write. The size of the file before that write is on
//!   the disk. Ten clients a second ask. A server without WAITAOF promises two seconds at worst, so the file is cut to its size two
//!   seconds ago.
//! - `no`: the kernel writes a page when it is older than `vm.dirty_expire_centisecs`, and looks every `vm.dirty_writeback_centisecs`:
//!   35 seconds together, unless somebody has changed them. The file is cut to its size that long ago. This is the worst case.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lab_connection::connection::unguarded;
use lab_server::Server;
use redis::{Client, RedisResult};
use tokio::time::sleep;

use crate::torture::Fsync;

/// How often the size is taken.
const EVERY: Duration = Duration::from_millis(100);
/// How long a client waits for an fsync, in milliseconds.
const ANSWER_MS: u64 = 5_000;
/// What `everysec` may lose at worst.
const EVERYSEC_AT_WORST: Duration = Duration::from_secs(2);
/// The kernel's usual settings, together.
const KERNEL_AT_WORST: Duration = Duration::from_secs(35);
/// A key that is written to have something to wait for.
const PROBE: &str = "redis-lab:fsync-probe";

/// Watches the append-only file of one server. Clones watch the same.
#[derive(Clone)]
pub struct PageCache {
    known: Option<Arc<Mutex<Known>>>,
}

struct Known {
    sizes: VecDeque<(Instant, u64)>,
    /// Bytes that an fsync has covered, if the server says so.
    synced: Option<u64>,
    /// Older bytes are on the disk.
    at_worst: Duration,
}

impl PageCache {
    /// Starts watching, if there is anything that a power cut would take. Ends with the last clone.
    pub fn watch(server: &Server, fsync: Fsync) -> Self {
        let at_worst = match fsync {
            Fsync::Always | Fsync::None => return Self { known: None },
            Fsync::Everysec => EVERYSEC_AT_WORST,
            Fsync::No => kernel_at_worst(),
        };
        let known = Arc::new(Mutex::new(Known { sizes: VecDeque::new(), synced: None, at_worst }));
        let watched = Arc::downgrade(&known);
        let directory = server.dir().to_owned();
        let client = server.client();
        tokio::spawn(async move {
            while let Some(known) = watched.upgrade() {
                let size = append_only_file(&directory).map_or(0, |(_, size)| size);
                lock(&known).add(size);
                drop(known);
                if fsync == Fsync::Everysec {
                    tokio::spawn(ask(client.clone(), size, watched.clone()));
                }
                sleep(EVERY).await;
            }
        });
        Self { known: Some(known) }
    }

    /// Cuts off what is not certainly on the disk, while the server is down. Returns the number of bytes.
    pub fn lose(&self, directory: &Path) -> io::Result<u64> {
        let Some(known) = &self.known else { return Ok(0) };
        let Some((path, size)) = append_only_file(directory) else { return Ok(0) };
        let kept = lock(known).kept().min(size);
        OpenOptions::new().write(true).open(path)?.set_len(kept)?;
        // The sizes of the past were those of a longer file.
        lock(known).cut_to(kept);
        Ok(size - kept)
    }
}

impl Known {
    fn add(&mut self, size: u64) {
        self.sizes.push_back((Instant::now(), size));
        while self.sizes.get(1).is_some_and(|(at, _)| at.elapsed() >= self.at_worst) {
            self.sizes.pop_front();
        }
    }

    fn kept(&self) -> u64 {
        let old = self.sizes.front().filter(|(at, _)| at.elapsed() >= self.at_worst);
        self.synced.unwrap_or_else(|| old.map_or(0, |(_, size)| *size))
    }

    fn cut_to(&mut self, kept: u64) {
        for (_, size) in &mut self.sizes {
            *size = kept.min(*size);
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes, and waits until an fsync has covered it, and so all that was in the file before.
async fn ask(client: Client, size: u64, watched: Weak<Mutex<Known>>) {
    if let Ok(true) = is_synced(&client).await
        && let Some(known) = watched.upgrade()
    {
        let mut known = lock(&known);
        known.synced = known.synced.max(Some(size));
    }
}

/// Fails where the server has no WAITAOF.
async fn is_synced(client: &Client) -> RedisResult<bool> {
    let mut connection = unguarded(client).await?;
    redis::cmd("SET").arg(PROBE).arg(1).exec_async(&mut connection).await?;
    let (local, _replicas) =
        redis::cmd("WAITAOF").arg(1).arg(0).arg(ANSWER_MS).query_async::<(u64, u64)>(&mut connection).await?;
    Ok(local == 1)
}

/// The file that the server appends to, and its size.
fn append_only_file(directory: &Path) -> Option<(PathBuf, u64)> {
    let files = fs::read_dir(directory.join("appendonlydir")).ok()?;
    let numbered = files.filter_map(|file| {
        let file = file.ok()?;
        let name = file.file_name().into_string().ok()?;
        let number: u64 = name.strip_suffix(".incr.aof")?.rsplit('.').next()?.parse().ok()?;
        Some((number, file.path(), file.metadata().ok()?.len()))
    });
    numbered.max_by_key(|(number, ..)| *number).map(|(_, path, size)| (path, size))
}

fn kernel_at_worst() -> Duration {
    let setting = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys/vm").join(name)).ok()?;
        text.trim().parse().ok().map(|centiseconds: u64| Duration::from_millis(centiseconds * 10))
    };
    setting("dirty_expire_centisecs")
        .zip(setting("dirty_writeback_centisecs"))
        .map_or(KERNEL_AT_WORST, |(expire, writeback)| expire + writeback)
}
