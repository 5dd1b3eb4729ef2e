//! One reconciler at a time for each name: a SealedEnv that was deleted and made again waits until the one
//! before it has left, so that the end of the old one frees nothing that the new one has claimed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::shared::Key;

/// The place of one name. Whoever works for it holds the lock; those who wait get it in their order.
pub(super) type Desk = Arc<tokio::sync::Mutex<()>>;

/// The desks that somebody holds or waits for.
#[derive(Debug, Default)]
pub(super) struct Desks(Mutex<BTreeMap<Key, Weak<tokio::sync::Mutex<()>>>>);

impl Desks {
    /// The desk of the SealedEnv `key`.
    pub(super) fn of(&self, key: &Key) -> Desk {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = all.get(key).and_then(Weak::upgrade) {
            return desk;
        }
        let desk = Desk::default();
        all.insert(key.clone(), Arc::downgrade(&desk));
        desk
    }

    /// Forgets the desks that nobody needs any more.
    pub(super) fn tidy(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, desk| desk.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_waits_until_the_first_has_left_and_others_do_not() {
        let key = |name: &str| ("web".to_owned(), name.to_owned());
        let desks = Desks::default();
        let first = desks.of(&key("a")).try_lock_owned().unwrap();
        desks.tidy();
        assert!(desks.of(&key("a")).try_lock_owned().is_err());
        assert!(desks.of(&key("b")).try_lock_owned().is_ok());
        drop(first);
        assert!(desks.of(&key("a")).try_lock_owned().is_ok());
        desks.tidy();
        assert!(desks.0.lock().unwrap().is_empty());
    }
}
