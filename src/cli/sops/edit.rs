//! `edit`: a sealed file in an editor, or a new one.
//!
//! The text lies in memory where there is a memory file system. Text that cannot be sealed brings the
//! person back to the editor; what was typed is lost only if he wants it.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::call::{Call, Input, Stores};
use super::engine::{self, NewFile};
use super::failure::{Exit, Failure};
use super::{child, encrypt, open, output};
use crate::cli::editor::{self, NoEditor};
use crate::cli::git;
use crate::file::{self, Scratch};
use crate::format::{self, Format};
use crate::name::of_path;
use crate::secret::Secret;
use crate::sops::{Draft, Sealed};

/// Of the directories in which texts lie while they are edited.
const LABEL: &str = "sops-edit";

/// What a new file begins with.
const EXAMPLE: &str = r#"{
    "hello": "Edit this file, then save it: it is sealed.",
    "example_key": "example_value",
    "example_array": ["example_value1", "example_value2"],
    "example_number": 1234.56789,
    "example_booleans": [true, false]
}
"#;

/// `edit`, or a file name alone.
pub(super) fn edit(call: &mut Call<'_>) -> Result<(), Failure> {
    call.warn_of_unread(1);
    let file = call.file()?;
    let settings = call.configuration()?;
    let stores = call.stores(&file, &settings);
    if super::call::exists(&file) {
        existing(call, &file, &stores)
    } else {
        let new = encrypt::new_file(call, &settings, &file)?;
        fresh(call, &file, &stores, &new)
    }
}

fn existing(call: &Call<'_>, file: &Path, stores: &Stores) -> Result<(), Failure> {
    let loaded = output::load(&Input::File(file.to_owned()))?;
    let sealed = engine::read(stores.input, loaded.content(), file)?;
    let opened = engine::open(call, sealed, open::policy(call), file)?;
    if call.own.is_on("show-master-keys") {
        show_keys(call, opened.sealed());
    }
    let mut buffer = Buffer::create(call, file, &opened.text())?;
    let draft = buffer.until_sealed(call, |typed| engine::reseal(&opened, typed, file))?;
    engine::warn_of_lost(call, &draft, file);
    let written = engine::sealed_text(&draft, stores, file)
        .and_then(|text| output::replace(file, &loaded, &text));
    buffer.keep_after(written)
}

fn fresh(call: &Call<'_>, file: &Path, stores: &Stores, new: &NewFile) -> Result<(), Failure> {
    // What is typed is in the format of the output.
    let stores = Stores {
        input: stores.output,
        ..*stores
    };
    let mut buffer = Buffer::create(call, file, &example(&stores))?;
    let draft = buffer.until_sealed(call, |typed| engine::seal(typed, &stores, new, file))?;
    engine::warn_of_lost(call, &draft, file);
    let written = output::write(file, draft.sealed.text());
    buffer.keep_after(written)
}

/// The text that a new file begins with, in its format.
fn example(stores: &Stores) -> Secret {
    if stores.output == Format::Binary {
        return Secret::from_text("Edit this file, then save it: it is sealed.\n");
    }
    let documents = format::parse(Format::Json, &Secret::from_text(EXAMPLE)).unwrap_or_default();
    // Not every format can hold lists; a text of its own would do as well there.
    format::emit(stores.output, &documents, stores.layout)
        .unwrap_or_else(|_| flat_example(stores.output))
}

fn flat_example(format: Format) -> Secret {
    Secret::from_text(match format {
        Format::Ini => "[hello]\nexample_key = example_value\n",
        _ => "example_key=example_value\n",
    })
}

/// Says who can open the file.
fn show_keys(call: &Call<'_>, sealed: &Sealed) {
    for (place, group) in sealed.metadata().groups.iter().enumerate() {
        call.ui.status(&format!("Group {place}:"));
        for key in &group.age {
            call.ui.status(&format!("  {}", key.recipient));
        }
        for key in &group.pgp {
            call.ui.status(&format!("  {}", key.fingerprint));
        }
        for name in &group.foreign {
            call.ui.status(&format!("  {name}"));
        }
    }
}

/// A private copy for the editor.
struct Buffer {
    scratch: Scratch,
    path: PathBuf,
    text: Secret,
    /// The sealed file that what was typed can go into later; none while it is new.
    resumes: Option<PathBuf>,
}

impl Buffer {
    fn create(call: &Call<'_>, file: &Path, text: &Secret) -> Result<Self, Failure> {
        let places = call.environ.scratch_places();
        let cannot = |error: file::FileError| Failure::generic(error.to_string());
        for left in places.sweep(LABEL) {
            let left = of_path(left);
            call.ui.status(&format!(
                "{left}, left behind by a call that was killed, is removed"
            ));
        }
        let scratch = places.create(LABEL).map_err(cannot)?;
        scratch.lend();
        if !scratch.is_in_memory() {
            call.warn("no memory file system was found; the buffer lies on a disk");
        }
        // The name tells the editor which format it is.
        let name = file.file_name().unwrap_or_else(|| "document".as_ref());
        let path = scratch.path().join(name);
        file::create(&path, text, file::PRIVATE).map_err(cannot)?;
        Ok(Self {
            scratch,
            path,
            text: text.clone(),
            resumes: super::call::exists(file).then(|| file.to_owned()),
        })
    }

    /// Runs the editor until `seal` takes what was typed.
    fn until_sealed(
        &mut self,
        call: &Call<'_>,
        seal: impl Fn(&Secret) -> Result<Draft, Failure>,
    ) -> Result<Draft, Failure> {
        loop {
            if let Err(failure) = self.edit(call) {
                return Err(self.kept_if_typed(failure));
            }
            let typed = file::read(&self.path, super::call::LONGEST)
                .map_err(|error| Failure::reading(&self.path, &error))?;
            if typed == self.text {
                return Err(Failure::new(
                    Exit::Unchanged,
                    "File has not changed, exiting.",
                ));
            }
            let failure = match seal(&typed) {
                Ok(draft) => return Ok(draft),
                Err(failure) => failure,
            };
            call.ui.status(failure.text());
            // Whoever closes the terminal now finds his text all the same.
            self.scratch.set_aside();
            call.ui
                .status("Press Enter to return to the editor, or Ctrl-D to leave.");
            let mut answer = String::new();
            match std::io::stdin().lock().read_line(&mut answer) {
                Ok(0) | Err(_) => return Err(self.kept(failure)),
                Ok(_) => self.scratch.release(),
            }
        }
    }

    fn edit(&self, call: &Call<'_>) -> Result<(), Failure> {
        let words = editor::command_line(&call.environ, &["SOPS_EDITOR", "EDITOR"]);
        let words = words.map_err(|error| {
            let said = match error {
                NoEditor::NotFound => {
                    "No editor available: SOPS_EDITOR and EDITOR name none, and none of vim, nano and vi was found".to_owned()
                }
                NoEditor::Quote(_) => format!("Could not run editor: {error}"),
            };
            Failure::new(Exit::Editor, said)
        })?;
        let Some((program, arguments)) = words.split_first() else {
            return Err(Failure::new(
                Exit::Editor,
                "Could not run editor: it is empty",
            ));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(editor::quiet_flags(program))
            .arg(&self.path);
        let status = child::run(command).map_err(|error| {
            let said = match error.kind() {
                std::io::ErrorKind::NotFound => format!(
                    "exec: \"{}\": executable file not found in $PATH",
                    of_path(program)
                ),
                kind => format!("{}: {kind}", of_path(program)),
            };
            Failure::new(Exit::Editor, format!("Could not run editor: {said}"))
        })?;
        if status.success() {
            return Ok(());
        }
        let said = child::words(status);
        Err(Failure::new(
            Exit::Editor,
            format!("Could not run editor: {said}"),
        ))
    }

    /// Leaves what was typed where it is, and says so.
    fn kept(&mut self, failure: Failure) -> Failure {
        self.scratch.set_aside();
        let path = of_path(&self.path);
        let failure = failure.and_said(&format!("What was typed is kept in {path}"));
        let Some(file) = &self.resumes else {
            return failure;
        };
        let (file, path) = (git::quoted(&of_path(file)), git::quoted(&path));
        failure.and_said(&format!(
            "Take over what others changed meanwhile: sops decrypt {file} | diff - {path}\nMend it there, and seal it with: \
             sealctl edit --stdio {file} <{path}"
        ))
    }

    /// The same after an editor that failed, if there is anything to keep.
    fn kept_if_typed(&mut self, failure: Failure) -> Failure {
        match file::read(&self.path, super::call::LONGEST) {
            Ok(typed) if typed != self.text && !typed.is_empty() => self.kept(failure),
            Ok(_) | Err(_) => failure,
        }
    }

    /// What was typed stays when it could not be written.
    fn keep_after(mut self, written: Result<(), Failure>) -> Result<(), Failure> {
        written.map_err(|failure| self.kept(failure))
    }
}
