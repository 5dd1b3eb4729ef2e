//! The search, over scratch folders and commands that leave a trace.

use std::ffi::OsString;
use std::path::PathBuf;

use super::*;
use crate::crypto::{Identity, NotAnswered, Recipient, wrap};

/// A home directory, and variables.
struct Home {
    folder: tempfile::TempDir,
    variables: Vec<(String, OsString)>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let variables = vec![("HOME".to_owned(), folder.path().into())];
        Self { folder, variables }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let value = value.replace("{home}", &self.folder.path().display().to_string());
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(self, name: &str, content: &Secret) -> Self {
        file::create_directory(self.path(name).parent().unwrap(), 0o700).unwrap();
        file::create(&self.path(name), content, file::PRIVATE).unwrap();
        self
    }

    fn lines(&self, name: &str) -> usize {
        let read = file::read(&self.path(name), 1 << 20);
        read.map_or(0, |text| text.expose_text().unwrap().lines().count())
    }

    fn keyring(&self, asking: Asking) -> Keyring {
        let variable = |name: &str| {
            let found = self.variables.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        Keyring::new(Sources::from_variables(variable), asking)
    }
}

/// Nobody may be asked.
struct Silent;

impl crate::crypto::Asker for Silent {
    fn secret(&self, question: &str) -> Result<Secret, NotAnswered> {
        panic!("asked: {question}");
    }

    fn line(&self, question: &str) -> Result<String, NotAnswered> {
        panic!("asked: {question}");
    }

    fn confirm(&self, question: &str, _yes: &str, _no: Option<&str>) -> Result<bool, NotAnswered> {
        panic!("asked: {question}");
    }

    fn tell(&self, message: &str) {
        panic!("told: {message}");
    }
}

/// A data key, wrapped for each of `recipients`.
struct Wraps {
    key: Secret,
    texts: Vec<(String, String)>,
}

fn wraps(recipients: &[Recipient]) -> Wraps {
    let key = Secret::new(vec![7; 32]);
    let wrapped = |one: &Recipient| (one.to_string(), wrap(&key, one).unwrap());
    let texts = recipients.iter().map(wrapped).collect();
    Wraps { key, texts }
}

impl Wraps {
    fn all(&self) -> Vec<Wrapped<'_>> {
        let wrapped = self.texts.iter().map(|(recipient, armored)| Wrapped {
            system: System::Age,
            recipient,
            armored,
        });
        wrapped.collect()
    }
}

fn test_key(name: &str) -> Secret {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
    file::read(&folder.join(name), 1 << 20).unwrap()
}

fn text(identity: &Identity) -> String {
    identity.text().expose_text().unwrap().to_owned()
}

#[test]
fn every_source_is_found_and_a_broken_one_is_only_noted() {
    let keys: Vec<Identity> = (0..4).map(|_| Identity::generate()).collect();
    let home = Home::new()
        .with("SOPS_AGE_KEY", &format!("{}\n# x\n", text(&keys[0])))
        .with("SOPS_AGE_KEY_FILE", "{home}/file")
        .with("SOPS_AGE_KEY_CMD", &format!("echo {}", text(&keys[2])))
        .with("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "{home}/nowhere")
        .write("file", &keys[1].text())
        .write(".config/sops/age/keys.txt", &keys[3].text());
    for key in &keys {
        let keyring = home.keyring(Asking::new(Silent));
        let wraps = wraps(&[key.recipient()]);
        assert_eq!(keyring.unwrap_one(&wraps.all()), Ok(wraps.key.clone()));
    }
    let foreign = wraps(&[Identity::generate().recipient()]);
    let keyring = home.keyring(Asking::new(Silent));
    let reasons = keyring.unwrap_one(&foreign.all());
    assert_eq!(reasons, Err(vec![UnwrapError::NoneFits]));
    let problems = keyring.report().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].source.contains("/nowhere"));
}

#[test]
fn a_command_runs_once_for_each_recipient_and_only_if_nothing_at_hand_opens() {
    let (own, asked) = (Identity::generate(), Identity::generate());
    let trace = format!(
        "sh -c 'echo $SOPS_AGE_RECIPIENT >> {{home}}/trace; echo {}'",
        text(&asked)
    );
    let home = Home::new()
        .with("SOPS_AGE_KEY", &text(&own))
        .with("SOPS_AGE_KEY_CMD", &trace);
    let foreign = Identity::generate().recipient();
    let keyring = home.keyring(Asking::new(Silent));
    let both = wraps(&[asked.recipient(), own.recipient()]);
    assert_eq!(keyring.unwrap_one(&both.all()), Ok(both.key.clone()));
    assert_eq!(home.lines("trace"), 0);
    let others = wraps(&[foreign, asked.recipient()]);
    for _ in 0..2 {
        assert_eq!(keyring.unwrap_one(&others.all()), Ok(others.key.clone()));
        assert_eq!(home.lines("trace"), 2);
    }
}

#[test]
fn without_any_source_each_place_is_named_in_the_order_of_sops() {
    let home = Home::new();
    let keyring = home.keyring(Asking::new(Silent));
    let wraps = wraps(&[Identity::generate().recipient()]);
    assert_eq!(
        keyring.unwrap_one(&wraps.all()),
        Err(vec![UnwrapError::NoneFits])
    );
    let shown = home.folder.path().display().to_string();
    let unused: Vec<String> = keyring.report().unused;
    let unused: Vec<String> = unused
        .iter()
        .map(|place| place.replace(&shown, "~"))
        .collect();
    let keys = format!("~/{}/sops/age/keys.txt", super::super::CONFIGURATION);
    assert_eq!(
        unused,
        [
            "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
            "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
            "~/.ssh/id_ed25519",
            "~/.ssh/id_rsa",
            "SOPS_AGE_KEY",
            "SOPS_AGE_KEY_FILE",
            "SOPS_AGE_KEY_CMD",
            &keys,
        ]
    );
}

#[test]
fn a_key_file_with_a_bad_word_gives_nothing_and_its_text_is_not_shown() {
    let own = Identity::generate();
    let home = Home::new().with("SOPS_AGE_KEY", &format!("{} canary", text(&own)));
    let keyring = home.keyring(Asking::new(Silent));
    let wraps = wraps(&[own.recipient()]);
    assert!(keyring.unwrap_one(&wraps.all()).is_err());
    let report = format!("{:?}", keyring.report());
    assert!(
        report.contains("SOPS_AGE_KEY") && !report.contains("canary"),
        "{report}"
    );
    assert!(!format!("{keyring:?}").contains(&text(&own)));
}

#[cfg(feature = "ssh")]
#[test]
fn ssh_keys_are_found_in_files_commands_and_the_home_directory() {
    let public = |name: &str| {
        let text = test_key(&format!("{name}.pub"));
        text.expose_text().unwrap().parse::<Recipient>().unwrap()
    };
    let (ed, rsa) = (test_key("ssh_ed25519"), test_key("ssh_rsa"));
    let homes = [
        Home::new()
            .write("k", &ed)
            .with("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "{home}/k"),
        Home::new()
            .write("k", &ed)
            .with("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "cat {home}/k"),
        Home::new().write(".ssh/id_ed25519", &ed),
    ];
    let wrapped = wraps(&[public("ssh_rsa"), public("ssh_ed25519")]);
    for home in homes {
        let keyring = home.keyring(Asking::new(Silent));
        assert_eq!(keyring.unwrap_one(&wrapped.all()), Ok(wrapped.key.clone()));
    }
    let home = Home::new().write(".ssh/id_rsa", &rsa);
    let keyring = home.keyring(Asking::new(Silent));
    assert_eq!(keyring.unwrap_one(&wrapped.all()), Ok(wrapped.key.clone()));
}

#[test]
fn a_passphrase_is_the_last_resort_and_its_absence_is_a_reason() {
    let alice = crate::crypto::parse_identities(&test_key("alice.txt")).unwrap();
    let own = Identity::generate();
    let home = Home::new()
        .write("locked", &test_key("alice_passphrase.age"))
        .with("SOPS_AGE_KEY_FILE", "{home}/locked")
        .with("SOPS_AGE_KEY_CMD", &format!("echo {}", text(&own)));
    let both = wraps(&[alice[0].recipient(), own.recipient()]);
    let keyring = home.keyring(Asking::new(Silent));
    assert_eq!(keyring.unwrap_one(&both.all()), Ok(both.key.clone()));

    let only = wraps(&[alice[0].recipient()]);
    let keyring = home.keyring(Asking::nobody());
    let reasons = keyring.unwrap_one(&only.all()).unwrap_err();
    assert!(
        reasons[0].to_string().contains("there is nobody to ask"),
        "{reasons:?}"
    );
}

#[test]
fn openpgp_is_left_to_gpg_after_age_unless_the_order_says_otherwise() {
    let script = "#!/bin/sh\necho run >> {home}/trace\n[ \"$1\" = -d ] && read -r first\n\
        case $first in *PGP*) printf 0123456789abcdef0123456789abcdef;; *) echo 'gpg: no such key' >&2; exit 2;; esac\n";
    let own = Identity::generate();
    let home = Home::new();
    let script = script.replace("{home}", &home.folder.path().display().to_string());
    file::create(&home.path("gpg"), &Secret::from_text(&script), 0o700).unwrap();
    let home = home
        .with("SOPS_GPG_EXEC", "{home}/gpg")
        .with("SOPS_AGE_KEY", &text(&own));
    let age = wraps(&[own.recipient()]);
    let pgp = |armored| Wrapped {
        system: System::Pgp,
        recipient: "ABCD",
        armored,
    };
    let both = [pgp("-----BEGIN PGP MESSAGE-----\n"), age.all()[0]];
    assert_eq!(
        home.keyring(Asking::nobody()).unwrap_one(&both),
        Ok(age.key.clone())
    );
    assert_eq!(home.lines("trace"), 0);

    let home = home.with("SOPS_DECRYPTION_ORDER", "pgp,age");
    let opened = home.keyring(Asking::nobody()).unwrap_one(&both).unwrap();
    assert_eq!(
        opened,
        Secret::from_text("0123456789abcdef0123456789abcdef")
    );
    assert_eq!(home.lines("trace"), 1);

    let reasons = home
        .keyring(Asking::nobody())
        .unwrap_one(&[pgp("x")])
        .unwrap_err();
    assert!(
        reasons[0].to_string().ends_with("gpg: gpg: no such key"),
        "{reasons:?}"
    );
    let home = Home::new().with("SOPS_GPG_EXEC", "/nowhere/gpg");
    let reasons = home
        .keyring(Asking::nobody())
        .unwrap_one(&[pgp("x")])
        .unwrap_err();
    assert!(
        reasons[0]
            .to_string()
            .starts_with("/nowhere/gpg: cannot be run: there is no such program"),
        "{reasons:?}"
    );
}

#[test]
#[ignore = "runs the real gpg, where there is one: make test"]
fn a_message_for_a_real_openpgp_key_opens() {
    use std::process::Command;
    if Command::new("gpg").arg("--version").output().is_err() {
        return;
    }
    let home = Home::new();
    let key = Secret::from_text("0123456789abcdef0123456789abcdef");
    file::create(&home.path("key"), &key, file::PRIVATE).unwrap();
    file::create_directory(&home.path("gnupg"), 0o700).unwrap();
    let folder = home.path("gnupg").display().to_string();
    let script = format!("#!/bin/sh\nexec gpg --homedir {folder} --no-options \"$@\"\n");
    file::create(&home.path("gpg"), &Secret::from_text(&script), 0o700).unwrap();
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new(home.path("gpg"));
        command
            .args(["--batch", "--passphrase", ""])
            .args(arguments);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    gpg(&[
        "--quick-gen-key",
        "test@example.org",
        "future-default",
        "default",
        "never",
    ]);
    let file = home.path("key").display().to_string();
    let armored = gpg(&[
        "--trust-model",
        "always",
        "-a",
        "-o",
        "-",
        "-r",
        "test@example.org",
        "-e",
        &file,
    ]);
    let home = home.with("SOPS_GPG_EXEC", "{home}/gpg");
    let wrapped = Wrapped {
        system: System::Pgp,
        recipient: "",
        armored: &armored,
    };
    let opened = home.keyring(Asking::nobody()).unwrap_one(&[wrapped]);
    let agent = Command::new("gpgconf")
        .args(["--homedir", &folder, "--kill", "all"])
        .status();
    assert!(agent.is_ok() && opened == Ok(key), "{opened:?} {armored}");
}
