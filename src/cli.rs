//! The program `sealctl`: parse, dispatch, exit code.
//!
//! One verb per file under `cli/command/`; a verb is a struct of arguments, whose doc comment is the
//! help, and one function. Nothing below this room knows of terminals or exit codes.

mod args;
mod command;
mod configuration;
mod document;
mod editor;
mod environ;
mod error;
mod findings;
mod git;
mod identity;
mod inspect;
mod keys;
mod mask;
mod masked;
mod merge;
mod parallel;
mod project;
mod readers;
mod recipients;
mod report;
mod rules;
mod sealed_env;
mod sealed_files;
mod sops;
mod store;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use args::{Cli, Command, Globals};
use environ::Environ;
use error::{CommandError, Exit};
use ui::Ui;

/// What a verb is handed: the terminal, the global options and the variables.
pub(crate) struct Session {
    /// Every byte out.
    pub(crate) ui: Ui,
    /// Options of every command.
    pub(crate) globals: Globals,
    /// The variables of this process.
    pub(crate) environ: Environ,
    /// Whether the environment was named by `-e` itself, not by a variable.
    pub(crate) environment_was_typed: bool,
}

/// How a verb ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked.
    Done,
    /// There was nothing to change.
    Unchanged,
    /// The answer is "no".
    No,
    /// The status of a child, passed on.
    Status(u8),
}

/// Runs sealctl with the arguments of the process, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // No core dump and no debugger of the same user sees what is opened here.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // A write beyond the limit of file sizes shall fail and be told, not kill this process and leave a
    // temporary file. Children do not inherit it.
    let mut too_large = nix::sys::signal::SigSet::empty();
    too_large.add(nix::sys::signal::Signal::SIGXFSZ);
    let _ = too_large.thread_block();
    let environ = Environ::of_process();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(words) = sops::words(&arguments) {
        return sops::run(environ, words);
    }
    let (cli, matches) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let ui = Ui::new(cli.globals.manners(), cli.globals.colour(), &environ);
    let mut session = Session {
        ui,
        globals: cli.globals,
        environ,
        environment_was_typed: was_typed(&matches, "environment"),
    };
    let result = dispatch(&mut session, cli.command);
    conclude(&mut session, result)
}

/// Reads the command line. A correct one that begins with its verb needs no other verb; everything
/// else, help and errors included, is left to the whole tree, which takes longer to build than a
/// small file takes to open.
fn parse(arguments: &[OsString]) -> Result<(Cli, ArgMatches), clap::Error> {
    let read = |tree: clap::Command| {
        let matches = tree.try_get_matches_from(arguments)?;
        Ok((Cli::from_arg_matches(&matches)?, matches))
    };
    let verb = arguments.get(1).and_then(|word| word.to_str());
    let quick = verb.and_then(args::only).map(read);
    match quick {
        Some(Ok(parsed)) => Ok(parsed),
        Some(Err(_)) | None => read(Cli::command()),
    }
}

/// Prints what clap has to say. Help and version are no failures.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
}

/// Whether an option was given on the command line, at whatever level.
fn was_typed(matches: &ArgMatches, id: &str) -> bool {
    let here = matches.try_contains_id(id).is_ok()
        && matches.value_source(id) == Some(ValueSource::CommandLine);
    here || matches
        .subcommand()
        .is_some_and(|(_, inner)| was_typed(inner, id))
}

fn dispatch(session: &mut Session, command: Command) -> Result<Outcome, CommandError> {
    match command {
        Command::Init(args) => command::init::run(session, &args),
        Command::Show(args) => command::show::run(session, &args),
        Command::Get(args) => command::get::run(session, &args),
        Command::Set(args) => command::set::run(session, &args),
        Command::Unset(args) => command::unset::run(session, &args),
        Command::Edit(args) => command::edit::run(session, &args),
        Command::Encrypt(args) => command::encrypt::run(session, &args),
        Command::Decrypt(args) => command::decrypt::run(session, &args),
        Command::Run(args) => command::run::run(session, &args),
        Command::Render(args) => command::render::run(session, &args),
        Command::Check(args) => command::check::run(session, &args),
        Command::Lint(args) => command::lint::run(session, &args),
        Command::Key(args) => command::key::run(session, &args),
        Command::Rekey(args) => command::rekey::run(session, &args),
        Command::Git(args) => command::git::run(session, &args),
        Command::Rbac(args) => command::rbac::run(session, &args),
        Command::Cluster(args) => command::cluster::run(session, &args),
        Command::Sops(args) => Ok(command::meta::drop_in(session, &args)),
        Command::Version(args) => command::meta::version(session, &args),
        Command::Help(args) => command::meta::help(session, &args),
        Command::Completion(args) => command::meta::completion(session, &args),
        Command::Man(args) => command::meta::man(session, &args),
        Command::Internal(args) => Ok(command::meta::internal(session, &args)),
    }
}

fn conclude(session: &mut Session, result: Result<Outcome, CommandError>) -> ExitCode {
    let result = result.and_then(|outcome| match session.ui.finish() {
        Ok(()) => Ok(outcome),
        Err(error) => Err(
            CommandError::new("E0532", Exit::Failure, "cannot write the output")
                .why(error.to_string()),
        ),
    });
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Unchanged) if session.globals.error_unchanged => {
            ExitCode::from(Exit::Unchanged as u8)
        }
        Ok(Outcome::Unchanged) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(Exit::Failure as u8),
        Ok(Outcome::Status(status)) => ExitCode::from(status),
        Err(error) => {
            session.ui.error(&error);
            ExitCode::from(error.exit() as u8)
        }
    }
}
