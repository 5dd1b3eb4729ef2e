//! `git install`, `git uninstall`: hook and drivers of this clone, and the attributes that travel with it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::error::{CommandError, Exit};
use crate::cli::project::Project;
use crate::cli::{Outcome, Session, git};
use crate::file;
use crate::secret::Secret;

/// What a hook runs, with the mark by which it is found again.
const LINE: &str = "sealctl git pre-commit || exit $?  # by sealctl git install";
const MARK: &str = "# by sealctl git install";
/// Mode of a hook.
const EXECUTABLE: u32 = 0o755;
/// Longest hook and longest list of attributes.
const LIMIT: u64 = 1 << 20;
const ATTRIBUTES: &str = ".gitattributes";
/// Which files git shows and merges by the drivers.
const LINES: [&str; 3] = [
    "envs/*/*.yaml diff=sealctl merge=sealctl",
    "envs/*/*.d/*.yaml diff=sealctl merge=sealctl",
    ".sops.yaml merge=sealctl",
];
/// Settings of the drivers.
const SETTINGS: [(&str, &str); 3] = [
    ("diff.sealctl.textconv", "sealctl git textconv"),
    ("merge.sealctl.name", "sealed documents, key by key"),
    ("merge.sealctl.driver", "sealctl git merge %O %A %B %P"),
];
/// Files by which hook managers are known, which own the hooks.
const MANAGERS: [&str; 6] = [
    ".pre-commit-config.yaml",
    "lefthook.yml",
    ".lefthook.yml",
    "lefthook.yaml",
    ".husky",
    ".overcommit.yml",
];

/// Set up this clone: hook, masked differences, merging by key
///
/// The lines in .gitattributes travel with the repository; hook and drivers belong to this clone. A hook that
/// is there is kept and gets one marked line. Where core.hooksPath is set, or a hook manager is in use, what to
/// put there is printed instead.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl git install\n  sealctl git install --print github-action"
)]
pub(crate) struct InstallArgs {
    /// Set the drivers for all repositories of this user; no hook
    #[arg(long)]
    global: bool,
    /// Print what to put into another program's settings, and change nothing
    #[arg(long, value_name = "WHAT")]
    print: Option<Snippet>,
}

/// Take hook and drivers out of this clone
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl git uninstall")]
pub(crate) struct UninstallArgs {
    /// The drivers of all repositories of this user
    #[arg(long)]
    global: bool,
}

/// For whom a snippet is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Snippet {
    /// The framework pre-commit.
    PreCommit,
    /// Lefthook.
    Lefthook,
    /// Husky.
    Husky,
    /// A workflow of GitHub Actions.
    GithubAction,
}

impl Snippet {
    fn text(self) -> &'static str {
        match self {
            Self::PreCommit => {
                "# .pre-commit-config.yaml\nrepos:\n  - repo: local\n    hooks:\n      - id: sealctl\n        \
                 name: sealctl\n        entry: sealctl git pre-commit\n        language: system\n        \
                 pass_filenames: false\n"
            }
            Self::Lefthook => {
                "# lefthook.yml\npre-commit:\n  commands:\n    sealctl:\n      run: sealctl git pre-commit\n"
            }
            Self::Husky => "# .husky/pre-commit\nsealctl git pre-commit\n",
            Self::GithubAction => {
                "# .github/workflows/sealctl.yml\non: [push, pull_request]\njobs:\n  sealctl:\n    \
                 runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n      - run: sealctl lint\n"
            }
        }
    }
}

/// `git install`.
pub(crate) fn run(session: &mut Session, args: &InstallArgs) -> Result<Outcome, CommandError> {
    if let Some(snippet) = args.print {
        session.ui.data(snippet.text().as_bytes());
        return Ok(Outcome::Done);
    }
    if args.global {
        return drivers(session, Path::new("."), true);
    }
    let project = Project::find(&session.globals)?;
    set_up(session, &project)
}

/// Sets up the clone that `project` lies in, and the attributes that travel with the repository.
///
/// # Errors
///
/// Outside a repository, and when a file or a setting cannot be written.
pub(crate) fn set_up(session: &Session, project: &Project) -> Result<Outcome, CommandError> {
    git::top(project.root()).ok_or_else(no_repository)?;
    let attributes = attributes(session, project)?;
    let clone = set_up_clone(session, project)?;
    Ok(match [attributes, clone].contains(&Outcome::Done) {
        true => Outcome::Done,
        false => Outcome::Unchanged,
    })
}

/// Sets up the clone, and nothing that others share.
///
/// # Errors
///
/// As [`set_up`].
pub(crate) fn set_up_clone(session: &Session, project: &Project) -> Result<Outcome, CommandError> {
    let top = git::top(project.root()).ok_or_else(no_repository)?;
    let drivers = drivers(session, project.root(), false)?;
    let hook = hook(session, &top)?;
    Ok(match [drivers, hook].contains(&Outcome::Done) {
        true => Outcome::Done,
        false => Outcome::Unchanged,
    })
}

fn no_repository() -> CommandError {
    CommandError::new("E0517", Exit::Project, "this is no git repository")
        .why("hook and drivers belong to one")
        .fix("git init")
}

/// Adds the lines that are missing in `.gitattributes` of the project.
fn attributes(session: &Session, project: &Project) -> Result<Outcome, CommandError> {
    let path = project.root().join(ATTRIBUTES);
    let former = match file::read_original(&path, LIMIT) {
        Ok(original) => Some(original),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error.into()),
    };
    let text = former
        .as_ref()
        .and_then(|original| original.content().expose_text());
    let text = text.unwrap_or_default();
    let is_missing = |line: &&str| !text.lines().any(|one| one.trim() == *line);
    let missing: Vec<&str> = LINES.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        session
            .ui
            .same(&format!("{ATTRIBUTES} names the drivers already"));
        return Ok(Outcome::Unchanged);
    }
    let gap = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let text = Secret::from(format!("{text}{gap}{}\n", missing.join("\n")));
    if !session.globals.dry_run {
        match &former {
            Some(original) => file::replace(original, &text)?,
            None => file::create(&path, &text, file::PUBLIC)?,
        }
    }
    let what = would(session, "names the drivers of envs/*/*.yaml and .sops.yaml");
    session.ui.done(&format!("{ATTRIBUTES} {what}; commit it"));
    Ok(Outcome::Done)
}

fn would(session: &Session, what: &str) -> String {
    match session.globals.dry_run {
        true => format!("(not written) {what}"),
        false => what.to_owned(),
    }
}

/// Sets the drivers.
fn drivers(session: &Session, folder: &Path, is_global: bool) -> Result<Outcome, CommandError> {
    let is_set = |(name, value): &(&str, &str)| {
        git::setting(folder, name).is_some_and(|found| found == *value)
    };
    if SETTINGS.iter().all(is_set) {
        session.ui.same("git knows the drivers already");
        return Ok(Outcome::Unchanged);
    }
    for (name, value) in SETTINGS {
        let is_done =
            session.globals.dry_run || git::configure(folder, is_global, name, Some(value));
        if !is_done {
            return Err(refused_by_git(name));
        }
    }
    let place = if is_global {
        "the settings of this user"
    } else {
        ".git/config"
    };
    let what = would(
        session,
        "drivers: values stand masked in git diff, and documents are merged key by key",
    );
    session.ui.done(&format!("{place}: {what}"));
    Ok(Outcome::Done)
}

fn refused_by_git(name: &str) -> CommandError {
    CommandError::new("E0518", Exit::Failure, format!("git does not set {name}"))
        .why("its settings cannot be written")
        .fix(format!("git config {name} …   says why"))
}

/// Makes the hook, or adds one line to the one that is there.
fn hook(session: &Session, top: &Path) -> Result<Outcome, CommandError> {
    let manager = MANAGERS
        .iter()
        .find(|name| file::kind(&top.join(name)).is_some());
    let owner = match (git::setting(top, "core.hooksPath"), manager) {
        (Some(path), _) => Some(format!("core.hooksPath is {path}")),
        (None, Some(name)) => Some(format!("{name} manages the hooks")),
        (None, None) => None,
    };
    if let Some(owner) = owner {
        return Ok(by_hand(session, &owner));
    }
    let path = git::hook(top, "pre-commit").ok_or_else(no_repository)?;
    let shown = shown(top, &path);
    let former = match file::read_original(&path, LIMIT) {
        Ok(original) => original,
        Err(error) if error.is_missing() => {
            if !session.globals.dry_run {
                let text = Secret::from(format!("#!/bin/sh\n{LINE}\n"));
                file::create(&path, &text, EXECUTABLE)?;
            }
            let what = would(session, "refuses a commit with an open secret");
            session.ui.done(&format!("{shown}: {what}"));
            return Ok(Outcome::Done);
        }
        Err(error) => return Err(error.into()),
    };
    let text = former.content().expose_text().unwrap_or_default();
    if text.contains(MARK) {
        session.ui.same(&format!("{shown} runs sealctl already"));
        return Ok(Outcome::Unchanged);
    }
    let Some(text) = with_line(text) else {
        return Ok(by_hand(session, &format!("{shown} is no shell script")));
    };
    if !session.globals.dry_run {
        file::replace(&former, &Secret::from(text))?;
    }
    let what = would(session, "kept, and runs sealctl first");
    session.ui.done(&format!("{shown}: {what}"));
    Ok(Outcome::Done)
}

fn by_hand(session: &Session, why: &str) -> Outcome {
    session.ui.warn(&format!("no hook was written: {why}"));
    session
        .ui
        .detail("fix", "let it run before a commit:  sealctl git pre-commit");
    Outcome::Unchanged
}

fn shown(top: &Path, path: &Path) -> String {
    path.strip_prefix(top).unwrap_or(path).display().to_string()
}

/// The script `text` with our line behind its first; `None` for what no shell runs.
fn with_line(text: &str) -> Option<String> {
    let first = text.split_inclusive('\n').next()?;
    let interpreter = first.strip_prefix("#!")?;
    let is_shell = interpreter
        .split([' ', '/', '\n', '\r'])
        .any(|word| matches!(word, "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash"));
    let rest = &text[first.len()..];
    let gap = if first.ends_with('\n') { "" } else { "\n" };
    is_shell.then(|| format!("{first}{gap}{LINE}\n{rest}"))
}

/// `git uninstall`.
pub(crate) fn take_out(session: &Session, args: &UninstallArgs) -> Result<Outcome, CommandError> {
    let mut is_changed = false;
    let folder = match git::top(Path::new(".")) {
        Some(top) => top,
        None if args.global => PathBuf::from("."),
        None => return Err(no_repository()),
    };
    for (name, value) in SETTINGS {
        let is_ours = git::setting(&folder, name).is_some_and(|found| found == value);
        if is_ours && !session.globals.dry_run {
            is_changed |= git::configure(&folder, args.global, name, None);
        }
    }
    if !args.global {
        is_changed |= without_hook(session, &folder)?;
    }
    if is_changed {
        let rest = format!("{ATTRIBUTES} left as it is");
        session
            .ui
            .done(&format!("hook and drivers removed from this clone; {rest}"));
        return Ok(Outcome::Done);
    }
    session.ui.same("there is nothing of sealctl in this clone");
    Ok(Outcome::Unchanged)
}

/// Takes our line out of the hook; a hook that holds nothing else is removed.
fn without_hook(session: &Session, top: &Path) -> Result<bool, CommandError> {
    let Some(path) = git::hook(top, "pre-commit") else {
        return Ok(false);
    };
    let original = match file::read_original(&path, LIMIT) {
        Ok(original) => original,
        Err(error) if error.is_missing() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let text = original.content().expose_text().unwrap_or_default();
    if !text.contains(MARK) {
        return Ok(false);
    }
    let rest: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains(MARK))
        .collect();
    if session.globals.dry_run {
        return Ok(true);
    }
    match rest.trim() {
        "#!/bin/sh" => file::remove(&path)?,
        _ => file::replace(&original, &Secret::from(rest))?,
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_script_gets_one_line_behind_its_first() {
        let text = with_line("#!/usr/bin/env bash\nmake lint\n").unwrap();
        assert_eq!(text, format!("#!/usr/bin/env bash\n{LINE}\nmake lint\n"));
        assert_eq!(
            with_line("#!/bin/sh").unwrap(),
            format!("#!/bin/sh\n{LINE}\n")
        );
    }

    #[test]
    fn what_no_shell_runs_is_left_alone() {
        for text in [
            "#!/usr/bin/env python3\nprint()\n",
            "ELF",
            "",
            "make lint\n",
        ] {
            assert_eq!(with_line(text), None, "{text}");
        }
    }
}
