//! A bar for long work on a terminal; one line per step where there is none, or in CI.
//!
//! Messages that appear while a bar is shown go through [`suspend`], never past it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;

/// The one bar that may be shown at a time.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Work in steps, shown as it goes.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
}

impl Progress {
    /// Begins `steps` steps; 0 where the number is not known.
    pub(crate) fn begin(ui: &Ui, steps: u64, what: &str) -> Self {
        if ui.is_quiet() {
            return Self {
                bar: None,
                lines: false,
            };
        }
        let bar = if steps == 0 {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::new(steps)
        };
        if ui.is_ci() || bar.is_hidden() {
            return Self {
                bar: None,
                lines: true,
            };
        }
        let template = if steps == 0 {
            "{spinner} {msg} {elapsed}"
        } else {
            "[{pos}/{len}] {msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        *shown() = Some(bar.clone());
        Self {
            bar: Some(bar),
            lines: false,
        }
    }

    /// As [`Self::begin`], on a terminal only.
    pub(crate) fn on_terminal(ui: &Ui, steps: u64, what: &str) -> Self {
        let mut shown = Self::begin(ui, steps, what);
        shown.lines = false;
        shown
    }

    /// Says which step is at work; the former one is done.
    pub(crate) fn step(&self, ui: &Ui, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
            bar.inc(1);
        } else if self.lines {
            ui.status(what);
        }
    }
}

impl Progress {
    /// Says how many steps are done.
    pub(crate) fn reach(&self, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(steps);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            *shown() = None;
            bar.finish_and_clear();
        }
    }
}

/// Runs `write` with the bar out of the way.
pub(super) fn suspend(write: impl FnOnce()) {
    let bar = shown().clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn shown() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}
