//! Slots that move between primaries while a test is at work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use lab_server::Cluster;
use redis::{Arg, Cmd, Value};

/// Names on a cluster share slots with those of other tests, as the hash tag alone decides: one test moves at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How many moves one test makes, so that one with thousands of commands ends, too.
const MOVES: usize = 60;

/// With `LAB_SLOTS_MOVE=1`, a test on the shared cluster moves the slot of each of its first commands just before the
/// command is sent, unless another move is under way: every other slot has arrived elsewhere by then, the rest arrive ten
/// milliseconds later. So each test becomes one of what a pattern does while slots move.
#[derive(Clone, Default)]
pub struct MoveSlotsBefore {
    moves: Arc<AtomicUsize>,
}

impl MoveSlotsBefore {
    /// Moves the slot of this command, or begins to.
    pub async fn before(&self, cmd: &Cmd) {
        if self.moves.load(Ordering::Relaxed) >= MOVES {
            return;
        }
        let (cmd, moves, (on_its_way, wait)) =
            (cmd.clone(), Arc::clone(&self.moves), tokio::sync::oneshot::channel());
        std::thread::spawn(move || {
            // Who moves slots now, may wait for this command; and nobody's command is held up by more than one move.
            let _turn = match ONE_AT_A_TIME.try_lock() {
                Ok(turn) => turn,
                // A test that failed while it moved slots is no reason to move none from then on.
                Err(TryLockError::Poisoned(left)) => left.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let cluster = crate::cluster();
            let Some(slot) = slot_of_first_key(cluster, &cmd) else { return };
            let from = cluster.owner_of(slot).unwrap();
            let to = (from + 1) % 3;
            // Only what is moved counts: however often it is somebody else's turn, each connection gets its moves.
            if moves.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                set_half_moved(slot, [from, to]);
                let _ = on_its_way.send(());
                std::thread::sleep(Duration::from_millis(10));
                cluster.move_slots(slot..=slot, from, to).unwrap();
            } else {
                cluster.move_slots(slot..=slot, from, to).unwrap();
                let _ = on_its_way.send(());
            }
        });
        // An error means that there is nothing to move, or that somebody else is moving slots.
        let _ = wait.await;
    }
}

/// Whether the environment asks that slots move in all tests: `LAB_SLOTS_MOVE=1`.
pub fn move_in_all_tests() -> bool {
    std::env::var_os("LAB_SLOTS_MOVE").is_some_and(|value| value == "1")
}

/// What the server says; redis-rs knows it too, and does not tell.
fn slot_of_first_key(cluster: &Cluster, cmd: &Cmd) -> Option<u16> {
    let mut connection = cluster.nodes()[0].client().get_connection().unwrap();
    let mut ask = redis::cmd("COMMAND");
    ask.arg("GETKEYS");
    for arg in cmd.args_iter() {
        if let Arg::Simple(bytes) = arg {
            ask.arg(bytes);
        }
    }
    // An error: it has no keys.
    let keys: Vec<Vec<u8>> = ask.query(&mut connection).ok()?;
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
    let mut connection = cluster.nodes()[0].client().get_connection().unwrap();
    let mut ask = |key: &[u8]| redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut connection).unwrap();
    keys.into_iter().map(|key| ask(key.as_ref())).collect()
}

/// Slots of the shared cluster on the move, from primary to primary, until [`MovingSlots::end`].
pub struct MovingSlots {
    over: Arc<AtomicBool>,
    mover: JoinHandle<usize>,
    _turn: MutexGuard<'static, ()>,
}

impl MovingSlots {
    /// Begins to move the slots of these keys round and round.
    pub fn of<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = crate::cluster();
        let slots = slots_of(cluster, keys);
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let (second_begins, second) = mpsc::channel();
        let mover = std::thread::spawn(move || {
            let mut moves = 0;
            while !told.load(Ordering::Relaxed) {
                for slot in &slots {
                    let from = cluster.owner_of(*slot).unwrap();
                    let to = (from + 1) % 3;
                    if moves == 1 {
                        // Half way is on its way, however long this thread is kept from going on.
                        set_half_moved(*slot, [from, to]);
                        let _ = second_begins.send(());
                    }
                    cluster.move_slots(*slot..=*slot, from, to).unwrap();
                    moves += 1;
                }
            }
            moves
        });
        // However quick the test is, the second move is under way when it begins.
        second.recv().unwrap();
        Self { over, mover, _turn: turn }
    }

    /// Lets the last one arrive, and tells how many moves there were.
    pub fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.mover.join().unwrap()
    }
}

/// How many scripts have failed because they missed a key while its slot was half way to another server.
static FAILED: AtomicUsize = AtomicUsize::new(0);

/// The patterns let such a script run once more, which is right if it has written nothing. So it is counted here.
pub fn count_failed_scripts(reply: &redis::RedisResult<Value>) {
    let Err(error) = reply else { return };
    let text = error.to_string();
    if ["non local key", "accessed during rehashing"].iter().any(|missed| text.contains(missed)) {
        FAILED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Slots of the shared cluster that stay on their way, from [`HalfMovedSlots::of`] to the end, when they arrive: until
/// then every key is still where it was. A script whose keys are all there runs; one that then asks for a key which it
/// has emptied fails in its middle, and the end panics. A script that misses a key from the start is put off until the
/// end, so do not wait for one.
pub struct HalfMovedSlots {
    stopped: Vec<(u16, [usize; 2])>,
    failed_before: usize,
    _turn: MutexGuard<'static, ()>,
}

impl HalfMovedSlots {
    /// Begins to move the slots of these keys, and stops there.
    pub fn of<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = crate::cluster();
        let slots = slots_of(cluster, keys);
        let mut stopped = Vec::new();
        for slot in slots {
            let from = cluster.owner_of(slot).unwrap();
            let nodes = [from, (from + 1) % 3];
            set_half_moved(slot, nodes);
            stopped.push((slot, nodes));
        }
        Self { stopped, failed_before: FAILED.load(Ordering::Relaxed), _turn: turn }
    }
}

impl Drop for HalfMovedSlots {
    fn drop(&mut self) {
        let failed = FAILED.load(Ordering::Relaxed) - self.failed_before;
        let mut stuck = Vec::new();
        for (slot, [from, to]) in &self.stopped {
            // Arrived, and not called back: another test with a key in this slot may have been sent on, and written it
            // where the slot was going. Called back, the slot would leave that key behind.
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

fn set_slot(node: usize, slot: u16, how: &[&str]) {
    let mut connection = crate::cluster().nodes()[node].client().get_connection().unwrap();
    redis::cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(how).exec(&mut connection).unwrap();
}

fn id_of(node: usize) -> String {
    let mut connection = crate::cluster().nodes()[node].client().get_connection().unwrap();
    redis::cmd("CLUSTER").arg("MYID").query(&mut connection).unwrap()
}
