//! `set`, `get`, `unset`, `show`, `decrypt`, `render`, `rbac`: single values in and out.

use crate::sandbox::{CANARY, Sandbox};

const DEV: &str = "envs/dev/web.yaml";

/// Lines of a document that differ, by their key.
fn changed(before: &str, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    let new = after.lines().filter(|line| !old.contains(line));
    new.map(|line| line.trim().split(':').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_value_that_was_set_comes_back_as_it_was_typed() {
    let sandbox = Sandbox::project();
    for value in [
        "simple",
        "0123",
        "yes",
        " blanks ",
        "a: b # c",
        "\"q\" 'p'",
        "ä→",
        "line\nline\n",
    ] {
        sandbox
            .run_with(&["set", "K", "-", "-e", "dev"], value)
            .ok();
        assert_eq!(
            sandbox.run(&["get", "K", "-e", "dev"]).ok().stdout,
            value,
            "{value:?}"
        );
    }
    sandbox
        .run_with(&["set", "K", "-", "-e", "dev"], "one line\n")
        .ok();
    assert_eq!(
        sandbox.run(&["get", "K", "-e", "dev"]).ok().stdout,
        "one line"
    );
}

#[test]
fn set_changes_its_line_and_what_authenticates_it_and_counts_one_further() {
    let sandbox = Sandbox::project();
    let before = sandbox.read(DEV);
    sandbox
        .run_with(&["set", "TOKEN", "-", "-e", "dev"], "other")
        .ok()
        .says(&["revision 4", "Next:"]);
    let lines = changed(&before, &sandbox.read(DEV));
    let expected = [
        "TOKEN",
        "lastmodified",
        "mac",
        "created",
        "hmac",
        "revision",
    ];
    assert!(
        lines.iter().all(|line| expected.contains(&line.as_str())),
        "{lines:?}"
    );
    assert!(lines.contains(&"TOKEN".to_owned()) && !sandbox.read(DEV).contains("other"));
}

#[test]
fn a_value_that_is_there_already_changes_no_byte() {
    let sandbox = Sandbox::project();
    let before = sandbox.read(DEV);
    sandbox
        .run_with(&["set", "TOKEN", "-", "-e", "dev"], CANARY)
        .ok();
    assert_eq!(sandbox.read(DEV), before);
    let again = ["set", "TOKEN", "-", "-e", "dev", "--error-unchanged"];
    assert_eq!(sandbox.run_with(&again, CANARY).code, 3);
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = Sandbox::project();
    let before = sandbox.files();
    sandbox
        .run(&["set", "NEW=1", "--config", "-e", "dev", "--dry-run"])
        .ok();
    sandbox
        .run(&["unset", "TOKEN", "-e", "dev", "--dry-run"])
        .ok();
    assert_eq!(sandbox.files(), before);
}

#[test]
fn a_secret_on_the_command_line_is_warned_about_and_a_clear_value_is_not() {
    let sandbox = Sandbox::project();
    sandbox
        .run(&["set", "PASS=geheim", "-e", "dev"])
        .ok()
        .says(&["history of your shell"]);
    let clear = sandbox.run(&["set", "HOST=db2", "-e", "dev"]).ok();
    assert!(!clear.stderr.contains("history"), "{}", clear.stderr);
}

#[test]
fn files_and_json_scalars_are_taken_as_they_are() {
    let sandbox = Sandbox::project();
    sandbox.write("cert.pem", "-----BEGIN-----\nabc\n-----END-----\n");
    sandbox
        .run(&["set", "CERT", "--from-file", "cert.pem", "-e", "dev"])
        .ok();
    assert_eq!(
        sandbox.run(&["get", "CERT", "-e", "dev"]).ok().stdout,
        "-----BEGIN-----\nabc\n-----END-----\n"
    );
    sandbox
        .run(&[
            "set", "NUM=5", "B=true", "T=\"5\"", "--json", "--config", "-e", "dev",
        ])
        .ok();
    let text = sandbox.read(DEV);
    assert!(text.contains("NUM: 5\n") && text.contains("B: true\n") && text.contains("T: \"5\"\n"));
}

#[test]
fn all_environments_are_set_together_or_not_at_all() {
    let sandbox = Sandbox::project();
    sandbox
        .run(&["set", "A=1", "--config", "--all-envs", "-a", "web"])
        .ok();
    for environment in ["dev", "prod"] {
        assert_eq!(
            sandbox.run(&["get", "A", "-e", environment]).ok().stdout,
            "1"
        );
    }
    sandbox.replace("envs/prod/web.yaml", "A: \"1\"", "A: \"2\"");
    sandbox.refuses(
        &["set", "A=3", "--all-envs", "-a", "web"],
        13,
        &["envs/prod/web.yaml"],
    );
    assert_eq!(sandbox.run(&["get", "A", "-e", "dev"]).ok().stdout, "1");
}

#[test]
fn derived_values_and_paths_can_be_read() {
    let sandbox = Sandbox::project();
    sandbox.replace(
        DEV,
        "secrets:",
        "derived:\n  URL: \"x://{{ HOST }}:{{ PORT }}\"\n\nsecrets:",
    );
    sandbox.run(&["encrypt", "-y", DEV]).ok();
    assert_eq!(
        sandbox.run(&["get", "URL", "-e", "dev"]).ok().stdout,
        "x://db:5432"
    );
    assert_eq!(
        sandbox
            .run(&["get", "workloads.settle", "-e", "dev"])
            .ok()
            .stdout,
        "10s"
    );
    assert_eq!(
        sandbox
            .run(&["get", "HOST", "--encode", "base64", "-e", "dev"])
            .ok()
            .stdout,
        "ZGI="
    );
}

#[test]
fn a_value_is_not_typed_into_a_template_where_it_would_stay_in_clear() {
    let sandbox = Sandbox::project();
    sandbox.replace(
        DEV,
        "secrets:",
        "derived:\n  URL: \"x://{{ HOST }}\"\n\nsecrets:",
    );
    sandbox.run(&["encrypt", "-y", DEV]).ok();
    sandbox.refuses(
        &["set", "URL=x://canary", "-e", "dev"],
        2,
        &["URL is composed from other values"],
    );
}

#[test]
fn an_absent_key_is_a_no_with_nothing_on_stdout_and_a_near_name() {
    let sandbox = Sandbox::project();
    let ran = sandbox.refuses(
        &["get", "TOKN", "-e", "dev"],
        1,
        &["E0204", "did you mean TOKEN?"],
    );
    assert_eq!(ran.stdout, "");
    sandbox.refuses(
        &["unset", "TOKN", "-e", "dev"],
        1,
        &["E0204", "did you mean TOKEN?"],
    );
}

#[test]
fn unset_removes_the_line_and_keeps_the_rest() {
    let sandbox = Sandbox::project();
    sandbox
        .run(&["unset", "HOST", "-e", "dev"])
        .ok()
        .says(&["revision 4"]);
    let text = sandbox.read(DEV);
    assert!(!text.contains("HOST") && text.contains("PORT") && text.contains("TOKEN"));
    assert_eq!(
        sandbox.run(&["get", "TOKEN", "-e", "dev"]).ok().stdout,
        CANARY
    );
    sandbox
        .run(&["unset", "PORT", "--all-envs", "-a", "web"])
        .ok()
        .says(&["absent"]);
}

#[test]
fn show_masks_secrets_and_shows_the_rest() {
    let sandbox = Sandbox::project();
    let shown = sandbox.run(&["show", "-e", "dev"]).ok();
    assert!(shown.stdout.contains("HOST: db") && shown.stdout.contains("1 reader"));
    assert!(
        shown.stdout.contains("TOKEN: ‹21 chars, "),
        "{}",
        shown.stdout
    );
    crate::sandbox::assert_hides(&shown, CANARY);
    let again = sandbox.run(&["show", "-e", "dev"]).ok();
    assert_eq!(shown.stdout, again.stdout, "fingerprints stay the same");
    let ascii = sandbox
        .run_as(&["show", "-e", "dev"], "", &[("LC_ALL", "C".as_ref())])
        .ok();
    assert!(ascii.stdout.contains("TOKEN: <21 chars, ") && ascii.stdout.is_ascii());
    let revealed = sandbox.run(&["show", "-e", "dev", "--reveal"]).ok();
    assert!(revealed.stdout.contains(CANARY));
    let refused = [("SEALCTL_REDACT", "always".as_ref())];
    assert_eq!(
        sandbox
            .run_as(&["show", "-e", "dev", "--reveal"], "", &refused)
            .code,
        1
    );
}

#[test]
fn decrypt_gives_the_text_and_encrypt_after_it_the_next_revision() {
    let sandbox = Sandbox::committed();
    let plain = sandbox.run(&["decrypt", DEV]).ok().stdout;
    assert!(plain.contains(CANARY) && !plain.contains("sops:"));
    sandbox.refuses(&["decrypt", "-i", DEV], 2, &["E0403", "--yes"]);
    sandbox
        .run(&["decrypt", "-i", "--yes", DEV])
        .ok()
        .says(&["plaintext now", "sealctl encrypt"]);
    assert_eq!(sandbox.read(DEV), plain);
    sandbox.run(&["encrypt", DEV]).ok().says(&["revision 4"]);
    assert_eq!(sandbox.run(&["decrypt", DEV]).ok().stdout, plain);
}

#[test]
fn decrypt_into_a_file_makes_it_private_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::project();
    sandbox.run(&["decrypt", DEV, "--out", "plain.yaml"]).ok();
    let mode = std::fs::File::open(sandbox.path("plain.yaml"))
        .unwrap()
        .metadata()
        .unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    sandbox.refuses(&["decrypt", DEV, "--out", "plain.yaml"], 1, &["exists"]);
}

#[test]
fn render_masks_the_objects_and_gives_the_sealed_one_without_a_key() {
    let sandbox = Sandbox::project();
    let rendered = sandbox.run(&["render", "-e", "dev"]).ok();
    assert!(rendered.stdout.contains("name: web-secrets") && rendered.stdout.contains("HOST: db"));
    crate::sandbox::assert_hides(&rendered, CANARY);
    let only = sandbox
        .run(&["render", "-e", "dev", "--target", "configmap"])
        .ok();
    assert!(!only.stdout.contains("web-secrets"));
    let revealed = sandbox.run(&["render", "-e", "dev", "--reveal"]).ok();
    assert!(revealed.stdout.contains(CANARY));
    sandbox.become_reader("bob");
    let sealed = sandbox.run(&["render", "--sealed", "-e", "dev"]).ok();
    assert!(sealed.stdout.contains("kind: SealedEnv") && sealed.stdout.contains("ENC[AES256_GCM"));
    sandbox.refuses(
        &["render", "--sealed", "-e", "prod"],
        1,
        &["E0206", "no values"],
    );
}

#[test]
fn rbac_names_the_objects_and_needs_no_key() {
    let sandbox = Sandbox::project();
    sandbox.become_reader("bob");
    let roles = sandbox.run(&["rbac", "-e", "dev"]).ok().stdout;
    assert!(
        roles.contains("name: seald-web-dev") && roles.contains("- web-secrets"),
        "{roles}"
    );
    let secrets: Vec<&str> = roles
        .split("resources:")
        .filter(|part| part.contains("- secrets"))
        .collect();
    assert!(
        secrets
            .iter()
            .all(|part| !part.contains("- list") && !part.contains("- watch"))
    );
    sandbox.refuses(
        &["rbac", "-e", "dev", "--service-account", "x"],
        2,
        &["NAMESPACE/NAME"],
    );
}
