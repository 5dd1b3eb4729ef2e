//! `init`, `key new`, and how project, environment and app are found.

use std::os::unix::fs::PermissionsExt as _;

use crate::sandbox::{INIT, Sandbox, recipient};

#[test]
fn init_lays_out_a_project_whose_documents_are_sealed() {
    let sandbox = Sandbox::empty();
    let key = sandbox.home().join(".config/sops/age/keys.txt");
    std::process::Command::new("rm").arg(&key).status().unwrap();
    let ran = sandbox
        .run(&[
            "init", "--app", "web", "--name", "alice", "--env", "dev,prod",
        ])
        .ok();
    ran.says(&["identity written", "no recovery key", "Next:"]);
    let mode = std::fs::File::open(&key)
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    for environment in ["dev", "prod"] {
        assert!(
            sandbox
                .read(&format!("envs/{environment}/web.yaml"))
                .contains("hmac:")
        );
        assert!(
            sandbox
                .read(&format!("keys/{environment}/alice.pub"))
                .starts_with("# person, ")
        );
    }
    assert!(
        sandbox
            .read(".sops.yaml")
            .contains("path_regex: ^envs/prod/")
    );
    sandbox.run(&["check", "--all-envs"]).ok();
}

#[test]
fn init_in_a_project_changes_nothing_that_is_shared() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    sandbox
        .run(&["init"])
        .ok()
        .says(&["nothing shared was changed"]);
    assert_eq!(sandbox.run(&["init", "--error-unchanged"]).code, 3);
    sandbox.become_reader("bob");
    sandbox
        .run(&["init", "--name", "bob"])
        .ok()
        .says(&["key new --request --env dev --name bob"]);
    sandbox.become_reader("alice");
    assert_eq!(sandbox.files(), before);
}

#[test]
fn init_keeps_the_sops_rules_of_the_user() {
    let sandbox = Sandbox::empty();
    sandbox.write(
        ".sops.yaml",
        "creation_rules:\n  - path_regex: other\n    pgp: ABC # mine\n",
    );
    sandbox
        .run(&["init", "--app", "web", "--name", "alice"])
        .ok();
    let text = sandbox.read(".sops.yaml");
    assert!(
        text.ends_with("  # sealctl: end\n  - path_regex: other\n    pgp: ABC # mine\n"),
        "{text}"
    );
}

#[test]
fn a_recovery_key_is_a_reader_of_everything() {
    let sandbox = Sandbox::empty();
    let recovery = recipient("recovery");
    let arguments = [&INIT[..INIT.len() - 1], &[recovery.as_str()]].concat();
    sandbox.run(&arguments).ok();
    assert!(sandbox.read("envs/prod/web.yaml").contains(&recovery));
}

#[test]
fn init_says_that_it_adds_no_environment_to_a_project_and_how_it_is_done() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    let fix = "mkdir keys/staging && cp keys/dev/*.pub keys/staging/";
    sandbox.refuses(&["init", "-e", "dev,staging"], 2, &["staging", fix]);
    assert_eq!(sandbox.files(), before);
    // What is said to do helps.
    sandbox.write("keys/staging/alice.pub", sandbox.read("keys/dev/alice.pub"));
    sandbox.write(
        "envs/staging/web.yaml",
        "sealctl: v1\napp: web\nenvironment: staging\nsecrets:\n  A: b\n",
    );
    sandbox
        .run(&["encrypt"])
        .ok()
        .says(&["envs/staging/web.yaml"]);
    assert_eq!(sandbox.run(&["get", "A", "-e", "staging"]).ok().stdout, "b");
}

#[test]
fn a_request_puts_the_public_half_into_keys_and_opens_nothing() {
    let sandbox = Sandbox::project();
    sandbox.become_reader("bob");
    let before = sandbox.read("envs/dev/web.yaml");
    let request = ["key", "new", "--request", "--env", "dev", "--name", "bob"];
    sandbox
        .run(&request)
        .ok()
        .says(&["sealctl key approve bob --env dev"]);
    assert!(sandbox.read("keys/dev/bob.pub").contains(&recipient("bob")));
    assert!(sandbox.read(".sops.yaml").contains(&recipient("bob")));
    assert_eq!(sandbox.read("envs/dev/web.yaml"), before);
    sandbox.run(&request).ok().says(&["already"]);
    sandbox.become_reader("alice");
    sandbox.refuses(&request, 1, &["E0125", "bob-2"]);
}

#[test]
fn who_may_read_is_not_guessed() {
    let sandbox = Sandbox::project();
    let variables = [("SEALCTL_ENV", "prod".as_ref())];
    let ran = sandbox.run_as(&["key", "new", "--request"], "", &variables);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn a_key_for_a_machine_goes_to_its_file_and_nowhere_else() {
    let sandbox = Sandbox::project();
    let home = sandbox.home().join(".config/sops/age/keys.txt");
    let before = std::process::Command::new("cat")
        .arg(&home)
        .output()
        .unwrap()
        .stdout;
    let ran = sandbox
        .run(&[
            "key",
            "new",
            "--name",
            "ci",
            "--request",
            "--env",
            "dev",
            "--out",
            "-",
        ])
        .ok();
    assert!(ran.stdout.contains("AGE-SECRET-KEY-1") && !ran.stderr.contains("AGE-SECRET-KEY-1"));
    let after = std::process::Command::new("cat")
        .arg(&home)
        .output()
        .unwrap()
        .stdout;
    assert_eq!(before, after);
    sandbox.run(&["key", "new", "--out", "ci.txt"]).ok();
    sandbox.refuses(&["key", "new", "--out", "ci.txt"], 1, &["exists"]);
}

#[test]
fn the_project_is_found_upwards_and_never_past_a_repository() {
    let sandbox = Sandbox::project();
    sandbox.write("app/deep/file", "");
    let mut inside = sandbox.command();
    let inside = inside
        .current_dir(sandbox.path("app/deep"))
        .args(["get", "HOST", "-e", "dev"]);
    assert_eq!(inside.output().unwrap().stdout, b"db");
    sandbox.write("app/.git/HEAD", "");
    let mut outside = sandbox.command();
    let outside = outside
        .current_dir(sandbox.path("app/deep"))
        .args(["get", "HOST", "-e", "dev"]);
    assert_eq!(outside.output().unwrap().status.code(), Some(10));
}

#[test]
fn environments_and_apps_are_told_or_asked_for_with_near_names() {
    let sandbox = Sandbox::project();
    sandbox.refuses(&["get", "HOST", "-e", "prd"], 2, &["did you mean prod?"]);
    sandbox.refuses(&["get", "HOST", "-a", "wep"], 2, &["did you mean web?"]);
    sandbox.run(&["get", "HOST"]).ok();
    sandbox.write("envs/dev/jobs.yaml", "");
    sandbox.refuses(&["get", "HOST"], 2, &["which app?", "jobs, web"]);
    let variables = [("SEALCTL_APP", "web".as_ref())];
    assert_eq!(
        sandbox.run_as(&["get", "HOST"], "", &variables).ok().stdout,
        "db"
    );
}

#[test]
fn without_a_project_the_hint_is_init() {
    Sandbox::empty().refuses(&["check"], 10, &["E0510", "sealctl init"]);
}
