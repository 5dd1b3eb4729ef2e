//! The seam to the SOPS library: every file is opened and sealed through here, and the errors of the
//! library get the exit codes and words of SOPS here.

use std::path::Path;

use super::call::{Call, Stores};
use super::failure::{Exit, Failure};
use super::unlock;
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::DataKey;
use crate::crypto::mac::Coverage;
use crate::format::{Fault, Format, SyntaxError};
use crate::name::of_path;
use crate::secret::Secret;
use crate::sops::{
    ChangeError, Draft, Edit, EditError, GroupOutcome, MacFault, OpenError, Opened, ReadError,
    Readers, Rule, SealError, Sealed, Terms, UnlockError, seal_for,
};
use crate::trust;

/// Version of SOPS whose layout is written.
pub(super) const VERSION: &str = "3.13.3";
/// So many places are named in a warning.
const SHOWN_LINES: usize = 10;
/// Said of a file that has a `sops` entry already.
const SEALED_ALREADY: &str = "\
The file has an entry called \"sops\" at its root (or, in a flat format, entries that begin with
\"sops_\"). Most often this means that it is sealed already. Files with such an entry cannot be sealed,
since the keys to open them are kept there.

If the file is not sealed, give that entry another name. To change a sealed file: sops edit";

/// What a new file is made with.
#[derive(Debug)]
pub(super) struct NewFile {
    /// Who can open it.
    pub(super) readers: Readers,
    /// What is encrypted, and how it is written.
    pub(super) rule: Rule,
    /// What the MAC covers.
    pub(super) coverage: Coverage,
}

/// Whether a wrong MAC is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacPolicy {
    /// It is.
    Require,
    /// `--ignore-mac`.
    Ignore,
}

/// Reads a sealed file.
///
/// # Errors
/// When it is not valid in its format, or its `sops` block is missing or wrong.
pub(super) fn read(format: Format, text: &Secret, shown: &Path) -> Result<Sealed, Failure> {
    Sealed::read(format, text).map_err(|error| Failure::generic(not_sealed(&error, shown)))
}

/// Why a file is no sealed one.
pub(super) fn not_sealed(error: &ReadError, shown: &Path) -> String {
    let shown = named(shown);
    match error {
        ReadError::NotSealed => "sops metadata not found".to_owned(),
        ReadError::MetadataNotAMap { .. } => "Found sops entry that is not a mapping".to_owned(),
        ReadError::NoRecipients { .. } => "No keys found in file".to_owned(),
        error => format!("{shown}: {error}"),
    }
}

/// `shown` for messages; what has no name was read from standard input.
fn named(shown: &Path) -> String {
    if shown.as_os_str().is_empty() {
        return "standard input".to_owned();
    }
    of_path(shown)
}

/// Decrypts a sealed file with the identities of this user.
///
/// # Errors
/// When the data key cannot be had, a value does not decrypt, or the MAC is wrong.
pub(super) fn open(
    call: &Call<'_>,
    sealed: Sealed,
    policy: MacPolicy,
    shown: &Path,
) -> Result<Opened, Failure> {
    let key = unlock::data_key(call, &sealed)?;
    let opened = open_with(sealed, &key, policy, shown)?;
    if let Some(lines) = open_comments(&opened) {
        let shown = named(shown);
        call.warn(&format!(
            "Found possibly unencrypted comment in file. {shown}, {lines}: typed in or altered after sealing, or not sealed at all; comments are not authenticated"
        ));
    }
    Ok(opened)
}

/// Where comments stand that did not decrypt, in words; `None` without any.
fn open_comments(opened: &Opened) -> Option<String> {
    let mut lines = opened.plain_comments().iter().map(|place| place.line);
    let first = lines.next()?;
    let others = lines.by_ref().take(SHOWN_LINES - 1);
    let mut text = others.fold(format!("line {first}"), |text, line| {
        format!("{text}, {line}")
    });
    match lines.count() {
        0 => {}
        more => text = format!("{text} and {more} more"),
    }
    Some(text)
}

/// Says how many comments of a file that is about to be written are lost.
pub(super) fn warn_of_lost(call: &Call<'_>, draft: &Draft, shown: &Path) {
    let shown = named(shown);
    match draft.lost_comments {
        0 => {}
        1 => call.warn(&format!("a comment of {shown} is lost where it stands")),
        count => call.warn(&format!(
            "{count} comments of {shown} are lost where they stand"
        )),
    }
}

/// Decrypts a sealed file with its data key.
///
/// # Errors
/// As [`open`].
pub(super) fn open_with(
    sealed: Sealed,
    key: &DataKey,
    policy: MacPolicy,
    shown: &Path,
) -> Result<Opened, Failure> {
    let partly = sealed
        .open_partly(key)
        .map_err(|error| not_opened(&error, shown))?;
    if let Some((path, position)) = partly.plain.into_iter().next() {
        return Err(not_opened(&OpenError::PlainLeaf { path, position }, shown));
    }
    match partly.mac {
        Err(fault) if policy == MacPolicy::Require => {
            Err(not_opened(&OpenError::Mac(fault), shown))
        }
        Ok(()) | Err(_) => Ok(partly.opened),
    }
}

fn not_opened(error: &OpenError, shown: &Path) -> Failure {
    let file = named(shown);
    match error {
        OpenError::Value { .. } => {
            let text = format!("Error decrypting tree: {file}: {error}");
            Failure::new(Exit::Decrypt, text)
        }
        OpenError::PlainLeaf { .. } => {
            let text = format!(
                "Error decrypting tree: {file}: {error} and does not match sops' data format"
            );
            Failure::new(Exit::Decrypt, text)
        }
        OpenError::Mac(fault) => {
            let text = match fault {
                MacFault::Missing => format!("MAC mismatch. {file} has no MAC"),
                MacFault::Damaged => format!("Cannot decrypt MAC of {file}: {fault}"),
                MacFault::Mismatch => format!("MAC mismatch. {file}: {fault}"),
            };
            Failure::new(Exit::Mac, text)
        }
    }
}

/// The plaintext as it is printed: with the layout of the sealed file, or in another format, or as an
/// indentation that was asked for wants it.
///
/// # Errors
/// When the format cannot hold the values.
pub(super) fn plain(
    opened: Opened,
    stores: &Stores,
    indent_typed: bool,
) -> Result<Secret, Failure> {
    // The other formats are printed anew anyway, which can fail.
    let keeps_layout = matches!(stores.output, Format::Yaml | Format::Json);
    if keeps_layout && opened.sealed().format() == stores.output && !indent_typed {
        return Ok(opened.into_text());
    }
    opened
        .emit(stores.output, stores.layout)
        .map_err(|error| Failure::new(Exit::Emit, format!("Error dumping file: {error}")))
}

/// Seals `plain` as a new file.
///
/// # Errors
/// When it is not valid in its format or sealed already, or cannot be expressed in the other one.
pub(super) fn seal(
    plain: &Secret,
    stores: &Stores,
    new: &NewFile,
    shown: &Path,
) -> Result<Draft, Failure> {
    if stores.output == Format::Yaml && stores.layout.indent.is_some_and(|indent| indent < 0) {
        let text = "Could not marshal tree: YAML knows no indentation below zero";
        return Err(Failure::new(Exit::Emit, text));
    }
    let terms = Terms {
        rule: new.rule.clone(),
        coverage: new.coverage,
        layout: stores.layout,
    };
    let now = SystemClock.now().wall;
    let is_empty = plain.is_empty();
    let made = match (stores.input, stores.output) {
        (Format::Yaml, Format::Json) if !is_empty => {
            crate::sops::seal_as_json(plain, &new.readers, &terms, now)
        }
        _ => {
            let (format, plain) = converted(plain, stores, shown)?;
            seal_for(format, &plain, &new.readers, &terms, now)
        }
    };
    made.map_err(|error| not_made(&error, shown))
}

/// `plain` in the format of the output.
fn converted(plain: &Secret, stores: &Stores, shown: &Path) -> Result<(Format, Secret), Failure> {
    if stores.input == Format::Yaml && plain.is_empty() {
        let position = crate::tree::Position { line: 1, column: 1 };
        let fault = Fault::Empty;
        return Err(unreadable(&SyntaxError { position, fault }.into(), shown));
    }
    if stores.input == stores.output {
        return Ok((stores.input, plain.clone()));
    }
    let documents = crate::format::parse(stores.input, plain)
        .map_err(|error| unreadable(&error.into(), shown))?;
    let text = crate::format::emit(stores.output, &documents, stores.layout);
    let text =
        text.map_err(|error| Failure::new(Exit::Emit, format!("Could not marshal tree: {error}")))?;
    Ok((stores.output, text))
}

/// A plaintext file that is not valid. What SOPS notices only after reading has codes of its own.
fn unreadable(error: &ReadError, shown: &Path) -> Failure {
    let shown_error = format!("{}: {error}", named(shown));
    if let ReadError::Syntax(error) = error {
        match error.fault {
            Fault::KeyNotText | Fault::TooLarge => {
                let text = format!("Error encrypting tree: {shown_error}");
                return Failure::new(Exit::Encrypt, text);
            }
            Fault::Empty => {
                let text = "File cannot be completely empty, it must contain at least one document";
                return Failure::new(Exit::Empty, text);
            }
            Fault::TooDeep => {
                let text = format!("Could not marshal tree: {shown_error}");
                return Failure::new(Exit::Emit, text);
            }
            Fault::Malformed(_) | Fault::Unsupported(_) | Fault::DuplicateKey => {}
        }
    }
    let text = format!("Error unmarshalling file: {shown_error}");
    Failure::new(Exit::Read, text)
}

fn not_made(error: &SealError, shown: &Path) -> Failure {
    match error {
        SealError::SealedAlready { document: 0, .. } => {
            Failure::new(Exit::SealedAlready, SEALED_ALREADY)
        }
        SealError::SealedAlready { .. } => Failure::new(
            Exit::Emit,
            format!("Could not marshal tree: {}: {error}", named(shown)),
        ),
        SealError::NoRecipient => {
            Failure::generic("Could not generate data key: [empty key group provided]")
        }
        SealError::Threshold | SealError::Wrap(_) | SealError::Foreign { .. } => {
            Failure::generic(format!("Could not generate data key: [{error}]"))
        }
        SealError::Emit(error) => {
            Failure::new(Exit::Emit, format!("Could not marshal tree: {error}"))
        }
        SealError::Read(error) => unreadable(error, shown),
        SealError::Randomness(_) => Failure::generic(error.to_string()),
        SealError::Unfaithful | SealError::CommentsHit { .. } => Failure::new(
            Exit::Encrypt,
            format!("Error encrypting tree: {}: {error}", named(shown)),
        ),
    }
}

/// The sealed file with `plain`, a changed version of its text, in it. Its version follows that of this
/// program, upwards only.
///
/// # Errors
/// As [`seal`].
pub(super) fn reseal(opened: &Opened, plain: &Secret, shown: &Path) -> Result<Draft, Failure> {
    let made = opened.reseal(plain, SystemClock.now().wall);
    let made = made.and_then(|mut draft| {
        if is_older(&draft.sealed.metadata().version) {
            let version = crate::sops::text_node(VERSION);
            draft.sealed = draft.sealed.with_field("version", version)?;
        }
        renewed(draft, opened.sealed())
    });
    made.map_err(|error| not_made(&error, shown))
}

/// With its seal renewed, where it has one.
fn renewed(draft: Draft, former: &Sealed) -> Result<Draft, SealError> {
    trust::renew(draft, former, SystemClock.now().wall)
}

/// Whether `version` is below that of this program.
fn is_older(version: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        core.split('.')
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    numbers(version) < numbers(VERSION)
}

/// The sealed file with one value changed in its first document.
///
/// # Errors
/// When the change cannot be made.
pub(super) fn change(opened: &Opened, edit: Edit, shown: &Path) -> Result<Draft, Failure> {
    let changed = opened.change(&[edit], SystemClock.now().wall);
    let changed = changed.and_then(|draft| Ok(renewed(draft, opened.sealed())?));
    changed.map_err(|error| match error {
        ChangeError::Seal(error) => not_made(&error, shown),
        ChangeError::Edit(EditError::Metadata) => Failure::new(Exit::SealedAlready, SEALED_ALREADY),
        ChangeError::Edit(EditError::Emit(error)) => {
            Failure::new(Exit::Emit, format!("Could not marshal tree: {error}"))
        }
        ChangeError::Edit(error) => {
            Failure::new(Exit::SetPath, format!("{}: {error}", named(shown)))
        }
    })
}

/// The same values with a new data key for `readers`; keys of the kinds `dropped` go.
///
/// # Errors
/// When another key of another service would be lost.
pub(super) fn rotate(
    opened: &Opened,
    readers: &Readers,
    dropped: &[&str],
    shown: &Path,
) -> Result<Draft, Failure> {
    let made = opened.rotate_dropping(readers, dropped, SystemClock.now().wall);
    let made = made.and_then(|draft| renewed(draft, opened.sealed()));
    made.map_err(|error| not_made(&error, shown))
}

/// The same file for other readers; keys of the kinds `dropped` go.
///
/// # Errors
/// When the new readers are impossible, or another key of another service would be lost.
pub(super) fn rewrap(
    sealed: &Sealed,
    key: &DataKey,
    readers: &Readers,
    dropped: &[&str],
    shown: &Path,
) -> Result<Draft, Failure> {
    let made = sealed.rewrap_dropping(key, readers, dropped);
    let made = made.and_then(|draft| renewed(draft, sealed));
    made.map_err(|error| not_made(&error, shown))
}

/// The text of a sealed file, in another format where one is wanted.
///
/// # Errors
/// When that format cannot hold it.
pub(super) fn sealed_text(draft: &Draft, stores: &Stores, shown: &Path) -> Result<Secret, Failure> {
    if draft.sealed.format() == stores.output {
        return Ok(draft.sealed.text().clone());
    }
    if let Some(text) = respelled(draft, stores) {
        return Ok(text);
    }
    // A flat format has a block of another form: the values are sealed once more, where SOPS keeps the key.
    let metadata = draft.sealed.metadata();
    let opened = open_with(draft.sealed.clone(), &draft.key, MacPolicy::Require, shown)?;
    let stores = Stores {
        input: draft.sealed.format(),
        ..*stores
    };
    let plain = opened.text();
    let new = NewFile {
        readers: unlock::readers_of(&draft.sealed)?,
        rule: metadata.rule.clone(),
        coverage: metadata.coverage,
    };
    let made = seal(&plain, &stores, &new, shown)?;
    Ok(made.sealed.text().clone())
}

/// The sealed file with the same ciphertext and keys, from YAML to JSON or back; `None` where that is no
/// file that opens.
fn respelled(draft: &Draft, stores: &Stores) -> Option<Secret> {
    let from = draft.sealed.format();
    let nested = [Format::Yaml, Format::Json];
    if !nested.contains(&from) || !nested.contains(&stores.output) {
        return None;
    }
    let documents = crate::format::parse(from, draft.sealed.text()).ok()?;
    let text = crate::format::emit(stores.output, &documents, stores.layout).ok()?;
    let sealed = Sealed::read(stores.output, &text).ok()?;
    sealed.open(&draft.key).ok()?;
    Some(text)
}

/// What is said when the data key cannot be had: of each group and key why, and where nothing was found.
pub(super) fn no_key(error: &UnlockError, unused: &[String]) -> Failure {
    let mut lines = vec![
        "Failed to get the data key required to decrypt the SOPS file.".to_owned(),
        String::new(),
    ];
    let UnlockError::TooFew { groups, .. } = error else {
        return Failure::new(Exit::NoKey, format!("{}\n{error}.", lines.concat()));
    };
    for (place, group) in groups.iter().enumerate() {
        match group {
            GroupOutcome::Opened => lines.push(format!("Group {place}: SUCCESS")),
            GroupOutcome::Failed(keys) => {
                lines.push(format!("Group {place}: FAILED"));
                for key in keys {
                    lines.push(format!("  {}: FAILED", key.recipient));
                    let why = key.why.to_string();
                    lines.extend(why.lines().map(|line| format!("    - | {line}")));
                }
            }
        }
        lines.push(String::new());
    }
    if !unused.is_empty() {
        lines.push(format!("No keys were found in {}.", unused.join(", ")));
        lines.push(String::new());
    }
    lines.push(format!("Recovery failed: {error}."));
    Failure::new(Exit::NoKey, lines.join("\n"))
}
