//! Documents of a world: written as text, sealed through the library, put into the project's folder or applied as SealedEnv.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use sealctl::crypto::Recipient;
use sealctl::format::Format;
use sealctl::secret::Secret;
use sealctl::sops::Rule;
use sealctl::trust::{self, Change, Stamp};
use serde_json::{Value, json};

use super::World;
use super::sight::sealed_envs;

/// A document that is being described: `Doc::of("web").config("HOST", "db").secret("PASSWORD", "x")`.
#[derive(Clone, Debug)]
pub(crate) struct Doc {
    pub(crate) app: String,
    config: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
    derived: Vec<(String, String)>,
    /// Lines below `workloads:`.
    workloads: Vec<String>,
    /// What follows, verbatim.
    rest: String,
}

impl Doc {
    /// A document without any value, that does not wait before it restarts.
    pub(crate) fn of(app: &str) -> Self {
        Self {
            app: app.to_owned(),
            config: Vec::new(),
            secrets: Vec::new(),
            derived: Vec::new(),
            workloads: vec!["settle: 0s".to_owned()],
            rest: String::new(),
        }
    }

    /// The one that most tests use: `HOST` in a ConfigMap, `PASSWORD` in a Secret.
    pub(crate) fn web(password: &str) -> Self {
        Self::of("web")
            .config("HOST", "db")
            .secret("PASSWORD", password)
    }

    pub(crate) fn config(mut self, name: &str, value: &str) -> Self {
        self.config.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn derived(mut self, name: &str, template: &str) -> Self {
        self.derived.push((name.to_owned(), template.to_owned()));
        self
    }

    /// A line below `workloads:`, such as `restart: never`.
    pub(crate) fn workloads(mut self, line: &str) -> Self {
        self.workloads.push(line.to_owned());
        self
    }

    /// Any further text of the top level, such as `deliver:`.
    pub(crate) fn with(mut self, text: &str) -> Self {
        self.rest += text;
        self
    }

    /// A superuser, made from `deployment/web`.
    pub(crate) fn superuser(self, password: &str) -> Self {
        let text = format!(
            "superuser:\n  from: deployment/web\n  username: admin\n  email: admin@example.com\n  password: {}\n",
            json!(password)
        );
        self.with(&text)
    }

    /// The plaintext, in this world.
    pub(crate) fn text(&self, world: &World) -> String {
        self.text_in(&world.environment, &world.namespace)
    }

    pub(crate) fn text_in(&self, environment: &str, namespace: &str) -> String {
        let app = &self.app;
        let mut text = format!(
            "sealctl: v1\napp: {app}\nenvironment: {environment}\nnamespace: {namespace}\n\n"
        );
        for (field, values) in [
            ("config", &self.config),
            ("secrets", &self.secrets),
            ("derived", &self.derived),
        ] {
            if !values.is_empty() {
                text += &format!("{field}:\n");
            }
            for (name, value) in values {
                text += &format!("  {name}: {}\n", json!(value));
            }
        }
        text += "workloads:\n";
        for line in &self.workloads {
            text += &format!("  {line}\n");
        }
        text + &self.rest
    }
}

impl World {
    /// Seals a plaintext for this world's identity, with the next revision.
    pub(crate) fn seal(&self, plain: &str) -> String {
        seal(plain, self.next_revision(), &[self.identity.recipient()])
    }

    /// Seals and stores a document in the project, as its next revision, which is returned.
    pub(crate) fn store(&self, doc: &Doc) -> u64 {
        self.store_text(&doc.app, &self.seal(&doc.text(self)));
        self.revision()
    }

    /// The file of a document.
    pub(crate) fn file(&self, app: &str) -> PathBuf {
        self.project
            .join("envs")
            .join(&self.environment)
            .join(format!("{app}.yaml"))
    }

    /// Puts a text in place of a document's file, in one step.
    pub(crate) fn store_text(&self, app: &str, text: &str) {
        let file = self.file(app);
        let fresh = file.with_extension("fresh");
        fs::write(&fresh, text).expect("room in the scratch folder");
        fs::rename(fresh, file).expect("our own folder");
    }

    /// Seals a document and applies it as SealedEnv, as its next revision, which is returned.
    pub(crate) async fn push(&self, doc: &Doc) -> u64 {
        let sealed = self.seal(&doc.text(self));
        self.push_text(&doc.app, &sealed).await;
        self.revision()
    }

    /// Applies a text as SealedEnv of this name.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub(crate) async fn push_text(&self, app: &str, document: &str) {
        self.push_spec(
            app,
            json!({"environment": self.environment, "document": document}),
        )
        .await;
    }

    pub(crate) async fn push_spec(&self, app: &str, spec: Value) {
        let object = json!({"apiVersion": "sealctl.dev/v1alpha1", "kind": "SealedEnv", "metadata": {"name": app}, "spec": spec});
        let patch = PatchParams::apply("test").force();
        let applied = self
            .sealed_envs()
            .patch(app, &patch, &Patch::Apply(object))
            .await;
        applied.unwrap_or_else(|error| panic!("SealedEnv {app}: {error}"));
    }

    pub(crate) fn sealed_envs(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.client(), &self.namespace, &sealed_envs())
    }

    /// Applies what `sealctl rbac --prune` prints for a document.
    pub(crate) async fn grant(&self, doc: &Doc) {
        let roles = self.roles_of(doc);
        self.apply_text(&format!("rbac-{}.yaml", doc.app), &roles)
            .await;
    }

    /// What `sealctl rbac --prune` prints for a document.
    pub(crate) fn roles_of(&self, doc: &Doc) -> String {
        self.roles_of_text(&doc.app, &doc.text(self))
    }

    /// The same for a plaintext, which may belong to another namespace. The command reads the sealed documents of a project and
    /// needs no key.
    pub(crate) fn roles_of_text(&self, app: &str, plain: &str) -> String {
        let project = self.project.join(format!("rbac-{app}"));
        fs::create_dir_all(project.join("keys").join(&self.environment))
            .expect("room in the scratch folder");
        let folder = project.join("envs").join(&self.environment);
        fs::create_dir_all(&folder).expect("room in the scratch folder");
        // The folder by which a project is known.
        fs::create_dir_all(project.join("keys").join(&self.environment))
            .expect("room in the scratch folder");
        let sealed = seal(plain, 1, &[self.identity.recipient()]);
        fs::write(folder.join(format!("{app}.yaml")), sealed).expect("room in the scratch folder");
        let account = format!("{}/seald", self.home);
        let environment = &self.environment;
        let args = [
            "rbac",
            "-e",
            environment,
            "-a",
            app,
            "--prune",
            "--service-account",
            &account,
        ];
        let output = sealctl(&project, &args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sealctl rbac: {errors}");
        String::from_utf8(output.stdout).expect("YAML")
    }

    /// Grants, and stores in the project.
    pub(crate) async fn grant_and_store(&self, doc: &Doc) -> u64 {
        self.grant(doc).await;
        self.store(doc)
    }

    /// Grants, and applies as SealedEnv.
    pub(crate) async fn grant_and_push(&self, doc: &Doc) -> u64 {
        self.grant(doc).await;
        self.push(doc).await
    }
}

/// Seals a plaintext with any revision and readers.
pub(crate) fn seal(plain: &str, revision: u64, recipients: &[Recipient]) -> String {
    let rule = Rule::environment().expect("a fixed rule");
    let plain = Secret::from_text(plain);
    let change = Change::New {
        format: Format::Yaml,
        plain: &plain,
        recipients,
        rule: &rule,
    };
    let stamp = Stamp {
        revision,
        now: Timestamp::now(),
        expires: None,
    };
    trust::write(&change, &stamp)
        .expect("a plaintext that can be sealed")
        .text
}

/// Runs sealctl in a folder, with an environment that holds nothing of the user's.
pub(crate) fn sealctl(folder: &Path, args: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_sealctl"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("sealctl runs")
}
