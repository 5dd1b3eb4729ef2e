//! `exec-env` and `exec-file`: a command that is handed the values of a sealed file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::User;

use super::call::{Call, Input};
use super::engine::{self, MacPolicy};
use super::failure::{Exit, Failure};
use super::{child, output};
use crate::file::{self, FileError, Scratch};
use crate::format::Format;
use crate::name::of_path;
use crate::secret::Secret;
use crate::sops::Opened;
use crate::tree::{Kind, MapItem, Node};

/// Of the directories in which opened files are handed over.
const LABEL: &str = "sops-exec";

/// The file and the command line.
struct Subject {
    file: PathBuf,
    command: OsString,
}

impl Subject {
    fn new(call: &Call<'_>) -> Result<Self, Failure> {
        let [file, command] = &call.own.arguments[..] else {
            return Err(Failure::generic("error: missing file to decrypt"));
        };
        Ok(Self {
            file: PathBuf::from(file),
            command: command.clone(),
        })
    }

    fn open(&self, call: &Call<'_>, format: Format) -> Result<Opened, Failure> {
        let loaded = output::load(&Input::File(self.file.clone()))?;
        let sealed = engine::read(format, loaded.content(), &self.file)?;
        engine::open(call, sealed, MacPolicy::Require, &self.file)
    }
}

/// `exec-env`.
pub(super) fn with_variables(call: &mut Call<'_>) -> Result<(), Failure> {
    let subject = Subject::new(call)?;
    let in_background = background(call, "exec-env");
    if in_background && call.own.is_on("same-process") {
        return Err(Failure::new(
            Exit::Conflict,
            "Error: The --same-process flag cannot be used with --background",
        ));
    }
    let settings = call.configuration()?;
    let stores = call.stores(&subject.file, &settings);
    let opened = subject.open(call, stores.input)?;
    let mut command = shell(&subject.command);
    if call.own.is_on("pristine") {
        command.env_clear();
    }
    become_user(call, &mut command)?;
    // Last: what stands in the file counts, not what the account says.
    command.envs(variables(&opened)?);
    // The command may run for long, and needs no key.
    drop(opened);
    if in_background {
        return detach(command);
    }
    // Takes the place of this process: nothing that was opened is left in memory beside it, signals and
    // its end are its own, and one process less has to be started.
    Err(no_shell(command.exec()))
}

/// The values of the first document as variables.
fn variables(opened: &Opened) -> Result<Vec<(OsString, OsString)>, Failure> {
    let mut variables = Vec::new();
    for item in &opened.tree().items {
        let MapItem::Entry(entry) = item else {
            continue;
        };
        let key = &entry.key;
        let Node::Leaf(leaf) = &entry.value else {
            return Err(Failure::generic(format!(
                "cannot use complex value in environment; offending key {key}"
            )));
        };
        let value = if leaf.kind == Kind::Null {
            &[][..]
        } else {
            leaf.text.expose()
        };
        if key.is_empty() || key.contains(['=', '\0']) || value.contains(&0) {
            return Err(Failure::generic(format!(
                "cannot use key {key:?} in environment: it or its value has a character that no variable can have"
            )));
        }
        variables.push((OsString::from(key), OsString::from_vec(value.to_vec())));
    }
    Ok(variables)
}

/// `exec-file`.
pub(super) fn with_file(call: &mut Call<'_>) -> Result<(), Failure> {
    let subject = Subject::new(call)?;
    let in_background = background(call, "exec-file");
    let settings = call.configuration()?;
    let stores = call.stores(&subject.file, &settings);
    let name = call.own.raw("filename").unwrap_or("tmp-file".as_ref());
    let name = PathBuf::from(name);
    let parts = name.components();
    if parts
        .into_iter()
        .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(Failure::generic(
            "The provided filename is not a local path.",
        ));
    }
    let opened = subject.open(call, stores.input)?;
    let indented = call.globals.number("indent").is_some();
    let text = engine::plain(opened, &stores, indented)?;
    let user = user(call)?;
    let handed = HandedOver::new(call, &name, text, user.as_ref())?;
    let line = subject.command.to_string_lossy();
    let line = line.replace("{}", &handed.path.to_string_lossy());
    let mut command = shell(&OsString::from(line));
    become_user(call, &mut command)?;
    if in_background {
        return detach(command);
    }
    child::outcome(child::run(command).map_err(no_shell)?)
}

/// The opened file under a name of its own, in memory where that is possible.
struct HandedOver {
    _scratch: Scratch,
    path: PathBuf,
}

impl HandedOver {
    fn new(
        call: &Call<'_>,
        name: &Path,
        text: Secret,
        user: Option<&User>,
    ) -> Result<Self, Failure> {
        let cannot = |error: FileError| Failure::generic(error.to_string());
        let places = call.environ.scratch_places();
        places.sweep(LABEL);
        let scratch = places.create(LABEL).map_err(cannot)?;
        scratch.lend();
        let path = scratch.path().join(name);
        if path
            .parent()
            .is_none_or(|folder| !file::is_directory(folder))
        {
            return Err(Failure::generic(format!(
                "open {}: no such file or directory",
                of_path(path)
            )));
        }
        if call.own.is_on("no-fifo") {
            file::create(&path, &text, file::PRIVATE).map_err(cannot)?;
        } else {
            file::create_pipe(&path).map_err(cannot)?;
        }
        if let Some(user) = user {
            for path in [&path, scratch.path()] {
                let owned = std::os::unix::fs::chown(
                    path,
                    Some(user.uid.as_raw()),
                    Some(user.gid.as_raw()),
                );
                owned.map_err(|error| Failure::generic(error.to_string()))?;
            }
        }
        if !call.own.is_on("no-fifo") {
            let pipe = path.clone();
            // Waits for a reader; one that stops early is no failure, and none at all neither: the thread
            // ends with the process.
            std::thread::spawn(move || file::write_through(&pipe, &text));
        }
        Ok(Self {
            _scratch: scratch,
            path,
        })
    }
}

fn shell(line: &OsString) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    command
}

fn background(call: &Call<'_>, verb: &str) -> bool {
    let is_on = call.own.is_on("background");
    if is_on {
        call.warn(&format!(
            "{verb}'s --background option is deprecated and will be removed in a future version of sops"
        ));
    }
    is_on
}

/// Starts a command that nobody waits for.
fn detach(mut command: Command) -> Result<(), Failure> {
    let none = || Stdio::null();
    command.stdin(none()).stdout(none()).stderr(none());
    command.spawn().map(drop).map_err(no_shell)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn no_shell(error: std::io::Error) -> Failure {
    Failure::generic(format!("/bin/sh: {error}"))
}

/// The account of `--user`.
fn user(call: &Call<'_>) -> Result<Option<User>, Failure> {
    let Some(name) = call.own.text("user") else {
        return Ok(None);
    };
    match User::from_name(&name) {
        Ok(Some(user)) => Ok(Some(user)),
        Ok(None) => Err(Failure::generic(format!("user: unknown user {name}"))),
        Err(error) => Err(Failure::generic(format!("user: {error}"))),
    }
}

/// Runs `command` as the account of `--user`, with its home and name, without the groups of this process.
fn become_user(call: &Call<'_>, command: &mut Command) -> Result<(), Failure> {
    if let Some(user) = user(call)? {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        command.env("HOME", &user.dir);
        command.env("USER", &user.name).env("LOGNAME", &user.name);
    }
    Ok(())
}
