//! One call: its flags, its file, its formats. What every command needs before it begins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::failure::{Exit, Failure, go_words};
use super::flags::Parsed;
use super::{edit, encrypt, exec, groups, open, rotate, set, status, updatekeys};
use crate::cli::configuration::Configuration;
use crate::cli::environ::Environ;
use crate::cli::ui::Ui;
use crate::file;
use crate::format::{Format, Layout};
use crate::name::of_path;
use crate::secret::Secret;

pub(super) use crate::cli::configuration::{LONGEST, absolute};

/// What a command is handed.
pub(super) struct Call<'a> {
    /// Every byte out.
    pub(super) ui: &'a mut Ui,
    /// The variables.
    pub(super) environ: Environ,
    /// Flags before the subcommand.
    pub(super) globals: &'a Parsed,
    /// Flags of the command; without a subcommand the same ones.
    pub(super) own: &'a Parsed,
    /// Whether it is a command line without subcommand.
    pub(super) is_legacy: bool,
}

/// In which formats a file is read and written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stores {
    /// What is read.
    pub(super) input: Format,
    /// What is written.
    pub(super) output: Format,
    /// How it is laid out, where its layout is not kept.
    pub(super) layout: Layout,
}

/// Where the input of a command comes from.
#[derive(Debug)]
pub(super) enum Input {
    /// A file, by its absolute path.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl<'a> Call<'a> {
    /// A call with the flags of a subcommand, or the global ones twice.
    pub(super) fn new(
        ui: &'a mut Ui,
        environ: Environ,
        globals: &'a Parsed,
        own: &'a Parsed,
    ) -> Self {
        Self {
            ui,
            environ,
            globals,
            own,
            is_legacy: std::ptr::eq(globals, own),
        }
    }

    /// Performs the subcommand `name`.
    pub(super) fn perform(mut self, name: &str) -> Result<(), Failure> {
        let call = &mut self;
        match name {
            "decrypt" => open::decrypt(call),
            "encrypt" => encrypt::encrypt(call),
            "edit" => edit::edit(call),
            "set" => set::set(call),
            "unset" => set::unset(call),
            "rotate" => rotate::rotate(call),
            "updatekeys" => updatekeys::updatekeys(call),
            "groups add" => groups::add(call),
            "groups delete" => groups::delete(call),
            "exec-env" => exec::with_variables(call),
            "exec-file" => exec::with_file(call),
            "filestatus" => status::filestatus(call),
            other => Err(Failure::generic(format!("{other} is no command"))),
        }
    }

    /// Performs what the flags say; without any of them, the file is edited.
    pub(super) fn perform_legacy(mut self) -> Result<(), Failure> {
        let call = &mut self;
        let file = call.file()?;
        let modes = ["encrypt", "decrypt", "rotate"];
        let on: Vec<&str> = modes
            .into_iter()
            .filter(|mode| call.own.is_on(mode))
            .collect();
        let set = call.own.text("set");
        if on.len() + usize::from(set.is_some()) > 1 {
            call.warn(
                "more than one of --encrypt, --decrypt, --rotate and --set is given; each is done",
            );
        }
        if !on.is_empty() && !exists(&file) {
            return Err(call.missing(&file));
        }
        for mode in &on {
            match *mode {
                "encrypt" => encrypt::encrypt(call)?,
                "decrypt" => open::decrypt(call)?,
                _ => rotate::rotate(call)?,
            }
        }
        match set {
            Some(argument) => set::by_flag(call, &file, &argument),
            None if on.is_empty() => {
                refuse_mistyped(call, &file)?;
                edit::edit(call)
            }
            None => Ok(()),
        }
    }

    /// The configuration: `--config`, `SOPS_CONFIG`, or the nearest one from the working directory upwards.
    ///
    /// # Errors
    /// When the one that is named is not there, or the one that is there cannot be read.
    pub(super) fn configuration(&self) -> Result<Configuration, Failure> {
        let found = match self.globals.raw("config") {
            Some(path) => Configuration::at(PathBuf::from(path)),
            None => Configuration::above(Path::new("."), |said| self.warn(said)),
        };
        Ok(found?)
    }

    /// Says something that is no failure.
    pub(super) fn warn(&self, text: &str) {
        self.ui.status(&format!("warning: {text}"));
    }

    /// The file that is named, its path made absolute.
    ///
    /// # Errors
    /// When none is named.
    pub(super) fn file(&self) -> Result<PathBuf, Failure> {
        let Some(first) = self.own.arguments.first() else {
            return Err(Failure::new(Exit::NoFile, "Error: no file specified"));
        };
        Ok(absolute(first)?)
    }

    /// Warns about words that nobody reads.
    pub(super) fn warn_of_unread(&self, read: usize) {
        let unread = self.own.arguments.get(read..).unwrap_or_default();
        if unread.is_empty() {
            return;
        }
        self.warn("More than one positional argument provided. Only the first one will be used!");
        if let Some(flag) = unread
            .iter()
            .find(|word| word.to_string_lossy().starts_with('-'))
        {
            let flag = of_path(flag);
            self.warn(&format!(
                "\"{flag}\" stands behind the first of them and is not read as a flag"
            ));
        }
    }

    /// The file that is named, or standard input.
    pub(super) fn input(&self) -> Result<Input, Failure> {
        self.warn_of_unread(1);
        if self.own.arguments.is_empty() && !self.is_legacy {
            return Ok(Input::Stdin);
        }
        let file = self.file()?;
        if exists(&file) {
            return Ok(Input::File(file));
        }
        Err(self.missing(&file))
    }

    /// What is said of a file that is not there.
    pub(super) fn missing(&self, file: &Path) -> Failure {
        if self.changes_keys() {
            let instead = if self.is_legacy {
                "use `--kms` and `--pgp` instead"
            } else {
                "use the `edit` subcommand instead"
            };
            let text = format!(
                "Error: cannot add or remove keys on non-existent file \"{}\", {instead}.",
                of_path(file)
            );
            return Failure::new(Exit::KeysOfNothing, text);
        }
        let text = format!(
            "Error: cannot operate on non-existent file \"{}\"",
            of_path(file)
        );
        Failure::new(Exit::NoFile, text)
    }

    /// Whether keys are to be added or taken out by flags.
    pub(super) fn changes_keys(&self) -> bool {
        let is_change = |name: &&str| name.starts_with("add-") || name.starts_with("rm-");
        self.own.typed().iter().any(is_change)
    }

    /// The name that decides on formats and rules.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub(super) fn name(&self, input: &Input) -> Result<PathBuf, Failure> {
        match (self.own.raw("filename-override"), input) {
            (Some(name), _) => Ok(absolute(name)?),
            (None, Input::File(path)) => Ok(path.clone()),
            (None, Input::Stdin) => Ok(PathBuf::new()),
        }
    }

    /// The formats for a file called `name`.
    pub(super) fn stores(&self, name: &Path, settings: &Configuration) -> Stores {
        let by_name = || Format::of_file_name(&name.to_string_lossy());
        let by_flag = |flag: &str| {
            let word = self.own.text(flag)?;
            Format::from_word(&word)
        };
        let output = by_flag("output-type").unwrap_or_else(by_name);
        let configured = settings.indent(output);
        Stores {
            input: by_flag("input-type").unwrap_or_else(by_name),
            output,
            layout: Layout {
                indent: self.globals.number("indent").or(configured),
            },
        }
    }

    /// Checks `--decryption-order`.
    ///
    /// # Errors
    /// When a word stands in it twice.
    pub(super) fn check_order(&self) -> Result<(), Failure> {
        let order = self.own.text("decryption-order").unwrap_or_default();
        let words: Vec<&str> = order.split(',').map(str::trim).collect();
        let twice = words
            .iter()
            .enumerate()
            .find(|(place, word)| words[..*place].contains(word));
        match twice {
            Some((_, word)) if !word.is_empty() => {
                let text = format!("Duplicate decryption key type: {word}");
                Err(Failure::new(Exit::OrderTwice, text))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what cannot stand together.
    ///
    /// # Errors
    /// For `--in-place` beside `--output`, or for standard input.
    pub(super) fn check_output(&self, input: &Input) -> Result<(), Failure> {
        if !self.own.is_on("in-place") {
            return Ok(());
        }
        let text = if self.own.raw("output").is_some() {
            "Error: cannot operate on both --output and --in-place"
        } else if matches!(input, Input::Stdin) {
            "Error: cannot use --in-place when reading from stdin"
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Conflict, text))
    }
}

/// Whether something is there.
pub(super) fn exists(path: &Path) -> bool {
    file::kind(path).is_some()
}

/// The content of `input`.
pub(super) fn read(input: &Input) -> Result<Secret, Failure> {
    match input {
        Input::File(path) => {
            file::read(path, LONGEST).map_err(|error| Failure::reading(path, &error))
        }
        Input::Stdin => {
            let name = Path::new("standard input");
            file::read_from(std::io::stdin().lock(), LONGEST, name).map_err(|error| {
                Failure::new(
                    Exit::Read,
                    format!("Error reading file: {}", go_words(name.as_os_str(), &error)),
                )
            })
        }
    }
}

/// Whoever mistypes a command does not want a new file of that name.
fn refuse_mistyped(call: &Call<'_>, file: &Path) -> Result<(), Failure> {
    let word: &OsString = &call.own.arguments[0];
    let meant = word.to_str().and_then(super::verbs::meant);
    match meant.filter(|_| !exists(file)) {
        Some(name) => Err(Failure::generic(format!(
            "\"{}\" is neither a command nor a file; did you mean {name}? (sops edit makes a new file)",
            of_path(word)
        ))),
        None => Ok(()),
    }
}
