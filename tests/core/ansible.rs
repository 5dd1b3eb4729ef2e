//! Ansible's collection `community.sops`, unchanged, with a link `sops` to our program in its PATH.
//!
//! Every plugin runs twice, with the real SOPS and with the link, over files that either of them has
//! sealed; what Ansible sees has to be the same. The collection comes from the package `ansible`, of which
//! nothing else is kept.
#![expect(
    clippy::disallowed_methods,
    reason = "starts programs and prepares folders"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::django::{once, succeeded};
use crate::key_file::public_key;
use crate::real_sops::sops;

/// What `ansible-core` needs; the collection is taken out of [`PACKAGE`].
const REQUIREMENTS: &str = include_str!("ansible/requirements.txt");
/// The package with the collections.
const PACKAGE: &str = "ansible==12.3.0";
/// Takes the one collection out of the downloaded package.
const UNPACK: &str = "\
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/ansible-*.whl')[0])
names = [name for name in wheel.namelist() if '/community/sops/' in name]
wheel.extractall(sys.argv[1], members=names)
";
/// The playbooks, and their settings.
const FILES: [(&str, &str); 8] = [
    ("ansible.cfg", include_str!("ansible/ansible.cfg")),
    ("write.yaml", include_str!("ansible/write.yaml")),
    ("read.yaml", include_str!("ansible/read.yaml")),
    ("inventory", "here ansible_connection=local\n"),
    (
        "no-rules.yaml",
        "creation_rules:\n    - path_regex: ^never$\n      age: age1none\n",
    ),
    ("group_vars/all/plain.sops.yaml", "plain: text\n"),
    ("group_vars/all/empty", ""),
    ("host_vars/here/empty", ""),
];
/// Files that each program seals itself: name and plaintext.
const SEALED: [(&str, &str); 5] = [
    ("flat.env", "A=1\n# note\nB=two words\n"),
    ("parts.ini", "[one]\na = 1\n\n[two]\nb = canary\n"),
    ("many.yaml", "a: 1\n---\nb: [x, {c: 2024-02-29}]\n"),
    (
        "expressions.yaml",
        "sum: '{{ 1 + 2 }}'\nlist: ['{{ plain }}', 2]\n",
    ),
    ("foreign.yaml", "a: canary\n"),
];

/// A project for Ansible, and either program under the name `sops`.
struct Project {
    folder: tempfile::TempDir,
    python: PathBuf,
}

impl Project {
    fn new() -> Self {
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
            python: installed(),
        };
        for (name, text) in FILES {
            project.write(name, text);
        }
        let rules = format!("creation_rules:\n    - age: {}\n", public("alice"));
        project.write(".sops.yaml", &rules);
        project.write(
            "home/.config/sops/age/keys.txt",
            &fs::read_to_string(key("alice")).unwrap(),
        );
        let ours = PathBuf::from(env!("CARGO_BIN_EXE_sealctl"));
        for (side, program) in [("real", sops()), ("ours", ours)] {
            let bin = project.path(&format!("bin-{side}"));
            fs::create_dir(&bin).unwrap();
            symlink(program, bin.join("sops")).unwrap();
            fs::create_dir(project.path(side)).unwrap();
        }
        project
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, program: &Path, side: &str) -> Command {
        let bin = self.path(&format!("bin-{side}"));
        let path = format!(
            "{}:{}:/usr/bin:/bin",
            bin.display(),
            self.python.join("bin").display()
        );
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.folder.path())
            .env("LANG", "C.UTF-8")
            .env("ANSIBLE_COLLECTIONS_PATH", self.python.join("collections"))
            .env("ANSIBLE_DEPRECATION_WARNINGS", "false")
            .env("ALICE", public("alice"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a playbook with the program of `side` and gives the file that it writes.
    fn play(&self, book: &str, side: &str, result: &str, variables: &Value) -> Value {
        let output = self
            .command(&self.python.join("bin/ansible-playbook"), side)
            .arg(book)
            .args(["--extra-vars", &variables.to_string()])
            .output();
        succeeded(&output.unwrap());
        serde_json::from_slice(&fs::read(self.path(result)).unwrap()).unwrap()
    }

    /// Seals with the command line what the playbook cannot, and damages some of it.
    fn seal_rest(&self, side: &str) {
        let sops = |arguments: &[&str]| {
            let output = self
                .command(Path::new("sops"), side)
                .args(arguments)
                .output();
            succeeded(&output.unwrap());
        };
        for (name, text) in SEALED {
            let name = format!("{side}/{name}");
            self.write(&name, text);
            let reader = if name.ends_with("foreign.yaml") {
                "bob"
            } else {
                "alice"
            };
            sops(&["encrypt", "--age", &public(reader), "-i", &name]);
        }
        for place in ["group", "host"] {
            let folder = if place == "group" { "all" } else { "here" };
            let name = format!("{place}_vars/{folder}/{side}.sops.yaml");
            self.write(
                &name,
                &format!("{place}_{side}:\n  word: canary\n  number: 5\n"),
            );
            sops(&["encrypt", "-i", &name]);
        }
        let text = fs::read_to_string(self.path(&format!("{side}/data.yaml"))).unwrap();
        // One character of the first ciphertext.
        let at = text.find("data:").unwrap() + "data:".len();
        let other = if text[at..].starts_with('A') {
            "B"
        } else {
            "A"
        };
        let tampered = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        self.write(&format!("{side}/tampered.yaml"), &tampered);
        let open = fs::read_to_string(self.path(&format!("{side}/other.yaml"))).unwrap();
        let changed = open.replacen("open: here", "open: elsewhere", 1);
        assert_ne!(changed, open);
        self.write(&format!("{side}/changed.yaml"), &changed);
        self.write(&format!("{side}/plain.yaml"), "a: b\n");
    }
}

/// Folder of a Python environment with Ansible and the collection, made once per version.
fn installed() -> PathBuf {
    let list = format!("{REQUIREMENTS}# {PACKAGE}\n");
    once("ansible", &list, |folder| {
        let collections = folder.join("collections");
        let pip = Command::new(folder.join("bin/pip"))
            .args(["download", "--quiet", "--no-deps", PACKAGE, "--dest"])
            .arg(&collections)
            .output();
        succeeded(&pip.unwrap());
        let python = Command::new(folder.join("bin/python"))
            .args(["-c", UNPACK])
            .arg(&collections)
            .output();
        succeeded(&python.unwrap());
        for entry in fs::read_dir(&collections).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
    })
}

fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/keys/{name}.txt"))
}

fn public(name: &str) -> String {
    public_key(&key(name))
}

#[test]
#[ignore = "needs Ansible from the Python registry, and the real sops: make test"]
fn ansible_sees_the_same_with_the_link_as_with_the_real_sops() {
    let project = Project::new();
    let said = both(|side| {
        let out = project.path(side);
        let variables = json!({"out": out, "bob": public("bob")});
        let said = project.play("write.yaml", side, &format!("{side}/said.json"), &variables);
        let mode = fs::metadata(out.join("bytes.sops"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        project.seal_rest(side);
        said
    });
    assert_eq!(said[0], said[1]);
    let yes = |word: &str| word == "yes";
    let changed: Vec<bool> = "yes no yes no yes no yes no yes yes yes"
        .split(' ')
        .map(yes)
        .collect();
    assert_eq!(said[1]["changed"], json!(changed));
    assert_eq!(said[1]["failed"][0], json!("exited with code 1"));

    let seen = both(|side| {
        let name = format!("seen-{side}.json");
        let variables = json!({"result": project.path(&name), "bob_file": key("bob")});
        project.play("read.yaml", side, &name, &variables)
    });
    assert_eq!(seen[0], seen[1]);
    halves_are_equal(&seen[1]);
    assert_eq!(seen[1]["options"][0], json!("canary text\n"));
    assert_eq!(seen[1]["options"][1], json!("AAEC/f7/Cg=="));
    let codes = ["25", "51", "128", "1"].map(|code| format!("exited with code {code}"));
    let refused: Vec<Value> = codes.into_iter().map(Value::from).collect();
    assert_eq!(seen[1]["refused"].as_array().unwrap()[..4], refused);
    assert_eq!(seen[1]["evaluated"], json!({"sum": 3, "list": ["text", 2]}));
    assert_eq!(seen[1]["ignored"]["sum"], json!("{{ 1 + 2 }}"));
}

/// Does the same with either program, at once.
fn both(act: impl Fn(&str) -> Value + Sync) -> [Value; 2] {
    std::thread::scope(|scope| {
        let act = &act;
        let started = ["real", "ours"].map(|side| scope.spawn(move || act(side)));
        started.map(|thread| thread.join().unwrap())
    })
}

/// What the real SOPS sealed is seen as what the link sealed.
fn halves_are_equal(seen: &Value) {
    for name in [
        "trees", "texts", "options", "filtered", "named", "group", "host", "refused",
    ] {
        let list = seen[name].as_array().unwrap();
        let (real, ours) = list.split_at(list.len() / 2);
        assert!(!real.is_empty(), "{name}");
        assert_eq!(real, ours, "{name}");
    }
}
