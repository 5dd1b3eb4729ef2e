//! Writing documents: checked before they are sealed, one revision further, replaced in one step.
//!
//! Every writing verb ends here, so a file is either as it was or wholly new.

use crate::cli::document::{LONGEST, Source};
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::{Keys, Known};
use crate::cli::readers::{self, Reader};
use crate::cli::{Session, findings, git};
use crate::clock::{Clock as _, SystemClock};
use crate::env::{Form, Severity, check};
use crate::file;
use crate::format::{Format, yaml};
use crate::secret::Secret;
use crate::sops::{Opened, Rule, Sealed};
use crate::tree::Map;
use crate::trust::{self, Change, Stamp, Verdict, WriteError, Written};

/// How far back git is asked.
const DEPTH: usize = 50;

/// Reads `plain` as YAML.
///
/// # Errors
///
/// With the place of the fault, never with the text.
pub(crate) fn parse_plain(shown: &str, plain: &Secret) -> Result<Map, CommandError> {
    let Some(text) = plain.expose_text() else {
        let what = format!("{shown} is not UTF-8 text");
        return Err(CommandError::new("E0292", Exit::Failure, what));
    };
    yaml::parse(text).map_err(|error| {
        let place = error.position;
        let what = format!("{shown}:{}:{}: {}", place.line, place.column, error.fault);
        CommandError::new("E0292", Exit::Failure, what).why("the file was left as it is")
    })
}

/// Checks `plain` against the grammar and prints its warnings.
///
/// # Errors
///
/// All faults, the first one in front.
pub(crate) fn check_plain(
    session: &Session,
    source: &Source,
    plain: &Secret,
) -> Result<Map, CommandError> {
    let tree = parse_plain(&source.shown, plain)?;
    let checked = check(&tree, Form::Typed, &source.place());
    if checked.delivery.is_none() {
        return Err(source.refused(&checked.findings));
    }
    for finding in checked
        .findings
        .iter()
        .filter(|one| one.severity == Severity::Warning)
    {
        findings::print(&session.ui, &source.shown, finding);
    }
    Ok(tree)
}

/// Seals `plain` for the first time, for `readers`.
///
/// # Errors
///
/// When it cannot be sealed.
pub(crate) fn seal_new(
    session: &Session,
    source: &Source,
    plain: &Secret,
    readers: &[Reader],
) -> Result<Written, CommandError> {
    let recipients = readers::recipients(readers);
    let rule = Rule::environment().map_err(internal)?;
    let now = SystemClock.now().wall;
    let mut stamp = Stamp::after(None, now);
    stamp.revision = later_revision(session, source, 0).map_or(1, |last| last.saturating_add(1));
    let change = Change::New {
        format: source.format()?,
        plain,
        recipients: &recipients,
        rule: &rule,
    };
    trust::write(&change, &stamp).map_err(|error| write_error(&source.shown, &error))
}

/// Makes `change` of a document that is sealed already.
///
/// # Errors
///
/// When it cannot be made.
pub(crate) fn seal_again(
    session: &Session,
    source: &Source,
    former: &Sealed,
    change: &Change<'_>,
) -> Result<Written, CommandError> {
    let mut stamp = Stamp::after(Some(former), SystemClock.now().wall);
    // After `git revert` the file's own counter is lower than what a cluster may have seen.
    let own = trust::revision(former).unwrap_or_default();
    let last = later_revision(session, source, own).unwrap_or(own);
    stamp.revision = stamp.revision.max(last.saturating_add(1));
    trust::write(change, &stamp).map_err(|error| write_error(&source.shown, &error))
}

/// Replaces the file of `source`, unless this is a dry run, and warns where its readers are not those
/// listed. Returns the new revision.
///
/// # Errors
///
/// When the file would be too long, was changed meanwhile, or cannot be written.
pub(crate) fn save(
    session: &Session,
    source: &Source,
    sealed: &Sealed,
) -> Result<u64, CommandError> {
    if source.is_document() {
        check_length(&source.shown, sealed.text().len())?;
    }
    let revision = trust::revision(sealed).unwrap_or(1);
    readers::warn_of_difference(session, source, sealed);
    if session.globals.dry_run {
        return Ok(revision);
    }
    if let Some(original) = &source.original {
        file::replace(original, sealed.text())?;
    }
    Ok(revision)
}

/// Refuses a document that no custom resource can hold.
///
/// # Errors
///
/// When it is longer than 1 MiB.
pub(crate) fn check_length(shown: &str, length: usize) -> Result<(), CommandError> {
    if length as u64 <= LONGEST {
        return Ok(());
    }
    let what = format!("{shown} would be {length} bytes; the limit is {LONGEST}");
    Err(CommandError::new("E0293", Exit::Failure, what)
        .why("a document must fit into one custom resource")
        .fix("move some of its values into a document of another app"))
}

/// The highest counter above `own` that one of the last versions in git proves by its seal. A number that nobody
/// with a key of its readers wrote must not drive the counter up: anybody can commit one.
pub(crate) fn later_revision(session: &Session, source: &Source, own: u64) -> Option<u64> {
    let (project, document) = source.home.as_ref()?;
    let path = document.to_string();
    let versions = git::versions(project.root(), path.as_ref(), DEPTH);
    let mut claims: Vec<(u64, Sealed)> = versions
        .iter()
        .filter_map(|text| {
            let sealed = Sealed::parse(Format::Yaml, text).ok()?;
            let claimed = trust::revision(&sealed).filter(|claimed| *claimed > own)?;
            Some((claimed, sealed))
        })
        .collect();
    claims.sort_by_key(|(claimed, _)| std::cmp::Reverse(*claimed));
    claims.into_iter().find_map(|(claimed, sealed)| {
        let recipients: Vec<String> = sealed.recipients().map(ToOwned::to_owned).collect();
        let identities = Known::collect(session, &recipients).identities;
        let key = sealed.data_key(&identities).ok()?;
        matches!(trust::verify(&sealed, &key), Verdict::Valid { .. }).then_some(claimed)
    })
}

/// The last version in git whose MAC is right, with its commit.
pub(crate) fn last_good(
    session: &Session,
    source: &Source,
    keys: &Keys,
) -> Option<(String, Opened)> {
    let (project, document) = source.home.as_ref()?;
    let path = document.to_string();
    let commits = git::commits_of(project.root(), path.as_ref(), DEPTH);
    commits.into_iter().find_map(|commit| {
        let text = git::file_at(project.root(), &commit, path.as_ref())?;
        let sealed = Sealed::parse(Format::Yaml, &text).ok()?;
        let key = keys.unlock(session, source, &sealed).ok()?;
        // The MAC does not cover the sops block; the seal does.
        if trust::verify(&sealed, &key) == Verdict::Invalid {
            return None;
        }
        let opened = sealed.open(&key).ok()?;
        Some((commit.chars().take(7).collect(), opened))
    })
}

/// What a change that cannot be written means for a command.
pub(crate) fn write_error(shown: &str, error: &WriteError) -> CommandError {
    let error = match error {
        WriteError::Edit(error) => {
            CommandError::new("E0291", Exit::Failure, format!("{shown}: {error}"))
        }
        WriteError::Seal(error) => CommandError::new(
            "E0132",
            Exit::Failure,
            format!("{shown} cannot be sealed: {error}"),
        ),
    };
    error.why("the file was left as it is")
}

/// A fault of ours.
pub(crate) fn internal(error: impl std::fmt::Display) -> CommandError {
    CommandError::new("E0599", Exit::Failure, "this should not happen").why(error.to_string())
}

/// The readers of the environment of `source`.
///
/// # Errors
///
/// As [`readers::of`]; wrong usage outside a project.
pub(crate) fn readers_of(source: &Source) -> Result<Vec<Reader>, CommandError> {
    let Some((project, document)) = &source.home else {
        let what = format!("{} is not a document of a project", source.shown);
        return Err(CommandError::usage(what)
            .why("documents are envs/<env>/<app>.yaml, and keys/<env>/ says who can open them")
            .fix(format!("sealctl encrypt -r age1… {}", source.shown)));
    };
    readers::of(project, &document.environment)
}

/// The text of a new document without any value. What it says of workloads is the default; it also
/// shows by how much lines are indented.
pub(crate) fn empty_document(app: &str, environment: &str) -> Secret {
    Secret::from(format!(
        "sealctl: v1\napp: {app}\nenvironment: {environment}\n\nconfig: {{}}\n\n\
         secrets: {{}}\n\nworkloads:\n  settle: 10s\n"
    ))
}
