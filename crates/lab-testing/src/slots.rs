//! Slots of the shared cluster that move between its primaries while a test works.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lab_server::Cluster;
use redis::{Arg, Cmd, Connection, Value};

use crate::refusals::error_in;

/// Tests can share a slot, because only the hash tag decides it. So one test at a time moves slots.
static MOVING: Mutex<()> = Mutex::new(());

/// How many moves one connection makes, so that a test with thousands of commands ends, too.
const MAX_MOVES: usize = 60;

/// How long a slot stays half moved.
const HALF_MOVED: Duration = Duration::from_millis(10);

/// How long a slot takes at least until the same node imports it again. A client that was redirected with ASK must have asked by then.
/// Otherwise its command creates the key there while another node has it, and the cluster has the key twice.
const ROUND: Duration = Duration::from_millis(250);

/// Moves the slot of each of the first commands of a connection just before the command is sent, unless another test is moving
/// slots. Every other time, the command arrives while its slot is half moved. `LAB_SLOTS_MOVE=1` turns this on in all tests on
/// the shared cluster, so each of them becomes a test of what a pattern does while slots move.
#[derive(Clone, Default)]
pub(crate) struct SlotMover {
    moves: Arc<AtomicUsize>,
}

impl SlotMover {
    /// Moves the slot of this command, or half of it.
    pub(crate) async fn before(&self, cmd: &Cmd) {
        if self.moves.load(Ordering::Relaxed) >= MAX_MOVES {
            return;
        }
        let (cmd, moves) = (cmd.clone(), Arc::clone(&self.moves));
        let (go_on, wait) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            // A test that waited here could wait for its own command.
            let _lock = match MOVING.try_lock() {
                Ok(lock) => lock,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let cluster = crate::cluster();
            let Some(slot) = slot_of_first_key(cluster, &cmd) else { return };
            let from = cluster.owner_of(slot).unwrap();
            let to = (from + 1) % 3;
            if moves.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                set_half_moved(slot, [from, to]);
                let _ = go_on.send(());
                std::thread::sleep(HALF_MOVED);
                cluster.move_slots(slot..=slot, from, to).unwrap();
            } else {
                cluster.move_slots(slot..=slot, from, to).unwrap();
                let _ = go_on.send(());
            }
        });
        // An error means that the thread has ended without a move.
        let _ = wait.await;
    }
}

/// Whether slots move in all tests: `LAB_SLOTS_MOVE=1`.
pub fn move_in_all_tests() -> bool {
    std::env::var_os("LAB_SLOTS_MOVE").is_some_and(|value| value == "1")
}

/// Asks the server, because redis-rs does not say. `None` if the command has no keys.
fn slot_of_first_key(cluster: &Cluster, cmd: &Cmd) -> Option<u16> {
    let mut get_keys = redis::cmd("COMMAND");
    get_keys.arg("GETKEYS");
    for arg in cmd.args_iter() {
        if let Arg::Simple(bytes) = arg {
            get_keys.arg(bytes);
        }
    }
    let keys: Vec<Vec<u8>> = get_keys.query(&mut connect(cluster, 0)).ok()?;
    slots_of(cluster, keys.first()).pop_first()
}

/// Which primary of the shared cluster has the slot of this key.
pub fn owner_of(key: &str) -> usize {
    let cluster = crate::cluster();
    let slot = *slots_of(cluster, [key]).first().unwrap();
    cluster.owner_of(slot).unwrap()
}

/// The slots of these keys.
pub fn slots_of<K: AsRef<[u8]>>(cluster: &Cluster, keys: impl IntoIterator<Item = K>) -> BTreeSet<u16> {
    let mut connection = connect(cluster, 0);
    let mut slot_of = |key: &[u8]| redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut connection);
    keys.into_iter().map(|key| slot_of(key.as_ref()).unwrap()).collect()
}

/// Slots of the shared cluster that move from primary to primary until [`MovingSlots::end`].
pub struct MovingSlots {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
    _lock: MutexGuard<'static, ()>,
}

impl MovingSlots {
    /// Starts to move the slots of these keys round and round. When it returns, a slot is half moved.
    pub fn of<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        let lock = MOVING.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = crate::cluster();
        let slots = slots_of(cluster, keys);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (half_moved, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut moves = 0;
            let mut begun = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                if moves > 0 && moves % (3 * slots.len()) == 0 {
                    std::thread::sleep(ROUND.saturating_sub(begun.elapsed()));
                    begun = Instant::now();
                }
                for slot in &slots {
                    let from = cluster.owner_of(*slot).unwrap();
                    let to = (from + 1) % 3;
                    if moves == 1 {
                        set_half_moved(*slot, [from, to]);
                        let _ = half_moved.send(());
                    }
                    cluster.move_slots(*slot..=*slot, from, to).unwrap();
                    moves += 1;
                }
            }
            moves
        });
        wait.recv().unwrap();
        Self { stop, thread, _lock: lock }
    }

    /// Stops after the current move, and returns how many there were.
    pub fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// How many scripts failed in their middle, because they missed a key while its slot was half moved.
static FAILED_SCRIPTS: AtomicUsize = AtomicUsize::new(0);

/// The patterns run such a script once more, which is right only if it wrote nothing. [`HalfMovedSlots`] looks at the count.
pub(crate) fn count_failed_scripts(reply: &redis::RedisResult<Value>) {
    let Some(text) = error_in(reply).map(|error| error.to_string()) else { return };
    if ["non local key", "accessed during rehashing"].iter().any(|missed| text.contains(missed)) {
        FAILED_SCRIPTS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Slots of the shared cluster that stay half moved until this is dropped. Every key stays where it was. A script whose keys all
/// exist runs. If it then touches a key that it has emptied, it fails in its middle, and the drop panics. A script with a key
/// that does not exist is put off until the drop, so do not wait for one.
pub struct HalfMovedSlots {
    slots: Vec<(u16, [usize; 2])>,
    failed_before: usize,
    _lock: MutexGuard<'static, ()>,
}

impl HalfMovedSlots {
    /// Moves the slots of these keys half way.
    pub fn of<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        let lock = MOVING.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = crate::cluster();
        let mut slots = Vec::new();
        for slot in slots_of(cluster, keys) {
            let from = cluster.owner_of(slot).unwrap();
            let nodes = [from, (from + 1) % 3];
            set_half_moved(slot, nodes);
            slots.push((slot, nodes));
        }
        Self { slots, failed_before: FAILED_SCRIPTS.load(Ordering::Relaxed), _lock: lock }
    }
}

impl Drop for HalfMovedSlots {
    fn drop(&mut self) {
        let failed = FAILED_SCRIPTS.load(Ordering::Relaxed) - self.failed_before;
        let mut stuck = Vec::new();
        for (slot, [from, to]) in &self.slots {
            // Never back: another test with a key in this slot may have been redirected and have written it at the destination.
            stuck.extend(crate::cluster().move_slots(*slot..=*slot, *from, *to).err());
        }
        if !std::thread::panicking() {
            assert!(stuck.is_empty(), "{stuck:?}");
            assert_eq!(failed, 0, "scripts failed in their middle");
        }
    }
}

fn set_half_moved(slot: u16, [from, to]: [usize; 2]) {
    set_slot(to, slot, &["IMPORTING", &id_of(from)]);
    set_slot(from, slot, &["MIGRATING", &id_of(to)]);
}

fn set_slot(node: usize, slot: u16, state: &[&str]) {
    let mut connection = connect(crate::cluster(), node);
    redis::cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(state).exec(&mut connection).unwrap();
}

fn id_of(node: usize) -> String {
    redis::cmd("CLUSTER").arg("MYID").query(&mut connect(crate::cluster(), node)).unwrap()
}

fn connect(cluster: &Cluster, node: usize) -> Connection {
    cluster.nodes()[node].client().get_connection().unwrap()
}
