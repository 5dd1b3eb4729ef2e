//! The example environments are what they claim to be: sealed, and openable by exactly their readers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sealctl::crypto::{Identity, parse_identities};
use sealctl::env::{ObjectKind, Place};
use sealctl::format::Format;
use sealctl::reason::Reason;
use sealctl::resolve::{Refusal, Request, Resolved, Target, Verify, outline, resolve};
use sealctl::secret::Secret;
use sealctl::sops::Sealed;

const DOCUMENTS: [(&str, &str); 3] = [("dev", "polls"), ("prod", "jobs"), ("prod", "polls")];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(environment: &str, app: &str) -> Secret {
    Secret::new(fs::read(root(&format!("envs/{environment}/{app}.yaml"))).unwrap())
}

fn place(environment: &str, app: &str) -> Place {
    Place {
        file: Some(format!("{app}.yaml")),
        directory: Some(format!("envs/{environment}")),
    }
}

fn identities(name: &str) -> Vec<Identity> {
    let text = fs::read(root(&format!("tests/keys/{name}.txt"))).unwrap();
    parse_identities(&Secret::new(text)).unwrap()
}

fn opened(environment: &str, app: &str, reader: &str) -> Result<Resolved, Refusal> {
    let request = Request {
        identities: &identities(reader),
        target: Target::default(),
        place: place(environment, app),
        verify: Verify::Warn,
        highest: None,
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
    };
    resolve(&text(environment, app), &request)
}

fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root(directory)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_example_is_listed_here() {
    let found: usize = ["envs/dev", "envs/prod"]
        .iter()
        .map(|directory| files(directory, "yaml").len())
        .sum();
    assert_eq!(found, DOCUMENTS.len());
}

#[test]
fn examples_open_for_their_readers_and_for_nobody_else() {
    for (environment, app) in DOCUMENTS {
        let cluster = format!("cluster-{environment}");
        for reader in ["alice", "recovery", &cluster] {
            let resolved = opened(environment, app, reader).unwrap();
            assert_eq!(resolved.verified.reason, Reason::Verified);
            assert_eq!((resolved.revision, resolved.warnings), (Some(1), vec![]));
        }
        let other = if environment == "dev" {
            "cluster-prod"
        } else {
            "cluster-dev"
        };
        assert_eq!(
            opened(environment, app, other).unwrap_err().reason,
            Reason::NotRecipient
        );
    }
}

#[test]
fn readers_of_the_examples_are_the_public_keys_of_their_environment() {
    for (environment, app) in DOCUMENTS {
        let sealed = Sealed::parse(Format::Yaml, &text(environment, app)).unwrap();
        let readers: BTreeSet<String> = sealed.recipients().map(str::to_owned).collect();
        let keys: BTreeSet<String> = files(&format!("keys/{environment}"), "pub")
            .iter()
            .map(|path| {
                fs::read_to_string(path)
                    .unwrap()
                    .lines()
                    .last()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(readers, keys, "envs/{environment}/{app}.yaml");
    }
}

#[test]
fn examples_can_be_outlined_without_a_key() {
    let outlined = outline(&text("prod", "polls"), &place("prod", "polls")).unwrap();
    assert_eq!(outlined.findings, []);
    let targets: Vec<_> = outlined
        .targets
        .iter()
        .map(|target| (target.kind, target.name.as_str()))
        .collect();
    let secret = ObjectKind::Secret;
    assert_eq!(
        targets,
        [
            (ObjectKind::ConfigMap, "polls-config"),
            (secret, "polls-secrets"),
            (secret, "postgres-init"),
            (secret, "polls-cert"),
        ]
    );
    assert_eq!(outlined.superuser.unwrap().to_string(), "deployment/polls");
}
