//! Sealed documents for the measurements, made by the library as `sealctl encrypt` makes them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealctl::crypto::{Identity, Recipient};
use sealctl::format::Format;
use sealctl::secret::Secret;
use sealctl::sops::Rule;
use sealctl::trust::{self, Change, Stamp};
use serde_json::json;

/// The environment of all documents.
pub(crate) const ENVIRONMENT: &str = "bench";
/// Over how many namespaces they are spread.
pub(crate) const NAMESPACES: usize = 20;

/// Who can open the documents: a person, a recovery key and the cluster. Only the last identity is given to seald.
pub(crate) struct Readers {
    identity: String,
    recipients: Vec<Recipient>,
}

impl Readers {
    pub(crate) fn generate() -> Self {
        let cluster: Identity = Identity::generate();
        let others = [Identity::generate(), Identity::generate()];
        let mut recipients: Vec<_> = others.iter().map(Identity::recipient).collect();
        recipients.insert(1, cluster.recipient());
        let identity = cluster.text().expose_text().expect("text").to_owned();
        Self {
            identity,
            recipients,
        }
    }

    /// Writes the cluster's identity.
    pub(crate) fn write_identity(&self, path: &Path) {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = fs::OpenOptions::new();
        let file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path);
        std::io::Write::write_all(&mut file.expect("a file"), self.identity.as_bytes())
            .expect("room");
    }

    /// The cluster's recipient as text.
    pub(crate) fn recipient(&self) -> String {
        self.recipients[1].to_string()
    }

    /// Seals the plaintext of a document.
    pub(crate) fn seal(&self, plain: &str, revision: u64) -> String {
        let rule = Rule::environment().expect("a valid pattern");
        let plain = Secret::from_text(plain);
        let change = Change::New {
            format: Format::Yaml,
            plain: &plain,
            recipients: &self.recipients,
            rule: &rule,
        };
        let stamp = Stamp {
            revision,
            now: Timestamp::now(),
            expires: None,
        };
        trust::write(&change, &stamp)
            .expect("a valid document")
            .text
    }
}

/// Name of document `number`.
pub(crate) fn app(number: usize) -> String {
    format!("app-{number:04}")
}

/// Namespace of document `number`.
pub(crate) fn namespace(number: usize) -> String {
    format!("bench-{:02}", number % NAMESPACES)
}

/// Plaintext of document `number`: ten values, five of them secret. Another `version` is another value of one secret.
/// `more` is added at the end.
pub(crate) fn plain(number: usize, version: u64, more: &str) -> String {
    let (app, namespace) = (app(number), namespace(number));
    let mut text = format!(
        "sealctl: v1\napp: {app}\nenvironment: {ENVIRONMENT}\nnamespace: {namespace}\n\nconfig:\n  \
         DJANGO_SETTINGS_MODULE: polls.settings\n  DATABASE_HOST: db.{namespace}\n  DATABASE_PORT: 5432\n  \
         DATABASE_NAME: {app}\n  LOG_LEVEL: info\n\nsecrets:\n  DATABASE_PASSWORD: password-{number}-{version}\n"
    );
    for name in [
        "DJANGO_SECRET_KEY",
        "SENTRY_DSN",
        "EMAIL_PASSWORD",
        "API_TOKEN",
    ] {
        let _ = writeln!(text, "  {name}: {}", format!("{name}-{number}-").repeat(2));
    }
    text + more
}

/// Writes a project that `sealctl` understands: keys, and one file per document.
pub(crate) fn write_project(folder: &Path, readers: &Readers, documents: &[(usize, String)]) {
    let keys = folder.join("keys").join(ENVIRONMENT);
    fs::create_dir_all(&keys).expect("a writable folder");
    for (number, recipient) in readers.recipients.iter().enumerate() {
        fs::write(
            keys.join(format!("reader-{number}.pub")),
            format!("{recipient}\n"),
        )
        .expect("room");
    }
    fs::create_dir_all(folder.join("envs").join(ENVIRONMENT)).expect("a writable folder");
    for (number, text) in documents {
        fs::write(file_of(folder, *number), text).expect("room");
    }
}

/// File of document `number`.
pub(crate) fn file_of(folder: &Path, number: usize) -> PathBuf {
    folder
        .join("envs")
        .join(ENVIRONMENT)
        .join(format!("{}.yaml", app(number)))
}

/// The SealedEnv of a document, to be applied.
pub(crate) fn sealed_env(number: usize, text: &str) -> String {
    json!({
        "apiVersion": "sealctl.dev/v1alpha1",
        "kind": "SealedEnv",
        "metadata": {
            "name": app(number),
            "namespace": namespace(number),
            "labels": { "sealctl.dev/env": ENVIRONMENT }
        },
        "spec": { "environment": ENVIRONMENT, "document": text }
    })
    .to_string()
}

/// Where it is applied.
pub(crate) fn sealed_env_path(number: usize) -> String {
    let (namespace, app) = (namespace(number), app(number));
    format!("/apis/sealctl.dev/v1alpha1/namespaces/{namespace}/sealedenvs/{app}")
}
