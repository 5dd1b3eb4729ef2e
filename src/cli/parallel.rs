//! The same work on many files, on all cores; what it gives comes back in the order of the files.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::cli::error::{CommandError, Exit};
use crate::cli::ui::Ui;
use crate::cli::ui::progress::Progress;
use crate::clock::{Clock as _, SystemClock};

/// Work that is over sooner is not worth a bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// Does `work` on each of `items`. A bar with `what` is shown on a terminal when it lasts.
pub(crate) fn each<T: Sync, R: Send>(
    ui: &Ui,
    what: &str,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if items.len() < 2 || cores < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    let mut found: Vec<(usize, R)> = Vec::with_capacity(items.len());
    thread::scope(|scope| {
        for _ in 0..cores.min(items.len()) {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else {
                        break;
                    };
                    if done.send((place, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        gather(ui, what, items.len(), &results, &mut found);
    });
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, result)| result).collect()
}

/// One error for all of `failed`, which are shown. Its exit code is theirs, where they agree.
pub(crate) fn failure(ui: &Ui, failed: &[CommandError], what: String) -> CommandError {
    for error in failed {
        ui.error(error);
    }
    let first = failed.first().map_or(Exit::Failure, CommandError::exit);
    let exit = match failed.iter().all(|error| error.exit() == first) {
        true => first,
        false => Exit::Failure,
    };
    CommandError::new("E0134", exit, what)
}

/// Takes in what comes until nothing comes any more.
fn gather<R>(
    ui: &Ui,
    what: &str,
    steps: usize,
    results: &mpsc::Receiver<(usize, R)>,
    found: &mut Vec<(usize, R)>,
) {
    let since = || SystemClock.now().monotonic;
    let begin = since();
    let mut bar = None;
    loop {
        match results.recv_timeout(PATIENCE) {
            Ok(result) => found.push(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if since().saturating_sub(begin) < PATIENCE {
            continue;
        }
        let bar = bar.get_or_insert_with(|| Progress::on_terminal(ui, steps as u64, what));
        bar.reach(found.len() as u64);
    }
}
