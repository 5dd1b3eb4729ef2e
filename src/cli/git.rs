//! What git knows, asked of the `git` program itself, so that its configuration and hooks of the
//! system just work. Where there is no git, or no repository, there is simply no answer.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::secret::Secret;

/// What `git` prints for `arguments` in `folder`, or `None` when it fails. The result may be an old
/// version of a file, so it is a secret.
fn output<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Option<Secret> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = Secret::new(output.stdout);
    output.status.success().then_some(text)
}

fn line(folder: &Path, arguments: &[&str]) -> Option<String> {
    let text = output(folder, arguments)?;
    let line = text.expose_text()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// The mail address that commits are made with.
pub(crate) fn user_email(folder: &Path) -> Option<String> {
    line(folder, &["config", "user.email"])
}

/// The commits that changed `path`, newest first, at most `limit`.
pub(crate) fn commits_of(folder: &Path, path: &Path, limit: usize) -> Vec<String> {
    let count = format!("-n{limit}");
    let arguments = [
        OsStr::new("log"),
        OsStr::new("--format=%H"),
        OsStr::new(&count),
        OsStr::new("--"),
        path.as_os_str(),
    ];
    let Some(text) = output(folder, &arguments) else {
        return Vec::new();
    };
    let text = text.expose_text().unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

/// What `path`, from the root of the repository of `folder`, held at `commit`.
pub(crate) fn file_at(folder: &Path, commit: &str, path: &Path) -> Option<Secret> {
    // `:./path` is seen from the folder that git runs in, wherever the root of the repository is.
    output(folder, &["show", &format!("{commit}:./{}", path.display())])
}
