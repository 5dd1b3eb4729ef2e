//! The drop-in: the command line of SOPS, as `sealctl sops …` or by a link called `sops`.
//!
//! It takes the commands, flags, variables and exit codes of SOPS, needs no project, masks nothing and
//! gives no hints. What differs is an improvement and stands in [`differences`]. How files are opened
//! and sealed is known to [`engine`] alone.

mod call;
mod child;
mod completion;
mod differences;
mod edit;
mod encrypt;
mod engine;
mod exec;
mod failure;
mod flags;
mod groups;
mod help;
mod open;
mod output;
mod path;
mod rotate;
mod set;
mod status;
mod unlock;
mod updatekeys;
mod value;
mod verbs;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use crate::cli::environ::Environ;
use crate::cli::ui::{Colour, Manners, Ui};
use call::Call;
use failure::Failure;
use flags::{Misuse, Order, Parsed, parse};
use verbs::{GLOBAL, LEGACY, Verb};

pub(crate) use differences::SOPS_COMPAT;

/// The words behind `sops`, when this is a call of the drop-in: by `sealctl sops`, or by the name of
/// the program.
pub(crate) fn words(arguments: &[OsString]) -> Option<&[OsString]> {
    let (program, rest) = arguments.split_first()?;
    let name = std::path::Path::new(program).file_name();
    if name == Some(OsStr::new("sops")) {
        return Some(rest);
    }
    let (first, rest) = rest.split_first()?;
    (first == "sops").then_some(rest)
}

/// Runs the drop-in with the words behind `sops`.
pub(crate) fn run(environ: Environ, words: &[OsString]) -> ExitCode {
    ExitCode::from(status(environ, words))
}

/// As [`run`]; gives the exit code.
pub(crate) fn status(environ: Environ, words: &[OsString]) -> u8 {
    let mut ui = Ui::new(Manners::default(), Colour::Never, &environ);
    let result = dispatch(&mut ui, environ, words);
    let result = result.and_then(|()| {
        let written = ui.finish();
        written.map_err(|error| {
            // Exit code 3 is for files.
            Failure::generic(format!("standard output: {error}"))
        })
    });
    match result {
        Ok(()) => 0,
        Err(failure) => {
            for line in failure.text().lines() {
                ui.status(line);
            }
            failure.code()
        }
    }
}

fn dispatch(ui: &mut Ui, environ: Environ, words: &[OsString]) -> Result<(), Failure> {
    if let Some((_, typed)) = words
        .split_last()
        .filter(|(last, _)| *last == completion::ASKING)
    {
        return print(ui, &completion::following(typed));
    }
    let globals = match parse(&LEGACY.flags(), words, Order::FlagsFirst, &environ) {
        Ok(globals) => globals,
        Err(Misuse::Help) => return print(ui, &help::of_program()),
        Err(misuse) => {
            let shown = format!("Incorrect Usage. {misuse}\n\n{}", help::of_program());
            print(ui, &shown)?;
            return Err(Failure::generic(misuse.to_string()));
        }
    };
    if globals.is_on("version") {
        return print(ui, &help::version());
    }
    let Some((first, rest)) = globals.arguments.split_first() else {
        return legacy(ui, environ, globals);
    };
    match first.to_str() {
        Some("help" | "h") => help_on(ui, rest),
        Some("completion") => print(ui, completion::script(rest)?),
        Some("groups") => groups(ui, environ, &globals, rest),
        Some(name) => match verbs::find(name).filter(|verb| !verb.name.contains(' ')) {
            Some(verb) => subcommand(ui, environ, &globals, verb, rest),
            None => legacy(ui, environ, globals),
        },
        None => legacy(ui, environ, globals),
    }
}

fn print(ui: &mut Ui, text: &str) -> Result<(), Failure> {
    ui.data(text.as_bytes());
    Ok(())
}

fn help_on(ui: &mut Ui, topic: &[OsString]) -> Result<(), Failure> {
    let name = topic
        .iter()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    if name.is_empty() {
        return print(ui, &help::of_program());
    }
    match verbs::find(&name) {
        Some(verb) => print(ui, &help::of_verb(verb)),
        None => Err(Failure::of_child(3, format!("No help topic for '{name}'"))),
    }
}

fn groups(
    ui: &mut Ui,
    environ: Environ,
    globals: &Parsed,
    rest: &[OsString],
) -> Result<(), Failure> {
    let name = rest.first().map(|word| word.to_string_lossy());
    let verb = match name.as_deref() {
        None | Some("help" | "h" | "--help" | "-h" | "-help") => "groups",
        Some("add") => "groups add",
        Some("delete") => "groups delete",
        Some(other) => {
            return Err(Failure::of_child(3, format!("No help topic for '{other}'")));
        }
    };
    match verbs::find(verb) {
        Some(verb) if verb.name == "groups" => print(ui, &help::of_verb(verb)),
        Some(verb) => subcommand(ui, environ, globals, verb, &rest[1..]),
        None => Ok(()),
    }
}

fn subcommand(
    ui: &mut Ui,
    environ: Environ,
    globals: &Parsed,
    verb: &'static Verb,
    rest: &[OsString],
) -> Result<(), Failure> {
    if matches!(verb.name, "publish" | "keyservice") {
        let what = verb.name;
        return Err(Failure::generic(format!(
            "{what} is not offered by sealctl; use SOPS itself for it"
        )));
    }
    let own = match parse(&verb.flags(), rest, Order::Anywhere, &environ) {
        Ok(own) => own,
        Err(Misuse::Help) => return print(ui, &help::of_verb(verb)),
        Err(misuse) => {
            let shown = format!("Incorrect Usage: {misuse}\n\n{}", help::of_verb(verb));
            print(ui, &shown)?;
            return Err(Failure::generic(misuse.to_string()));
        }
    };
    for name in globals.typed() {
        if !GLOBAL.contains(&name) {
            ui.status(&format!(
                "warning: --{name} stands before {}, where it has no effect",
                verb.name
            ));
        }
    }
    Call::new(ui, environ, globals, &own).perform(verb.name)
}

/// A command line without subcommand: what is done is said by flags, otherwise a file is edited.
fn legacy(ui: &mut Ui, environ: Environ, globals: Parsed) -> Result<(), Failure> {
    Call::new(ui, environ, &globals, &globals).perform_legacy()
}
