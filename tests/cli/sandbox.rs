//! A home, a project and a cleared environment to run sealctl in. Nothing of the machine's own
//! configuration gets in, and what a failing command says is searched for the canary.
#![expect(clippy::disallowed_methods, reason = "makes a home and a project")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::key_file::public_key;

/// A secret value that may be seen in no failure, in whatever clothes.
pub(crate) const CANARY: &str = "canary/3f1c+9a7e=5b2d";

/// Lays out a project of the app `web` for alice.
pub(crate) const INIT: [&str; 7] = [
    "init",
    "--app",
    "web",
    "--name",
    "alice",
    "--recovery-key",
    "skip",
];

/// The private keys of `tests/keys` by name.
pub(crate) fn identity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/keys/{name}.txt"))
}

/// The public half of one of them.
pub(crate) fn recipient(name: &str) -> String {
    public_key(&identity(name))
}

/// Everything that a test needs for itself alone.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

/// What a command gave; [`Ran::ok`] and [`Sandbox::refuses`] have looked at its status.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty project folder, and alice's identity where SOPS looks for it.
    pub(crate) fn empty() -> Self {
        let sandbox = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for name in ["home", "project", "tmp", "run"] {
            fs::create_dir(sandbox.folder.path().join(name)).unwrap();
        }
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(sandbox.folder.path().join("run"), mode).unwrap();
        sandbox.become_reader("alice");
        sandbox
    }

    /// A project with the environments `dev` and `prod` and the app `web`; `dev` holds the canary.
    pub(crate) fn project() -> Self {
        let sandbox = Self::empty();
        sandbox.run(&INIT).ok();
        sandbox
            .run_with(&["set", "TOKEN", "-", "-e", "dev"], CANARY)
            .ok();
        sandbox
            .run(&["set", "HOST=db", "PORT=5432", "--config", "-e", "dev"])
            .ok();
        sandbox
    }

    /// As [`Self::project`], committed.
    pub(crate) fn committed() -> Self {
        let sandbox = Self::project();
        sandbox.git(&["init", "-q"]);
        sandbox.git(&["add", "-A"]);
        sandbox.git(&["commit", "-q", "-m", "one"]);
        sandbox
    }

    /// Seals `file` in its place with the drop-in, for the reader `name`.
    pub(crate) fn seal_for(&self, name: &str, file: &str) {
        let words = ["sops", "encrypt", "-i", "--age", &recipient(name), file];
        self.run(&words).ok();
    }

    /// A `.sops.yaml` whose only rule is for the readers `names`.
    pub(crate) fn rule_for(&self, names: &[&str]) {
        let readers: Vec<String> = names.iter().map(|name| recipient(name)).collect();
        let readers = readers.join(",");
        self.write(
            ".sops.yaml",
            format!("creation_rules:\n  - age: {readers}\n"),
        );
    }

    /// Puts the identity of `name` where SOPS looks for it, in place of the former one.
    pub(crate) fn become_reader(&self, name: &str) {
        let path = self.home().join(".config/sops/age/keys.txt");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(identity(name), path).unwrap();
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root().join(inside)
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    pub(crate) fn write(&self, inside: &str, text: impl AsRef<[u8]>) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Changes a file by hand.
    pub(crate) fn replace(&self, inside: &str, from: &str, to: &str) {
        let text = self.read(inside);
        assert!(text.contains(from), "{inside} holds no {from:?}");
        self.write(inside, text.replacen(from, to, 1));
    }

    /// An executable script for the shell; its path.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The program in this sandbox.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealctl"));
        self.enter(&mut command);
        command
    }

    /// Gives `command` the sandbox as its world.
    pub(crate) fn enter(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.home())
            .env("USER", "alice")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("TMPDIR", self.folder.path().join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "alice")
            .env("GIT_AUTHOR_EMAIL", "alice@example.com")
            .env("GIT_COMMITTER_NAME", "alice")
            .env("GIT_COMMITTER_EMAIL", "alice@example.com")
            .current_dir(self.root());
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        self.enter(&mut command);
        assert!(
            command.args(arguments).status().unwrap().success(),
            "git {arguments:?}"
        );
    }

    #[must_use]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as(arguments, "", &[])
    }

    /// With text on standard input.
    #[must_use]
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        self.run_as(arguments, input, &[])
    }

    /// With text on standard input and further variables.
    #[must_use]
    pub(crate) fn run_as(
        &self,
        arguments: &[&str],
        input: &str,
        variables: &[(&str, &OsStr)],
    ) -> Ran {
        let mut command = assert_cmd::Command::from_std(self.command());
        let output = command
            .args(arguments)
            .envs(variables.iter().copied())
            .write_stdin(input)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Every file of project and home with its content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root(), self.home()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.components().any(|part| part.as_os_str() == ".git") {
                    found.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        found
    }

    /// Runs a command that has to fail with `code` and say each of `words`; no file may change, no
    /// temporary one may stay, and no value may be shown.
    pub(crate) fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) -> Ran {
        self.refuses_with(arguments, "", code, words)
    }

    /// As [`Self::refuses`], with text on standard input.
    pub(crate) fn refuses_with(
        &self,
        arguments: &[&str],
        input: &str,
        code: i32,
        words: &[&str],
    ) -> Ran {
        let before = self.files();
        let ran = self.run_with(arguments, input);
        assert_eq!(
            ran.code, code,
            "{arguments:?} said\n{}{}",
            ran.stdout, ran.stderr
        );
        for word in words {
            let said = ran.stdout.contains(word) || ran.stderr.contains(word);
            assert!(
                said,
                "{arguments:?} does not say {word:?}:\n{}{}",
                ran.stdout, ran.stderr
            );
        }
        let after = self.files();
        let changed: Vec<_> = after
            .iter()
            .filter(|(path, content)| before.get(*path) != Some(content))
            .collect();
        assert!(
            changed.is_empty() && before.len() == after.len(),
            "{arguments:?} changed files"
        );
        let left: Vec<_> = fs::read_dir(self.folder.path().join("tmp"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{arguments:?} left {left:?}");
        assert_hides(&ran, CANARY);
        ran
    }
}

/// Looks for `secret` in what was said: raw, base64, hexadecimal, URL-encoded.
pub(crate) fn assert_hides(ran: &Ran, secret: &str) {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    for form in [secret.to_owned(), STANDARD.encode(secret), hex, url] {
        for text in [&ran.stdout, &ran.stderr] {
            assert!(
                !text.to_lowercase().contains(&form.to_lowercase()),
                "a value was shown"
            );
        }
    }
}

impl Ran {
    /// It succeeded.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// What it said on stderr has each of `words`.
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no {word:?} in\n{}",
                self.stderr
            );
        }
        self
    }
}
