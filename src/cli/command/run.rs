//! `run`: a command with the environment of a document.
//!
//! Where there is nothing to watch, to mask or to clean up, sealctl replaces itself by the command.
//! Otherwise it stays as parent. Whatever fails before the command starts ends with 125.

mod environment;
mod once;
mod redact;
mod supervise;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::mask::Mask;
use crate::cli::{Outcome, Session};
use crate::env::{Delivery, Value};
use crate::file::{self, Scratch};
use crate::name::KeyName;
use crate::runner::{self, RunError, Task};
use crate::secret::Secret;

/// Run a command with the environment
///
/// Variables that are set already win, unless --override is given. With --watch the command is
/// restarted when the content changes; a broken file changes nothing.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl run -e dev -- python manage.py check\n  sealctl run --watch -- python manage.py runserver --noreload"
)]
pub(crate) struct RunArgs {
    /// Restart the command when a value changes
    #[arg(short, long)]
    watch: bool,
    /// Run this first, by sh -c, once for each content
    #[arg(long, value_name = "COMMAND")]
    once: Option<String>,
    /// How long the command may take to end before it is killed
    #[arg(long, value_name = "TIME", default_value = "10s")]
    grace: String,
    /// Hand over these keys only
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Hand over nothing else than the values, PATH, HOME and the like
    #[arg(long)]
    pristine: bool,
    /// Let the document win over variables that are set already
    #[arg(long = "override")]
    overrule: bool,
    /// What to do about a document that cannot be opened
    #[arg(long, value_name = "HOW", default_value = "error")]
    allow_missing: Missing,
    /// Mask secret values in what the command prints
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        env = "SEALCTL_REDACT"
    )]
    redact: Redact,
    /// Hand over this key as a file in memory, its path in KEY_FILE; repeat for several
    #[arg(long, value_name = "KEY")]
    file: Vec<String>,
    /// The command
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// What to do about a document that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Missing {
    /// Stop.
    Error,
    /// Say so and run without it.
    Warn,
    /// Run without it.
    Ignore,
}

/// When the output of the command is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Redact {
    /// Where CI is set and the stream is neither a terminal nor a file.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `run`.
pub(crate) fn run(session: &mut Session, args: &RunArgs) -> Result<Outcome, CommandError> {
    prepare_and_run(session, args).map_err(|error| match error.exit() {
        Exit::NotExecutable | Exit::CommandNotFound => error,
        _ => error.with_exit(Exit::RunFailed),
    })
}

fn prepare_and_run(session: &mut Session, args: &RunArgs) -> Result<Outcome, CommandError> {
    let grace = duration(&args.grace)?;
    let source = Source::find(session, None)?;
    let loaded = match Loaded::read(session, &source, args) {
        Ok(loaded) => Some(loaded),
        Err(error) => match args.allow_missing {
            Missing::Error => return Err(error),
            Missing::Warn => {
                session.ui.warn(&format!(
                    "running without {}: {}",
                    source.shown,
                    error.what()
                ));
                None
            }
            Missing::Ignore => None,
        },
    };
    if let Some(loaded) = &loaded {
        announce(session, loaded);
        if let Some(command) = &args.once
            && let Some(end) = once::run(session, &source, loaded, command)?
        {
            return Ok(Outcome::Status(end));
        }
    }
    let stays = args.watch || redacts(session, args) || !args.file.is_empty();
    let task = task(session, args, loaded.as_ref(), false);
    if session.globals.dry_run {
        return Ok(Outcome::Done);
    }
    if !stays {
        return Err(runner::replace(&task).into());
    }
    supervise::run(session, args, &source, loaded, grace)
}

/// What a document gives to a command.
struct Loaded {
    /// The whole document.
    delivery: Delivery,
    /// What is left of its values after `--only`, the ones for files included.
    values: BTreeMap<KeyName, Value>,
    /// All variables of the command.
    mixed: environment::Mixed,
    /// How its values are compared.
    mask: Mask,
    /// The files of `--file`; gone with it.
    _files: Option<Scratch>,
}

impl Loaded {
    /// Opens and checks the document and composes the environment.
    fn read(session: &Session, source: &Source, args: &RunArgs) -> Result<Self, CommandError> {
        let document = source.open(session)?;
        let delivery = source.deliver(&document)?;
        let mut values = delivery.values.clone();
        if !args.only.is_empty() {
            for name in &args.only {
                known(name, &delivery, source)?;
            }
            values.retain(|name, _| args.only.iter().any(|only| only == name.as_str()));
        }
        for name in &args.file {
            known(name, &delivery, source)?;
        }
        let mut plain = values.clone();
        plain.retain(|name, _| !args.file.iter().any(|file| file == name.as_str()));
        let mixing = environment::Mixing {
            pristine: args.pristine,
            overrule: args.overrule,
        };
        let mut mixed = environment::mix(&session.environ, &plain, &delivery.environment, mixing)?;
        let files = files(session, &args.file, &delivery, &mut mixed)?;
        Ok(Self {
            delivery,
            values,
            mixed,
            mask: document.mask,
            _files: files,
        })
    }

    /// What differs from `former`, such as `~ REDIS_URL, + FEATURE_X`; `None` when nothing does.
    fn changes(&self, former: &Self) -> Option<String> {
        let mut changes = Vec::new();
        for (name, value) in &self.values {
            match former.values.get(name) {
                None => changes.push(format!("+ {name}")),
                Some(old) if old.text != value.text => changes.push(format!("~ {name}")),
                Some(_) => {}
            }
        }
        let gone = former
            .values
            .keys()
            .filter(|name| !self.values.contains_key(name));
        changes.extend(gone.map(|name| format!("- {name}")));
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    /// The values that must not be seen in the output.
    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let secret = self.delivery.values.values().filter(|value| value.secret);
        secret.map(|value| &value.text)
    }
}

fn known(name: &str, delivery: &Delivery, source: &Source) -> Result<(), CommandError> {
    if delivery.values.keys().any(|known| known.as_str() == name) {
        return Ok(());
    }
    Err(crate::cli::command::get::not_set(
        name,
        delivery,
        &source.shown,
    ))
}

/// Writes the values of `names` as files into memory and puts their paths into `NAME_FILE`.
fn files(
    session: &Session,
    names: &[String],
    delivery: &Delivery,
    mixed: &mut environment::Mixed,
) -> Result<Option<Scratch>, CommandError> {
    if names.is_empty() || session.globals.dry_run {
        return Ok(None);
    }
    let places = session.environ.scratch_places();
    // What calls that were killed have left behind.
    places.sweep("run");
    let scratch = places.create("run")?;
    scratch.lend();
    if !scratch.is_in_memory() {
        session
            .ui
            .warn("no memory file system was found; the files of --file lie on a disk");
    }
    for (name, value) in &delivery.values {
        if names.iter().any(|wanted| wanted == name.as_str()) {
            let path = scratch.path().join(name.as_str());
            file::create(&path, &value.text, file::PRIVATE)?;
            mixed.variables.insert(
                OsString::from(format!("{name}_FILE")),
                path.into_os_string(),
            );
        }
    }
    Ok(Some(scratch))
}

fn announce(session: &Session, loaded: &Loaded) {
    use std::fmt::Write as _;
    let environment::Mixed { given, kept, .. } = &loaded.mixed;
    let mut line = format!(
        "sealctl: {given} variables from {}",
        loaded.delivery.environment
    );
    if !kept.is_empty() {
        let names = kept.join(", ");
        let _ = write!(line, " ({} kept from your shell: {names})", kept.len());
    }
    session.ui.status(&line);
}

fn task(session: &Session, args: &RunArgs, loaded: Option<&Loaded>, piped: bool) -> Task {
    let variables = match loaded {
        Some(loaded) => loaded.mixed.variables.clone(),
        None => environment::without_document(&session.environ, args.pristine),
    };
    Task {
        command: args.command.clone(),
        environment: variables.into_iter().collect(),
        piped,
    }
}

fn redacts(session: &Session, args: &RunArgs) -> bool {
    match args.redact {
        Redact::Always => true,
        Redact::Never => false,
        Redact::Auto => session.ui.is_ci() && session.ui.output_is_seen_by_others(),
    }
}

/// A time such as `10s`, `500ms` or `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, CommandError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: Option<u64> = number.parse().ok();
    let found = number.and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    });
    found.ok_or_else(|| {
        CommandError::usage(format!("\"{text}\" is not a time")).fix("write it as 10s, 500ms or 2m")
    })
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        let what = error.to_string();
        match error {
            RunError::NotFound(_) => Self::new("E0542", Exit::CommandNotFound, what),
            RunError::NotExecutable { .. } => Self::new("E0541", Exit::NotExecutable, what),
            RunError::Supervision(_) => Self::new("E0540", Exit::RunFailed, what),
        }
    }
}
