//! Places for SealedEnvs at work: who panics in one gives it back at once.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::sync::Semaphore;

/// The work panicked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// Does `work` in one of `places`, and gives the place back whatever its end.
///
/// The work is begun when there is a place, and boxed: whoever waits or rests takes little memory.
pub(super) async fn in_place<T, F: Future<Output = T>>(
    places: &Semaphore,
    work: impl FnOnce() -> F,
) -> Result<T, Panicked> {
    // Never closed.
    let _place = places.acquire().await;
    // The state is made anew after a panic.
    let ended = AssertUnwindSafe(Box::pin(work())).catch_unwind().await;
    ended.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_place_is_free_after_a_panic_and_held_before() {
        let places = Semaphore::new(1);
        let work = async || {
            assert_eq!(places.available_permits(), 0);
            panic!("planted");
        };
        assert_eq!(in_place::<(), _>(&places, work).await, Err(Panicked));
        assert_eq!(places.available_permits(), 1);
    }
}
