//! What all SealedEnvs of one process share: places for rollouts, claims on objects.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::plan::snapshot::ObjectId;

/// A SealedEnv: namespace and name.
pub(super) type Key = (String, String);

/// A number for each SealedEnv, and their sum.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<Key, usize>>);

impl Tally {
    /// Sets the number of one SealedEnv and gives the new sum.
    pub(super) fn set(&self, key: &Key, count: usize) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            all.remove(key);
        } else {
            all.insert(key.clone(), count);
        }
        all.values().sum()
    }

    /// Adds up to `wanted` to the number of one SealedEnv, as long as the sum stays within `limit`. Gives
    /// the former number, and how many were added.
    fn take(&self, key: &Key, wanted: usize, limit: usize) -> (usize, usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = limit.saturating_sub(all.values().sum());
        let former = all.get(key).copied().unwrap_or_default();
        let more = free.min(wanted);
        if more > 0 {
            all.insert(key.clone(), former + more);
        }
        (former, more)
    }
}

/// Counts the workloads that are rolled at once.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    rolling: Tally,
}

impl Slots {
    /// At most `limit` at once.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            rolling: Tally::default(),
        }
    }

    /// Takes up to `wanted` free places for one SealedEnv, besides those that it has. Nobody else gets them
    /// until they are settled or dropped.
    pub(super) fn reserve<'a>(&'a self, key: &'a Key, wanted: usize) -> Places<'a> {
        let (former, more) = self.rolling.take(key, wanted, self.limit);
        Places {
            slots: self,
            key,
            former,
            more,
        }
    }

    /// Says how many workloads of one SealedEnv are being rolled.
    pub(super) fn report(&self, key: &Key, count: usize) {
        self.rolling.set(key, count);
    }
}

/// Places that were reserved for one step of one SealedEnv. Dropping them gives them back.
#[derive(Debug)]
pub(super) struct Places<'a> {
    slots: &'a Slots,
    key: &'a Key,
    former: usize,
    more: usize,
}

impl Places<'_> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.more
    }

    /// Keeps as many as are in flight after the step, those from before included, and gives back the rest.
    /// While it is not known how many are in flight, those from before stay.
    pub(super) fn settle(mut self, in_flight: Option<usize>) {
        self.former = in_flight.unwrap_or(self.former);
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        self.slots.report(self.key, self.former);
    }
}

/// Who delivers which object. The first to claim one keeps it; one that is known to have written it
/// comes before all others.
#[derive(Debug, Default)]
pub(super) struct Claims {
    owners: Mutex<BTreeMap<(String, ObjectId), Claim>>,
}

#[derive(Debug, Clone)]
struct Claim {
    owner: String,
    written: bool,
}

impl Claims {
    /// Claims `objects` for the SealedEnv `key` and gives back those that another one holds, with its
    /// name. What it claimed before and does not name now is free again. `written` tells the objects that
    /// its status says it has written.
    pub(super) fn claim<'a>(
        &self,
        key: &Key,
        objects: impl IntoIterator<Item = &'a ObjectId>,
        written: impl Fn(&ObjectId) -> bool,
    ) -> BTreeMap<ObjectId, String> {
        let (namespace, name) = key;
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|(space, _), claim| space != namespace || claim.owner != *name);
        let mut contested = BTreeMap::new();
        for id in objects {
            let place = (namespace.clone(), id.clone());
            let written = written(id);
            match owners.get(&place) {
                Some(claim) if claim.written || !written => {
                    contested.insert(id.clone(), claim.owner.clone());
                }
                Some(_) | None => {
                    owners.insert(
                        place,
                        Claim {
                            owner: name.clone(),
                            written,
                        },
                    );
                }
            }
        }
        contested
    }

    /// Frees everything that the SealedEnv `key` has claimed.
    pub(super) fn release(&self, key: &Key) {
        self.claim(key, [], |_| false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::env::ObjectKind;

    fn key(name: &str) -> Key {
        ("web".to_owned(), name.to_owned())
    }

    fn id(name: &str) -> ObjectId {
        ObjectId {
            kind: ObjectKind::Secret,
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_first_claim_holds_until_it_is_released() {
        let claims = Claims::default();
        assert!(claims.claim(&key("a"), [&id("x")], |_| false).is_empty());
        assert_eq!(
            claims.claim(&key("b"), [&id("x")], |_| false)[&id("x")],
            "a"
        );
        claims.release(&key("a"));
        assert!(claims.claim(&key("b"), [&id("x")], |_| false).is_empty());
    }

    #[test]
    fn who_has_written_the_object_comes_first() {
        let claims = Claims::default();
        assert!(claims.claim(&key("a"), [&id("x")], |_| false).is_empty());
        assert!(claims.claim(&key("b"), [&id("x")], |_| true).is_empty());
        assert_eq!(
            claims.claim(&key("a"), [&id("x")], |_| false)[&id("x")],
            "b"
        );
    }

    #[test]
    fn slots_count_over_all_sealed_envs() {
        let slots = Slots::new(5);
        slots.report(&key("a"), 3);
        slots.report(&key("b"), 1);
        let c = key("c");
        assert_eq!(slots.reserve(&c, 9).count(), 1);
        slots.report(&key("a"), 0);
        assert_eq!(slots.reserve(&c, 9).count(), 4, "dropped places are free");
        slots.reserve(&c, 9).settle(Some(2));
        assert_eq!(slots.reserve(&c, 9).count(), 2);
        slots.reserve(&c, 9).settle(None);
        assert_eq!(slots.reserve(&key("d"), 1).count(), 1);
    }

    #[test]
    fn no_place_is_given_to_two_who_ask_at_once() {
        let (slots, held) = (Slots::new(3), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for name in ["a", "b", "c", "d", "e", "f"] {
                let (slots, held) = (&slots, &held);
                threads.spawn(move || {
                    let key = key(name);
                    for _ in 0..500 {
                        let places = slots.reserve(&key, 2);
                        let count = places.count();
                        assert!(held.fetch_add(count, Ordering::SeqCst) + count <= 3);
                        std::thread::yield_now();
                        held.fetch_sub(count, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(slots.reserve(&key("g"), 9).count(), 3, "all came back");
    }
}
