//! Slots that move between primaries while a test is at work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Names on a cluster share slots with those of other tests, as the hash tag alone decides: one test moves at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Slots of the shared cluster on the move, from primary to primary, until [`Moving::end`].
pub struct Moving {
    over: Arc<AtomicBool>,
    mover: JoinHandle<usize>,
    _turn: MutexGuard<'static, ()>,
}

impl Moving {
    /// Begins to move the slots of these keys round and round.
    pub fn slots_of<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = super::cluster();
        let mut connection = cluster.nodes()[0].client().get_connection().unwrap();
        let mut slot_of = |key: &str| redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut connection);
        let slots: BTreeSet<u16> = keys.into_iter().map(|key| slot_of(key.as_ref()).unwrap()).collect();
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let mover = std::thread::spawn(move || {
            let mut moves = 0;
            while !told.load(Ordering::Relaxed) {
                for slot in &slots {
                    let from = cluster.owner_of(*slot).unwrap();
                    cluster.move_slots(*slot..=*slot, from, (from + 1) % 3).unwrap();
                    moves += 1;
                }
            }
            moves
        });
        Self { over, mover, _turn: turn }
    }

    /// Lets the last one arrive, and tells how many moves there were.
    pub fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.mover.join().unwrap()
    }
}
