//! The plan of the mirror: files in, actions out.

use super::*;

const SEALED: &str = "app: web\nsops:\n    mac: ENC\n";

struct World {
    planner: Planner,
    files: BTreeMap<String, File>,
    refused: BTreeMap<String, Outcome>,
    existing: BTreeMap<Key, Existing>,
    now: Instant,
}

/// A file "app namespace environment" resolves; "broken" and "broken app namespace environment" not.
fn check(file: &File) -> Checked {
    let words: Vec<&str> = file
        .text
        .lines()
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let header = |words: &[&str]| {
        let [app, namespace, environment] = words else {
            return None;
        };
        Some(Header {
            app: app.parse().ok()?,
            namespace: namespace.parse().ok()?,
            environment: environment.parse().ok()?,
        })
    };
    match words.as_slice() {
        ["broken", rest @ ..] => Checked::Broken {
            header: header(rest),
            message: "no MAC".into(),
        },
        words => header(words).map_or_else(
            || Checked::Broken {
                header: None,
                message: "no document".into(),
            },
            Checked::Resolves,
        ),
    }
}

impl World {
    fn new() -> Self {
        Self {
            planner: Planner::new(["prod".parse().unwrap()]),
            files: BTreeMap::new(),
            refused: BTreeMap::new(),
            existing: BTreeMap::new(),
            now: Instant::now(),
        }
    }

    fn with_file(mut self, path: &str, line: &str) -> Self {
        self.write(path, line);
        self
    }

    fn write(&mut self, path: &str, line: &str) {
        let environment = path
            .strip_prefix("envs/")
            .and_then(|path| path.split('/').next());
        let file = File {
            environment: environment.map(|name| name.parse().unwrap()),
            text: format!("{line}\n{SEALED}"),
            commit: None,
        };
        self.files.insert(path.into(), file);
    }

    /// `count` documents, all mirrored.
    fn mirrored(count: usize) -> Self {
        let mut world = Self::new();
        for number in 0..count {
            world.write(
                &format!("envs/prod/a{number}.yaml"),
                &format!("a{number} shop prod"),
            );
        }
        world.settle();
        world
    }

    fn plan(&mut self) -> Plan {
        let Self {
            planner,
            files,
            refused,
            existing,
            now,
        } = self;
        planner.plan(files, refused, existing, &check, *now)
    }

    fn later(&mut self) -> Plan {
        self.now += SECOND_LOOK;
        self.plan()
    }

    /// Performs what is planned until nothing is.
    fn settle(&mut self) {
        for _ in 0..3 {
            for action in self.later().actions {
                match action {
                    Action::Apply {
                        path,
                        key,
                        environment,
                    } => {
                        let document = Digest::combine([self.files[&path].text.as_bytes()]);
                        self.exists(key, Some(&path), environment.as_str(), document);
                    }
                    Action::Delete { key, .. } => {
                        self.existing.remove(&key);
                    }
                }
            }
        }
    }

    fn exists(&mut self, key: Key, path: Option<&str>, environment: &str, document: Digest) {
        let existing = Existing {
            uid: "u".into(),
            resource_version: "1".into(),
            environment: environment.into(),
            source_path: path.map(str::to_owned),
            document,
            commit: None,
            deleting: false,
            revision: Some(7),
            confirmed: None,
        };
        self.existing.insert(key, existing);
    }
}

fn reason(plan: &Plan, path: &str) -> Option<Reason> {
    plan.troubles.get(path).map(|outcome| outcome.reason)
}

fn key(name: &str) -> Key {
    ("shop".into(), name.into())
}

fn applied(plan: &Plan) -> Vec<&str> {
    fn path(action: &Action) -> Option<&str> {
        match action {
            Action::Apply { path, .. } => Some(path.as_str()),
            Action::Delete { .. } => None,
        }
    }
    plan.actions.iter().filter_map(path).collect()
}

fn deleted(plan: &Plan) -> usize {
    plan.actions.len() - applied(plan).len()
}

#[test]
fn a_good_file_is_mirrored_at_once_and_then_left_alone() {
    let mut world = World::new().with_file("envs/prod/web.yaml", "web shop prod");
    assert_eq!(applied(&world.plan()), ["envs/prod/web.yaml"]);
    world.settle();
    let plan = world.plan();
    assert_eq!(
        (plan.actions.len(), plan.mirrored, plan.look_again),
        (0, 1, None)
    );
}

#[test]
fn a_file_being_written_is_not_mirrored_half() {
    let mut world = World::mirrored(1);
    world.write("envs/prod/a0.yaml", "broken a0 shop prod");
    let plan = world.plan();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.look_again, Some(SECOND_LOOK));
    // It is still being written: another half, and the second begins anew.
    world.write("envs/prod/a0.yaml", "broken a0 shop prod more");
    assert!(world.later().actions.is_empty());
    world.write("envs/prod/a0.yaml", "a0 shop prod changed");
    world.write("envs/prod/a0.yaml", "a0 shop prod");
    world.files.get_mut("envs/prod/a0.yaml").unwrap().text += "# done";
    assert_eq!(applied(&world.plan()), ["envs/prod/a0.yaml"]);
}

#[test]
fn a_file_that_stays_broken_is_mirrored_when_its_place_can_be_read() {
    let mut world = World::mirrored(1);
    world.write("envs/prod/a0.yaml", "broken a0 shop prod");
    world.plan();
    assert_eq!(applied(&world.later()), ["envs/prod/a0.yaml"]);
}

#[test]
fn a_file_that_says_nothing_keeps_the_former_document() {
    let mut world = World::mirrored(1);
    world.write("envs/prod/a0.yaml", "broken");
    world.plan();
    let plan = world.later();
    assert!(plan.actions.is_empty());
    assert_eq!(
        reason(&plan, "envs/prod/a0.yaml"),
        Some(Reason::SourceInvalid)
    );
}

#[test]
fn what_the_definition_would_refuse_is_not_sent() {
    let mut world = World::new().with_file("envs/prod/web.yaml", "broken web shop prod");
    world.files.get_mut("envs/prod/web.yaml").unwrap().text = "broken web shop prod".into();
    world.plan();
    assert_eq!(
        reason(&world.later(), "envs/prod/web.yaml"),
        Some(Reason::SourceInvalid)
    );
}

#[test]
fn a_file_must_be_gone_twice() {
    let mut world = World::mirrored(4);
    let file = world.files.remove("envs/prod/a1.yaml").unwrap();
    let plan = world.plan();
    assert_eq!((deleted(&plan), plan.look_again), (0, Some(SECOND_LOOK)));
    // An editor that deletes and writes anew.
    world.files.insert("envs/prod/a1.yaml".into(), file);
    assert_eq!(deleted(&world.later()), 0);
    world.files.remove("envs/prod/a1.yaml");
    assert_eq!(deleted(&world.plan()), 0);
    assert_eq!(deleted(&world.later()), 1);
}

#[test]
fn all_at_once_or_many_are_not_deleted_without_a_person() {
    for (count, gone, deletions) in [(1, 1, 0), (4, 4, 0), (10, 3, 3), (10, 4, 0), (5, 2, 2)] {
        let mut world = World::mirrored(count);
        for number in 0..gone {
            world.files.remove(&format!("envs/prod/a{number}.yaml"));
        }
        world.plan();
        let plan = world.later();
        assert_eq!(deleted(&plan), deletions, "{gone} of {count}");
        let guarded = if deletions == 0 { gone } else { 0 };
        assert_eq!(plan.troubles.len(), guarded);
    }
}

#[test]
fn a_confirmation_of_this_revision_lifts_the_guard() {
    let mut world = World::mirrored(1);
    world.files.clear();
    world.existing.get_mut(&key("a0")).unwrap().confirmed = Some("6".into());
    world.plan();
    assert_eq!(
        reason(&world.later(), "envs/prod/a0.yaml"),
        Some(Reason::MassDeletionGuard)
    );
    world.existing.get_mut(&key("a0")).unwrap().confirmed = Some("7".into());
    assert_eq!(deleted(&world.later()), 1);
}

#[test]
fn a_refused_file_is_not_a_missing_one() {
    let mut world = World::mirrored(4);
    world.files.remove("envs/prod/a1.yaml");
    let outcome = Outcome::new(Reason::UnsafeTree, "a link");
    world.refused.insert("envs/prod/a1.yaml".into(), outcome);
    world.plan();
    assert_eq!(deleted(&world.later()), 0);
}

#[test]
fn what_somebody_else_applies_is_left_alone() {
    let mut world = World::new().with_file("envs/prod/web.yaml", "web shop prod");
    world.exists(key("web"), None, "prod", Digest::combine([&b""[..]]));
    let plan = world.plan();
    assert!(plan.actions.is_empty());
    assert_eq!(reason(&plan, "envs/prod/web.yaml"), Some(Reason::External));
    world.files.clear();
    world.plan();
    assert!(world.later().actions.is_empty());
}

#[test]
fn of_two_files_for_one_sealed_env_the_one_that_has_it_keeps_it() {
    let mut world = World::new().with_file("envs/prod/b.yaml", "web shop prod");
    world.settle();
    world.write("envs/prod/a.yaml", "web shop prod");
    let plan = world.plan();
    assert!(plan.actions.is_empty());
    assert_eq!(
        reason(&plan, "envs/prod/a.yaml"),
        Some(Reason::DuplicateTarget)
    );
    // The first goes: the second takes over, and nothing is deleted.
    world.files.remove("envs/prod/b.yaml");
    assert_eq!(applied(&world.plan()), ["envs/prod/a.yaml"]);
}

#[test]
fn another_environment_of_the_same_name_keeps_its_sealed_env() {
    let mut world = World::new().with_file("envs/prod/web.yaml", "web shop prod");
    world.exists(
        key("web"),
        Some("envs/dev/web.yaml"),
        "dev",
        Digest::combine([&b""[..]]),
    );
    let plan = world.plan();
    assert_eq!(
        reason(&plan, "envs/prod/web.yaml"),
        Some(Reason::DuplicateTarget)
    );
    assert!(plan.actions.is_empty());
}

#[test]
fn in_a_flat_folder_the_document_names_its_environment() {
    let mut world = World::new()
        .with_file("web.yaml", "web shop prod")
        .with_file("test.yaml", "test shop dev");
    for _ in 0..2 {
        let plan = world.plan();
        assert_eq!(applied(&plan), ["web.yaml"]);
        assert_eq!(reason(&plan, "test.yaml"), Some(Reason::WrongTarget));
    }
}

#[test]
fn a_document_that_moves_to_another_name_leaves_its_former_one() {
    let mut world = World::mirrored(4);
    world.write("envs/prod/a1.yaml", "new shop prod");
    assert_eq!(applied(&world.plan()), ["envs/prod/a1.yaml"]);
    world.settle();
    assert!(!world.existing.contains_key(&key("a1")));
    assert!(world.existing.contains_key(&key("new")));
}
