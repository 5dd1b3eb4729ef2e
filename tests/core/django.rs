//! A real Django runs the exact command of the superuser Job, in SQLite.
//!
//! Each supported line of Django is installed once into the user's cache, from the Python registry. The environment
//! is resolved as Kubernetes would: literal values, and references to the Secret with the credentials.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "starts programs and prepares folders"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sealctl::cluster::job::{Run, build};
use sealctl::cluster::scope::Scope;
use sealctl::digest::Digest;
use sealctl::env::{After, Policy, Superuser, WorkloadKind, WorkloadRef};
use sealctl::secret::Secret;
use serde_json::{Value, json};

const FORMER: &str = "canary-former-password";
const CURRENT: &str = "canary-current-password";
const LINES: [(&str, &str); 2] = [
    ("4.2", include_str!("django/requirements-4.2.txt")),
    ("5.2", include_str!("django/requirements-5.2.txt")),
];
const FILES: [(&str, &str); 5] = [
    ("manage.py", include_str!("django/project/manage.py")),
    (
        "site_under_test/settings.py",
        include_str!("django/project/site_under_test/settings.py"),
    ),
    (
        "people/models.py",
        include_str!("django/project/people/models.py"),
    ),
    (
        "people/migrations/0001_initial.py",
        include_str!("django/project/people/migrations/0001_initial.py"),
    ),
    ("people/migrations/__init__.py", ""),
];

/// A Django project in a scratch folder.
struct Project {
    folder: tempfile::TempDir,
    python: PathBuf,
    model: &'static str,
}

impl Project {
    /// A project whose tables do not exist yet.
    fn bare(requirements: &str, model: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in FILES {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self {
            folder,
            python: installed(requirements),
            model,
        }
    }

    fn migrated(requirements: &str, model: &'static str) -> Self {
        let project = Self::bare(requirements, model);
        project.migrate();
        project
    }

    fn migrate(&self) {
        let output = self
            .command("python")
            .args(["manage.py", "migrate", "-v0"])
            .output();
        succeeded(&output.unwrap());
    }

    fn command(&self, program: &str) -> Command {
        assert_eq!(program, "python", "the image has a python, not a path");
        let mut command = Command::new(self.python.join(program));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", &self.python)
            .env("TEST_USER_MODEL", self.model)
            .stdin(Stdio::null());
        command
    }

    /// What a shell of its own, apart from the Job, says about the users.
    fn ask(&self, expression: &str) -> String {
        let program = format!(
            "from django.contrib.auth import get_user_model\nusers = get_user_model().objects\nprint('said:', {expression})"
        );
        let output = self
            .command("python")
            .args(["manage.py", "shell", "-c", &program])
            .output();
        let text = succeeded(&output.unwrap());
        let said = text.lines().find_map(|line| line.strip_prefix("said: "));
        said.expect("an answer").to_owned()
    }

    /// The command of the Job, ready to be started, and where its word will be.
    fn job(&self, user: &Superuser) -> (Command, PathBuf) {
        let container = container(user);
        let argv: Vec<&str> = container["command"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part.as_str().unwrap())
            .collect();
        assert!(!argv.join(" ").contains("canary"), "argv is for everybody");
        assert_eq!(container.get("args"), None);
        let mut command = self.command(argv[0]);
        command.args(&argv[1..]);
        let secret = secret(user);
        for variable in container["env"].as_array().unwrap() {
            let value = match &variable["valueFrom"]["secretKeyRef"]["key"] {
                Value::String(key) => secret[key].expose_text().unwrap(),
                _ => variable["value"].as_str().unwrap(),
            };
            command.env(variable["name"].as_str().unwrap(), value);
        }
        let word = self.folder.path().join(format!("word-{}", user.database));
        command.env("SEALCTL_SUPERUSER_TERMINATION_LOG", &word);
        (command, word)
    }

    /// Runs the Job once: its word, or what it printed.
    fn run(&self, user: &Superuser) -> Result<String, String> {
        let (mut command, word) = self.job(user);
        let output = command.output().unwrap();
        let printed = printed(&output);
        assert!(!printed.contains("canary"), "{printed}");
        if output.status.success() {
            let text = fs::read_to_string(&word).unwrap();
            fs::remove_file(word).unwrap();
            Ok(text)
        } else {
            Err(printed)
        }
    }
}

/// The Job's container for a Deployment as people write it.
fn container(user: &Superuser) -> Value {
    let workload = json!({"spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {
        "containers": [{
            "name": "web",
            "image": "web:1",
            "command": ["gunicorn"],
            "args": ["site_under_test.wsgi"],
            "env": [{"name": "DJANGO_SETTINGS_MODULE", "value": "site_under_test.settings"}],
            "ports": [{"containerPort": 8000}]
        }]
    }}}});
    let scope = Scope {
        namespace: "web".into(),
        name: "web".into(),
        uid: "u1".into(),
        environment: "prod".into(),
    };
    let job = build(&workload, &Run::of(&scope, "1a2b3c4d", user)).unwrap();
    job["spec"]["template"]["spec"]["containers"][0].clone()
}

/// Data of the Secret with the credentials.
fn secret(user: &Superuser) -> BTreeMap<String, Secret> {
    let mut data = BTreeMap::from([("password".to_owned(), user.password.clone())]);
    let named = [("username", &user.username), ("email", &user.email)];
    for (key, value) in named {
        data.extend(value.clone().map(|value| (key.to_owned(), value)));
    }
    let fields = user.fields.iter();
    data.extend(fields.map(|(name, value)| (format!("field.{name}"), value.clone())));
    data
}

fn user(password: &str) -> Superuser {
    Superuser {
        from: WorkloadRef {
            kind: WorkloadKind::Deployment,
            name: "web".parse().unwrap(),
        },
        container: None,
        username: Some(Secret::from_text("root")),
        email: Some(Secret::from_text("canary-root@Example.COM")),
        password: Secret::from_text(password),
        fields: BTreeMap::new(),
        database: "default".into(),
        manage: "manage.py".into(),
        policy: Policy::CreateOnly,
        after: After::Rollout,
    }
}

/// For the model whose login is the mail address.
fn person(name: Option<&str>) -> Superuser {
    let name = name.map(|name| ("name".to_owned(), Secret::from_text(name)));
    Superuser {
        username: None,
        fields: name.into_iter().collect(),
        ..user(FORMER)
    }
}

/// Folder of the programs of a Python environment with Django.
fn installed(requirements: &str) -> PathBuf {
    once("django", requirements, |_| {}).join("bin")
}

/// Folder of a Python environment with these packages, in the user's cache; made once per list. `finish`
/// adds to it what is no package.
pub(crate) fn once(name: &str, requirements: &str, finish: impl FnOnce(&Path)) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("a home folder")).join(".cache")
    });
    let cache = cache.join("sealctl-tests");
    fs::create_dir_all(&cache).unwrap();
    let hash = Digest::combine([requirements.as_bytes()]).short(16);
    let folder = cache.join(format!("{name}-{hash}"));
    let lock = fs::File::create(cache.join(format!("{name}-{hash}.lock"))).unwrap();
    lock.lock().unwrap();
    if !folder.join("complete").exists() {
        let _ = fs::remove_dir_all(&folder);
        install(&folder, requirements);
        finish(&folder);
        fs::write(folder.join("complete"), "").unwrap();
    }
    folder
}

fn install(folder: &Path, requirements: &str) {
    let venv = Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder)
        .output();
    succeeded(&venv.expect("python3 with venv: apt-get install python3-venv"));
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements).unwrap();
    let pip = Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--no-deps", "--requirement"])
        .arg(&list)
        .output();
    succeeded(&pip.unwrap());
}

fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What a program printed that had to succeed.
pub(crate) fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", printed(output));
    printed(output)
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_gets_its_superuser_once_and_keeps_it() {
    for (line, requirements) in LINES {
        let project = Project::migrated(requirements, "auth.User");
        assert_eq!(
            project.run(&user(FORMER)).as_deref(),
            Ok("created"),
            "{line}"
        );
        let facts = format!(
            "[(u.username, u.is_superuser, u.is_staff, u.check_password('{FORMER}')) for u in users.all()]"
        );
        assert_eq!(project.ask(&facts), "[('root', True, True, True)]");
        let before = project.ask("users.get().password");
        assert_eq!(project.run(&user(FORMER)).as_deref(), Ok("exists"));
        assert_eq!(
            project.run(&user(CURRENT)).as_deref(),
            Ok("password-not-applied")
        );
        assert_eq!(project.ask("users.get().password"), before);
    }
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_gets_another_password_under_reset_on_change() {
    for (line, requirements) in LINES {
        let project = Project::migrated(requirements, "auth.User");
        project.run(&user(FORMER)).unwrap();
        let reset = Superuser {
            policy: Policy::ResetOnChange,
            ..user(CURRENT)
        };
        assert_eq!(project.run(&reset).as_deref(), Ok("exists"), "{line}");
        let check =
            format!("[users.get().check_password(p) for p in ('{FORMER}', '{CURRENT}', '')]");
        assert_eq!(project.ask(&check), "[False, True, False]");
    }
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_with_a_user_model_of_its_own_gets_login_and_required_fields() {
    for (line, requirements) in LINES {
        let project = Project::migrated(requirements, "people.Person");
        let refusal = project.run(&person(None)).unwrap_err();
        assert!(
            refusal.contains("field name of the user model is missing"),
            "{refusal}"
        );
        assert_eq!(
            project.run(&person(Some("canary-name"))).as_deref(),
            Ok("created"),
            "{line}"
        );
        // The manager has stored another spelling of the address.
        assert_eq!(project.ask("users.get().email"), "canary-root@example.com");
        assert_eq!(project.ask("users.get().name"), "canary-name");
        assert_eq!(
            project.run(&person(Some("canary-name"))).as_deref(),
            Ok("exists")
        );
        let other = Superuser {
            email: Some(Secret::from_text("canary-other@example.com")),
            ..person(Some("canary-name"))
        };
        let refusal = project.run(&other).unwrap_err();
        assert!(refusal.contains("unique field"), "{refusal}");
        assert_eq!(project.ask("users.count()"), "1");
    }
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_is_asked_by_several_jobs_at_once_and_has_one_superuser() {
    let project = Project::migrated(LINES[1].1, "auth.User");
    let started: Vec<_> = (0..3)
        .map(|number| {
            let (mut command, word) = project.job(&user(FORMER));
            let word = word.with_extension(number.to_string());
            command
                .env("SEALCTL_SUPERUSER_TERMINATION_LOG", &word)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            (command.spawn().unwrap(), word)
        })
        .collect();
    let mut words: Vec<String> = started
        .into_iter()
        .map(|(job, word)| {
            succeeded(&job.wait_with_output().unwrap());
            fs::read_to_string(word).unwrap()
        })
        .collect();
    words.sort();
    assert_eq!(words, ["created", "exists", "exists"]);
    assert_eq!(project.ask("users.count()"), "1");
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_is_waited_for_until_its_migrations_are_applied() {
    for (line, requirements) in LINES {
        let project = Project::bare(requirements, "auth.User");
        // Without waiting it fails at once, and says nothing but why.
        let refusal = project.run(&user(FORMER)).unwrap_err();
        assert!(refusal.contains("OperationalError"), "{refusal}");
        let patient = Superuser {
            after: After::Migrated,
            ..user(FORMER)
        };
        let (mut command, word) = project.job(&patient);
        let mut job = command.spawn().unwrap();
        project.migrate();
        assert!(job.wait().unwrap().success(), "{line}");
        assert_eq!(fs::read_to_string(word).unwrap(), "created");
    }
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_is_not_given_bad_credentials_and_promotes_nobody() {
    let project = Project::migrated(LINES[1].1, "auth.User");
    let refusals = [
        (user(""), "the password is missing, empty"),
        (user("canary\n"), "ends in a newline"),
        (
            Superuser {
                username: None,
                ..user(FORMER)
            },
            "the login field of the user model is missing",
        ),
        (
            Superuser {
                username: Some(Secret::from_text("canary with spaces")),
                ..user(FORMER)
            },
            "the value for the field username",
        ),
    ];
    for (user, text) in refusals {
        let refusal = project.run(&user).unwrap_err();
        assert!(refusal.contains(text), "{refusal}");
    }
    assert_eq!(project.ask("users.count()"), "0");
    project.ask("users.create_user('root').pk");
    let refusal = project.run(&user(FORMER)).unwrap_err();
    assert!(refusal.contains("not an active superuser"), "{refusal}");
    assert_eq!(project.ask("users.get().is_superuser"), "False");
}

#[test]
#[ignore = "needs Django from the Python registry: make test"]
fn django_gets_its_superuser_in_the_database_that_is_named() {
    let project = Project::migrated(LINES[0].1, "auth.User");
    let migrate = project
        .command("python")
        .args(["manage.py", "migrate", "-v0", "--database", "second"])
        .output();
    succeeded(&migrate.unwrap());
    let second = Superuser {
        database: "second".into(),
        ..user(FORMER)
    };
    assert_eq!(project.run(&second).as_deref(), Ok("created"));
    assert_eq!(
        project.ask("(users.count(), users.using('second').count())"),
        "(0, 1)"
    );
}
