//! Two programs that are compared take turns in blocks, as with `hyperfine`.
//!
//! A call that follows one of the other program finds the caches of the processor emptied, which weighs most on the
//! shorter one and makes medians swing. So each is called once to warm up, then in rounds of a block of ours and a
//! block of theirs; medians are over the calls of all rounds.

/// How often each program is called.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    rounds: usize,
    /// Calls of one program in a round, one right after the other.
    block: usize,
}

/// For calls of some milliseconds.
pub(crate) const SHORT: Runs = Runs::new(5, 15);
/// For calls that take up to a second.
pub(crate) const MIDDLE: Runs = Runs::new(3, 3);
/// For calls of some seconds.
pub(crate) const LONG: Runs = Runs::new(1, 3);
/// For a call that takes ten seconds: not even warmed up.
pub(crate) const ONCE: Runs = Runs::new(1, 1);

impl Runs {
    const fn new(rounds: usize, block: usize) -> Self {
        Self { rounds, block }
    }

    /// Calls of each program that count.
    pub(crate) fn count(self) -> usize {
        self.rounds * self.block
    }

    /// What the calls of ours and of theirs gave.
    pub(crate) fn compare<T>(
        self,
        ours: impl Fn() -> T,
        theirs: impl Fn() -> T,
    ) -> (Vec<T>, Vec<T>) {
        if self.count() > 1 {
            drop((ours(), theirs()));
        }
        let (mut mine, mut other) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            mine.extend((0..self.block).map(|_| ours()));
            other.extend((0..self.block).map(|_| theirs()));
        }
        (mine, other)
    }
}
