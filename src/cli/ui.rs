//! Every byte that leaves: data on stdout, all else on stderr.
//!
//! Commands never print; they hand their words to [`Ui`], which decides on colour, symbols, quiet and
//! questions. A reader that goes away (`| head`) ends the output quietly.

pub(crate) mod ask;
pub(crate) mod asker;
pub(crate) mod progress;
pub(crate) mod style;

use std::io::{self, IsTerminal as _, Write as _};

use crate::cli::environ::Environ;
use crate::cli::error::CommandError;
use crate::secret::Secret;

pub(crate) use style::{Colour, Symbols};

/// How much is said and asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manners {
    /// `--quiet`: neither progress nor `Next:` lines.
    pub(crate) quiet: bool,
    /// `--no-input`: never ask.
    pub(crate) no_input: bool,
    /// `--yes`: ordinary questions are answered.
    pub(crate) yes: bool,
    /// `--dry-run`: nothing was done that something could follow.
    pub(crate) is_trial: bool,
}

/// The terminal, or whatever stands in its place.
pub(crate) struct Ui {
    manners: Manners,
    colour_out: bool,
    colour_err: bool,
    symbols: Symbols,
    ci: bool,
    failure: Option<io::Error>,
}

impl Ui {
    /// Looks at the streams of this process.
    pub(crate) fn new(manners: Manners, colour: Colour, environ: &Environ) -> Self {
        Self {
            manners,
            colour_out: colour.decide(environ, io::stdout().is_terminal()),
            colour_err: colour.decide(environ, io::stderr().is_terminal()),
            symbols: Symbols::for_locale(environ.is_utf8()),
            ci: environ.has("CI"),
            failure: None,
        }
    }

    /// The signs to use in texts.
    pub(crate) fn symbols(&self) -> Symbols {
        self.symbols
    }

    /// Whether stdout is a terminal.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether stdout or stderr is neither a terminal nor a file: somebody else reads it, such as a CI
    /// that keeps it.
    pub(crate) fn output_is_seen_by_others(&self) -> bool {
        is_pipe(&io::stdout()) || is_pipe(&io::stderr())
    }

    /// Whether `CI` is set.
    pub(crate) fn is_ci(&self) -> bool {
        self.ci
    }

    /// Whether only errors and data are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.manners.quiet
    }

    // === data: stdout ===

    /// Writes `bytes` to stdout as they are.
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            let mut out = io::stdout().lock();
            self.failure = out.write_all(bytes).and_then(|()| out.flush()).err();
        }
    }

    /// Writes a line of a report to stdout, with colour if that is wanted.
    pub(crate) fn report(&mut self, line: &str) {
        let text = style::render(line, self.colour_out);
        self.data(format!("{text}\n").as_bytes());
    }

    /// What went wrong on stdout. A reader that went away is no failure.
    pub(crate) fn finish(&mut self) -> Result<(), io::Error> {
        match self.failure.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    // === everything else: stderr ===

    fn say(&self, line: &str) {
        // Nobody is left to be told when stderr is gone.
        let text = style::render(line, self.colour_err);
        progress::suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// A plain line about what happens; left out when quiet.
    pub(crate) fn status(&self, line: &str) {
        if !self.manners.quiet {
            self.say(line);
        }
    }

    /// A step that is done.
    pub(crate) fn done(&self, line: &str) {
        self.status(&format!("{} {line}", style::good(self.symbols.yes)));
    }

    /// A step that was not needed.
    pub(crate) fn same(&self, line: &str) {
        self.status(&format!("{} {line}", self.symbols.same));
    }

    /// Something to know; shown also when quiet.
    pub(crate) fn warn(&self, line: &str) {
        self.say(&format!("{} {line}", style::notice(self.symbols.warning)));
    }

    /// One finding of several.
    pub(crate) fn finding(&self, line: &str) {
        self.say(&format!("{} {line}", style::bad(self.symbols.no)));
    }

    /// A labelled line below a finding, such as `fix`.
    pub(crate) fn detail(&self, label: &str, text: &str) {
        self.say(&format!(
            "  {} {text}",
            style::label(&format!("{label:<5}"))
        ));
    }

    /// The next command to type; none after a trial, which wrote nothing.
    pub(crate) fn next(&self, text: &str) {
        if !self.manners.is_trial {
            self.status(&format!("{}  {text}", style::label("Next:")));
        }
    }

    /// The four parts of an error.
    pub(crate) fn error(&self, error: &CommandError) {
        let head = style::bad(&format!("error[{}]", error.code()));
        self.say(&format!("{head}: {}", error.what()));
        let lines = error.lines();
        let width = lines
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0);
        for (label, text) in lines {
            let label = style::label(&format!("{label:<width$}"));
            self.say(&format!("  {label}  {text}"));
        }
    }

    // === questions ===

    /// Asks a yes-or-no question whose careful answer is no.
    ///
    /// # Errors
    ///
    /// Without a terminal: wrong usage, naming `flag`, which would have answered.
    pub(crate) fn confirm(&self, question: &str, flag: &str) -> Result<bool, CommandError> {
        if self.manners.yes {
            return Ok(true);
        }
        self.require_terminal(question, flag)?;
        ask::line(&format!("{question} [y/N] "))
            .map(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
            .map_err(|error| no_answer(&error))
    }

    /// Asks for a word.
    ///
    /// # Errors
    ///
    /// As [`Self::confirm`].
    pub(crate) fn typed(&self, question: &str, flag: &str) -> Result<String, CommandError> {
        self.require_terminal(question, flag)?;
        ask::line(question).map_err(|error| no_answer(&error))
    }

    /// Asks for one of `letters`; an unknown answer is asked again.
    ///
    /// # Errors
    ///
    /// As [`Self::confirm`].
    pub(crate) fn choose(
        &self,
        question: &str,
        letters: &[char],
        flag: &str,
    ) -> Result<char, CommandError> {
        self.require_terminal(question, flag)?;
        loop {
            let answer = ask::line(question).map_err(|error| no_answer(&error))?;
            let letter = answer.trim().chars().next();
            if let Some(letter) = letter.filter(|letter| letters.contains(letter)) {
                return Ok(letter);
            }
        }
    }

    /// Asks for a value without showing what is typed.
    ///
    /// # Errors
    ///
    /// As [`Self::confirm`].
    pub(crate) fn hidden(&self, question: &str, flag: &str) -> Result<Secret, CommandError> {
        self.require_terminal(question, flag)?;
        ask::hidden(question).map_err(|error| no_answer(&error))
    }

    /// Whether somebody sits there who can answer.
    pub(crate) fn can_ask(&self) -> bool {
        !self.manners.no_input && !self.ci && io::stdin().is_terminal()
    }

    fn require_terminal(&self, question: &str, flag: &str) -> Result<(), CommandError> {
        if self.can_ask() {
            return Ok(());
        }
        let why = if self.manners.no_input {
            "--no-input was given"
        } else if self.ci {
            "CI is set"
        } else {
            "standard input is not a terminal"
        };
        let question = question.trim_end_matches([' ', ':', '?']);
        Err(CommandError::new(
            "E0521",
            crate::cli::error::Exit::Usage,
            "an answer is needed",
        )
        .fact("asked", question)
        .why(why)
        .fix(format!("answer with {flag}")))
    }
}

fn is_pipe(stream: &impl std::os::fd::AsFd) -> bool {
    let kind =
        rustix::fs::fstat(stream).map(|found| rustix::fs::FileType::from_raw_mode(found.st_mode));
    let is_file = kind == Ok(rustix::fs::FileType::RegularFile);
    !is_file && !rustix::termios::isatty(stream)
}

fn no_answer(error: &io::Error) -> CommandError {
    use crate::cli::error::Exit;
    if error.kind() == io::ErrorKind::Interrupted {
        return CommandError::new("E0522", Exit::Interrupted, "interrupted");
    }
    CommandError::new("E0521", Exit::Failure, "no answer came").why(error.to_string())
}
