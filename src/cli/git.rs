//! What git knows, asked of the `git` program itself, so that its configuration and hooks of the
//! system just work. Where there is no git, or no repository, there is simply no answer.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::file;
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

/// Whether `folder` lies in a repository.
pub(crate) fn holds(folder: &Path) -> bool {
    let folder = file::canonical(folder);
    folder.is_ok_and(|folder| {
        let mut above = folder.ancestors();
        above.any(|folder| file::kind(&folder.join(".git")).is_some())
    })
}

/// The command that commits `files` and nothing else; the folders of very many.
pub(crate) fn commit_of<'a>(files: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let mut names: Vec<&str> = files.into_iter().collect();
    if names.len() > MOST {
        names = names
            .iter()
            .map(|name| name.rsplit_once('/').map_or(*name, |(folder, _)| folder))
            .collect();
    }
    names.sort_unstable();
    names.dedup();
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("git add {} && git commit", quoted.join(" "))
}

/// A name as a shell takes it.
pub(crate) fn quoted(name: &str) -> String {
    shlex::try_quote(name).unwrap_or(name.into()).into_owned()
}

/// The files of the repository below `folder`, from there: those that git knows and those that it would take.
/// `None` outside a repository.
pub(crate) fn files(folder: &Path) -> Option<Vec<PathBuf>> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    output(folder, &arguments).map(|listed| paths(&listed))
}

/// The paths in `listed`, each of which a zero byte ends.
fn paths(listed: &Secret) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let names = listed.expose().split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    names
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect()
}

/// The root of the working tree that `folder` lies in, without links.
pub(crate) fn top(folder: &Path) -> Option<PathBuf> {
    line(folder, &["rev-parse", "--show-toplevel"]).map(PathBuf::from)
}

/// The files below `folder` whose version in the index differs from that of the last commit, from the root of
/// the repository; not those that are gone.
pub(crate) fn staged(folder: &Path) -> Option<Vec<PathBuf>> {
    let arguments = [
        OsStr::new("diff"),
        OsStr::new("--cached"),
        OsStr::new("--name-only"),
        OsStr::new("--no-renames"),
        OsStr::new("--diff-filter=d"),
        OsStr::new("-z"),
        OsStr::new("--"),
        folder.as_os_str(),
    ];
    output(Path::new("."), &arguments).map(|listed| paths(&listed))
}

/// Writes what the index holds of `paths` into the folder `target`, at its place from the root of the repository.
/// Of files in conflict nothing is written. `None` outside a repository.
///
/// Git runs in the working directory here: in a hook, its variables lead from there.
pub(crate) fn check_out_index(paths: &[PathBuf], target: &Path) -> Option<()> {
    let here = Path::new(".");
    let mut arguments = vec![OsStr::new("ls-files"), OsStr::new("-z"), OsStr::new("--")];
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    let listed = output(here, &arguments)?;
    let mut child = Command::new("git")
        .args(["checkout-index", "-q", "-f", "-z", "--stdin"])
        .arg(format!("--prefix={}/", target.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let written = child.stdin.take()?.write_all(listed.expose());
    // It fails when there is a conflict, and has written the other files then.
    child.wait().ok().and(written.ok())
}

/// The value of a setting.
pub(crate) fn setting(folder: &Path, name: &str) -> Option<String> {
    line(folder, &["config", "--get", name])
}

/// Sets settings of this clone, or of all repositories of this user; `None` takes one out. Says whether git did.
pub(crate) fn configure(folder: &Path, is_global: bool, name: &str, value: Option<&str>) -> bool {
    let mut arguments = vec!["config"];
    if is_global {
        arguments.push("--global");
    }
    match value {
        Some(value) => arguments.extend([name, value]),
        None => arguments.extend(["--unset-all", name]),
    }
    output(folder, &arguments).is_some()
}

/// Where git looks for the hook `name`.
pub(crate) fn hook(folder: &Path, name: &str) -> Option<PathBuf> {
    let found = line(
        folder,
        &["rev-parse", "--git-path", &format!("hooks/{name}")],
    )?;
    Some(folder.join(found))
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

/// The commit that brought `path`, and by whom: `7be2d10 by carol@example.com`.
pub(crate) fn origin(folder: &Path, path: &Path) -> Option<String> {
    let arguments = [
        OsStr::new("log"),
        OsStr::new("-n1"),
        OsStr::new("--diff-filter=A"),
        OsStr::new("--format=%h by %ae"),
        OsStr::new("--"),
        path.as_os_str(),
    ];
    let text = output(folder, &arguments)?;
    let line = text.expose_text()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// What `path`, from the root of the repository of `folder`, held at `commit`.
pub(crate) fn file_at(folder: &Path, commit: &str, path: &Path) -> Option<Secret> {
    // `:./path` is seen from the folder that git runs in, wherever the root of the repository is.
    output(folder, &["show", &format!("{commit}:./{}", path.display())])
}

/// The version of `path` that git keeps for the side `stage` of a conflict: 1 for what both were made from, 2 for
/// ours, 3 for theirs.
pub(crate) fn side(folder: &Path, stage: u8, path: &Path) -> Option<Secret> {
    output(folder, &["show", &format!(":{stage}:./{}", path.display())])
}

/// What `path` held at its last `limit` commits, newest first, asked of one `git` for all of them.
pub(crate) fn versions(folder: &Path, path: &Path, limit: usize) -> Vec<Secret> {
    let asked: Vec<String> = commits_of(folder, path, limit)
        .iter()
        .map(|commit| format!("{commit}:./{}\n", path.display()))
        .collect();
    let asked = asked.concat();
    let child = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Vec::new();
    };
    let input = child.stdin.take();
    // Written from another thread: git answers before it has read all.
    let writer =
        std::thread::spawn(move || input.map(|mut input| input.write_all(asked.as_bytes())));
    let output = child.wait_with_output();
    let _ = writer.join();
    output.map_or_else(|_| Vec::new(), |output| blobs(Secret::new(output.stdout)))
}

/// The contents in what `git cat-file --batch` prints: a line `HASH blob BYTES`, the bytes and a line end for each.
fn blobs(printed: Secret) -> Vec<Secret> {
    let mut found = Vec::new();
    let mut rest = printed.expose();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        let size = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.rsplit_once(" blob "))
            .and_then(|(_, size)| size.parse::<usize>().ok());
        let Some(blob) = size.map(|size| after.get(..size)) else {
            // `… missing`: a commit that removed the file.
            rest = after;
            continue;
        };
        let Some(blob) = blob else { break };
        found.push(Secret::new(blob.to_vec()));
        rest = after.get(blob.len() + 1..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_told_apart_by_their_length_and_what_is_missing_is_left_out() {
        let printed = b"a1 blob 5\nx\ny\nz\na2:./f missing\na3 blob 0\n\na4 blob 9\ncut";
        let found = blobs(Secret::new(printed.to_vec()));
        let found: Vec<&[u8]> = found.iter().map(Secret::expose).collect();
        assert_eq!(found, [&b"x\ny\nz"[..], &b""[..]]);
    }
}
