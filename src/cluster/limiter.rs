//! How many requests may be in flight: as many as the API server bears.
//!
//! Additive increase, multiplicative decrease: one more after each round of good answers, half as
//! many after a refusal for load or when answers suddenly take twice as long. A fixed rate replaces
//! this when somebody asks for one. It knows nothing of what the requests are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// Fewest requests in flight.
const FLOOR: u32 = 4;
/// Most requests in flight.
pub const CEILING: u32 = 64;
/// With what a process begins: twice what brings an API server on two cores to its limit, since a wave of
/// restarts is over before the number could grow.
const START: u32 = 32;
/// Answers faster than this are never a sign of load, however their times vary.
const QUICK: Duration = Duration::from_millis(50);

/// Shared by all who send requests; clones count together.
#[derive(Clone)]
pub struct Limiter {
    semaphore: Arc<Semaphore>,
    window: Arc<Mutex<Window>>,
    rate: Option<Arc<Mutex<Rate>>>,
}

/// Leave for one request. Drop it (or call [`Permit::finish`]) when the answer is there.
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    window: Arc<Mutex<Window>>,
    semaphore: Arc<Semaphore>,
    started: Instant,
}

/// What an answer says about the load of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It answered; errors that are our own fault count as good.
    Good,
    /// It asked for fewer requests, or is not available.
    Overloaded,
    /// The request says nothing about load.
    Unknown,
}

/// The control loop. Pure, so that it can be tested without waiting.
#[derive(Debug)]
struct Window {
    limit: u32,
    /// Permits still to be taken out of circulation, since the limit fell below what is in flight.
    debt: u32,
    good: u32,
    total: Duration,
    /// Smoothed latency of former rounds.
    usual: Option<Duration>,
    /// Answers to requests sent before the last decrease, which say nothing new.
    stale: u32,
}

/// Start of the next request under a fixed rate.
struct Rate {
    interval: Duration,
    next: Option<Instant>,
}

/// What has to happen to the semaphore after an answer.
#[derive(Debug, PartialEq, Eq)]
enum Permits {
    Return,
    ReturnAndAdd,
    Forget,
}

impl Limiter {
    /// Adaptive; or with a fixed number of requests per second, where one is asked for.
    #[must_use]
    pub fn new(requests_per_second: Option<u32>) -> Self {
        let rate = requests_per_second.map(|rate| Rate {
            interval: Duration::from_secs(1) / rate.max(1),
            next: None,
        });
        let limit = if rate.is_some() { CEILING } else { START };
        Self {
            semaphore: Arc::new(Semaphore::new(limit as usize)),
            window: Arc::new(Mutex::new(Window::new(limit))),
            rate: rate.map(|rate| Arc::new(Mutex::new(rate))),
        }
    }

    /// Waits until a request may be sent.
    pub async fn acquire(&self) -> Permit {
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.ok();
        if let Some(rate) = &self.rate {
            let turn = lock(rate).turn(Instant::now());
            sleep_until(turn).await;
        }
        Permit {
            permit,
            window: Arc::clone(&self.window),
            semaphore: Arc::clone(&self.semaphore),
            started: Instant::now(),
        }
    }

    /// How many may be in flight now.
    #[must_use]
    pub fn limit(&self) -> usize {
        lock(&self.window).limit as usize
    }
}

impl Permit {
    /// Tells what the answer says about the server, and makes room for the next request.
    pub fn finish(mut self, load: Load) {
        self.settle(load);
    }

    fn settle(&mut self, load: Load) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        match lock(&self.window).answer(load, self.started.elapsed()) {
            Permits::Return => drop(permit),
            Permits::ReturnAndAdd => self.semaphore.add_permits(1),
            Permits::Forget => permit.forget(),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(Load::Unknown);
    }
}

impl Window {
    fn new(limit: u32) -> Self {
        Self {
            limit,
            debt: 0,
            good: 0,
            total: Duration::ZERO,
            usual: None,
            stale: 0,
        }
    }

    fn answer(&mut self, load: Load, latency: Duration) -> Permits {
        let fresh = self.stale == 0;
        self.stale = self.stale.saturating_sub(1);
        let grows = match load {
            Load::Overloaded if fresh => {
                self.shrink();
                false
            }
            Load::Good if fresh => self.count(latency),
            _ => false,
        };
        if self.debt > 0 {
            self.debt -= 1;
            Permits::Forget
        } else if grows {
            self.limit += 1;
            Permits::ReturnAndAdd
        } else {
            Permits::Return
        }
    }

    /// Counts a good answer; whether a round of them is complete and the limit may grow.
    fn count(&mut self, latency: Duration) -> bool {
        self.good += 1;
        self.total += latency;
        if self.good < self.limit {
            return false;
        }
        let mean = self.total / self.good;
        let usual = self.usual.unwrap_or(mean);
        (self.good, self.total) = (0, Duration::ZERO);
        self.usual = Some((usual * 4 + mean) / 5);
        if mean > QUICK && mean > usual * 2 {
            self.shrink();
            return false;
        }
        self.limit < CEILING
    }

    fn shrink(&mut self) {
        let smaller = (self.limit / 2).max(FLOOR);
        self.stale = self.limit;
        self.debt += self.limit - smaller;
        self.limit = smaller;
        (self.good, self.total) = (0, Duration::ZERO);
    }
}

impl Rate {
    /// When the next request may start.
    fn turn(&mut self, now: Instant) -> Instant {
        let turn = self.next.map_or(now, |next| next.max(now));
        self.next = Some(turn + self.interval);
        turn
    }
}

/// A poisoned lock is taken all the same: the numbers behind it are only hints.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAST: Duration = Duration::from_millis(3);

    fn answers(window: &mut Window, load: Load, latency: Duration, count: u32) {
        for _ in 0..count {
            window.answer(load, latency);
        }
    }

    #[test]
    fn good_answers_raise_the_limit_one_by_one_up_to_the_ceiling() {
        let mut window = Window::new(START);
        answers(&mut window, Load::Good, FAST, START);
        assert_eq!(window.limit, START + 1);
        answers(&mut window, Load::Good, FAST, 5000);
        assert_eq!(window.limit, CEILING);
    }

    #[test]
    fn one_burst_of_refusals_halves_once() {
        let mut window = Window::new(32);
        answers(&mut window, Load::Overloaded, FAST, 32);
        assert_eq!(window.limit, 16);
        answers(&mut window, Load::Overloaded, FAST, 1000);
        assert_eq!(window.limit, FLOOR);
    }

    #[test]
    fn answers_that_suddenly_take_twice_as_long_halve_the_limit() {
        let mut window = Window::new(16);
        answers(&mut window, Load::Good, Duration::from_millis(60), 16);
        answers(&mut window, Load::Good, Duration::from_millis(200), 17);
        assert_eq!(window.limit, 8);
    }

    #[test]
    fn quick_answers_may_vary() {
        let mut window = Window::new(16);
        answers(&mut window, Load::Good, Duration::from_millis(1), 16);
        answers(&mut window, Load::Good, Duration::from_millis(20), 17);
        assert_eq!(window.limit, 18);
    }

    #[test]
    fn a_fixed_rate_spaces_the_requests() {
        let mut rate = Rate {
            interval: Duration::from_millis(100),
            next: None,
        };
        let start = Instant::now();
        let turns: Vec<_> = (0..3).map(|_| rate.turn(start) - start).collect();
        assert_eq!(turns, [0, 100, 200].map(Duration::from_millis));
    }

    proptest! {
        /// Simulates a semaphore beside the window: what circulates is the limit, once debts are paid.
        #[test]
        fn the_permits_in_circulation_follow_the_limit(
            loads in prop::collection::vec((0..3_u8, 1..300_u64), 1..400)
        ) {
            let mut window = Window::new(START);
            let mut permits = i64::from(START);
            for (load, latency) in loads {
                let load = [Load::Good, Load::Overloaded, Load::Unknown][load as usize];
                match window.answer(load, Duration::from_millis(latency)) {
                    Permits::Return => {}
                    Permits::ReturnAndAdd => permits += 1,
                    Permits::Forget => permits -= 1,
                }
                prop_assert_eq!(permits - i64::from(window.debt), i64::from(window.limit));
                prop_assert!((FLOOR..=CEILING).contains(&window.limit));
            }
        }
    }
}
