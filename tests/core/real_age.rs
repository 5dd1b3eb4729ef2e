//! Keys of every kind, exchanged with the real age in both directions, and a plugin.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read fixtures and write scratch files"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealctl::crypto::{
    AnyIdentity, Asker, Asking, NotAnswered, Recipient, UnwrapError, unwrap_any, wrap,
};
use sealctl::secret::Secret;

use crate::key_file::public_key;
use crate::real_sops;

/// What is wrapped: as long as a data key, and text.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The folder of the real `age` and `age-keygen`.
fn programs() -> PathBuf {
    real_sops::sops().parent().unwrap().to_owned()
}

/// Output of `program`, which must succeed.
fn output(program: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Both directions, for the identity in `file`.
fn exchange(file: &Path, recipient: &str, identity: AnyIdentity) {
    let age = programs().join("age");
    let key = Secret::from_text(KEY);
    let ours = wrap(&key, &recipient.parse::<Recipient>().unwrap()).unwrap();
    let read = output(&age, &["-d", "-i", file.to_str().unwrap()], &ours);
    assert_eq!(read, KEY);
    let theirs = output(&age, &["-a", "-r", recipient], KEY);
    assert_eq!(unwrap_any(&theirs, &[identity]), Ok(Some(key)));
}

#[test]
#[ignore = "needs the real age: make test"]
fn keys_that_age_makes_are_exchanged_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [&[][..], &["-pq"]] {
        let text = output(&programs().join("age-keygen"), kind, "");
        let file = folder.path().join(format!("key{}", kind.len()));
        fs::write(&file, &text).unwrap();
        let content = Secret::from_text(&text);
        let mut read = AnyIdentity::parse_file("key", &content, &Asking::nobody()).unwrap();
        exchange(&file, &public_key(&file), read.remove(0));
    }
}

#[test]
#[ignore = "needs the real age: make test"]
fn ssh_keys_are_exchanged_with_age() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
    for name in ["ssh_ed25519", "ssh_rsa"] {
        let content = fs::read(keys.join(name)).unwrap();
        let public = fs::read_to_string(keys.join(format!("{name}.pub"))).unwrap();
        let key = AnyIdentity::ssh(name, &Secret::new(content), &Asking::nobody()).unwrap();
        exchange(&keys.join(name), public.trim(), key);
    }
}

/// A plugin whose lines hold the file key in a thin disguise, and which asks for a PIN.
const PLUGIN: &str = r#"#!/usr/bin/env python3
import base64, sys

def receive():
    words = sys.stdin.readline().split()[1:]
    body = ""
    while True:
        line = sys.stdin.readline().rstrip("\n")
        body += line
        if len(line) < 64:
            return words, base64.b64decode(body + "=" * (-len(body) % 4))

def send(command, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append("")
    sys.stdout.write("-> " + command + "\n" + "\n".join(lines) + "\n")
    sys.stdout.flush()

def ask(command, body=b""):
    send(command, body)
    return receive()

disguise = lambda key: bytes(byte ^ 0x55 for byte in key)
phase, said = [], None
while said != "done":
    words, body = receive()
    said = words[0]
    phase.append((words, body))
if sys.argv[1] == "--age-plugin=recipient-v1":
    key = next(body for words, body in phase if words[0] == "wrap-file-key")
    ask("recipient-stanza 0 sealctl-test x", disguise(key))
else:
    for words, body in phase:
        if words[:3] == ["recipient-stanza", "0", "sealctl-test"]:
            ask("msg", b"touch\x1b[31m it")
            (word, *_), pin = ask("request-secret", b"PIN")
            if word == "ok" and pin == b"canary":
                ask("file-key 0", disguise(body))
            else:
                ask("error identity 0", b"no PIN")
send("done")
"#;

/// `age1sealctl-test1…` and `AGE-PLUGIN-SEALCTL-TEST-1…` without data.
const PLUGIN_RECIPIENT: &str = "age1sealctl-test1ud2vs0";
const PLUGIN_IDENTITY: &str = "AGE-PLUGIN-SEALCTL-TEST-1G34J7Z";

struct Typist(&'static str);

impl Asker for Typist {
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered> {
        assert_eq!(question, "PIN");
        Ok(Secret::from_text(self.0))
    }

    fn line(&self, _question: &str) -> Result<String, NotAnswered> {
        Err(NotAnswered("not expected".to_owned()))
    }

    fn confirm(&self, _question: &str, _yes: &str, _no: Option<&str>) -> Result<bool, NotAnswered> {
        Err(NotAnswered("not expected".to_owned()))
    }

    fn tell(&self, message: &str) {
        assert_eq!(message, "touch [31m it");
    }
}

/// Runs itself again with the plugin on the path, which a process cannot change for itself.
#[test]
#[ignore = "needs python3: make test"]
fn a_plugin_wraps_and_unwraps_and_may_ask() {
    const INSIDE: &str = "SEALCTL_TEST_PLUGIN";
    if std::env::var_os(INSIDE).is_some() {
        return with_plugin();
    }
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("age-plugin-sealctl-test");
    fs::write(&plugin, PLUGIN).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o700)).unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&others);
    let folders = std::iter::once(folder.path().to_owned()).chain(folders);
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "real_age::a_plugin_wraps_and_unwraps_and_may_ask",
        ])
        .args(["--include-ignored", "--nocapture"])
        .env("PATH", std::env::join_paths(folders).unwrap())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

fn with_plugin() {
    let key = Secret::from_text(KEY);
    let text = wrap(&key, &PLUGIN_RECIPIENT.parse::<Recipient>().unwrap()).unwrap();
    let identity = |pin| {
        let asking = Asking::new(Typist(pin));
        let text = Secret::from_text(PLUGIN_IDENTITY);
        AnyIdentity::parse("keys.txt", &text, &asking).unwrap()
    };
    assert_eq!(unwrap_any(&text, &[identity("canary")]), Ok(Some(key)));
    let error = unwrap_any(&text, &[identity("wrong")]).unwrap_err();
    assert!(matches!(error, UnwrapError::Unusable(_)));
    assert!(error.to_string().contains("no PIN"), "{error}");
    let foreign = sealctl::crypto::Identity::generate().recipient();
    let foreign = wrap(&Secret::from_text(KEY), &foreign).unwrap();
    assert_eq!(unwrap_any(&foreign, &[identity("canary")]), Ok(None));
}
