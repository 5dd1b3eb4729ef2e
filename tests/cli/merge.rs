//! Merging branches in which both sides changed a document, by git with our driver.

use std::fs;
use std::path::{Path, PathBuf};

use crate::git::git;
use crate::key_file::public_key;
use crate::sandbox::{CANARY, Ran, Sandbox, assert_hides, recipient};

const FILE: &str = "envs/dev/web.yaml";

/// A committed project whose clone is set up, of alice and bob in dev, on the branch `main`, with a branch `side`.
fn branched() -> Sandbox {
    let sandbox = Sandbox::project();
    sandbox.write("keys/dev/bob.pub", format!("{}\n", recipient("bob")));
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
    sandbox.git(&["init", "-q", "-b", "main"]);
    sandbox.run(&["git", "install"]).ok();
    commit(&sandbox, "one");
    git(&sandbox, &["branch", "side"]).ok();
    sandbox
}

fn commit(sandbox: &Sandbox, message: &str) {
    git(sandbox, &["add", "-A"]).ok();
    git(sandbox, &["commit", "-q", "-m", message]).ok();
}

fn set(sandbox: &Sandbox, pair: &str) {
    sandbox.run(&["set", pair, "-e", "dev"]).ok();
}

/// Makes `ours` on main and `theirs` on side, each committed; main is checked out afterwards.
fn diverge(sandbox: &Sandbox, ours: impl Fn(&Sandbox), theirs: impl Fn(&Sandbox)) {
    git(sandbox, &["checkout", "-q", "side"]).ok();
    theirs(sandbox);
    commit(sandbox, "theirs");
    git(sandbox, &["checkout", "-q", "main"]).ok();
    ours(sandbox);
    commit(sandbox, "ours");
}

fn merge(sandbox: &Sandbox) -> Ran {
    let ran = git(sandbox, &["merge", "-q", "-m", "merged", "side"]);
    assert_hides(&ran, CANARY);
    assert!(!sandbox.read(FILE).contains(CANARY));
    ran
}

fn value(sandbox: &Sandbox, key: &str) -> String {
    let ran = sandbox.run(&["get", key, "-e", "dev"]).ok();
    ran.stdout.trim().to_owned()
}

fn line<'a>(text: &'a str, key: &str) -> &'a str {
    let sign = format!("  {key}: ");
    text.lines().find(|line| line.starts_with(&sign)).unwrap()
}

fn remove_bob(sandbox: &Sandbox) {
    fs::remove_file(sandbox.path("keys/dev/bob.pub")).unwrap();
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
}

fn add_carol(sandbox: &Sandbox) {
    sandbox.write("keys/dev/carol.pub", format!("{}\n", carol()));
    sandbox.run(&["rekey", "-e", "dev", "--yes"]).ok();
}

/// Another reader, whose key is among those of the vectors.
fn carol() -> String {
    public_key(&carols())
}

fn carols() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys/carol.txt")
}

fn become_carol(sandbox: &Sandbox) {
    fs::copy(carols(), sandbox.home().join(".config/sops/age/keys.txt")).unwrap();
}

/// Whether `name` opens the document now, by whatever key he knows.
fn opens(sandbox: &Sandbox, name: &str) -> bool {
    match name {
        "carol" => become_carol(sandbox),
        name => sandbox.become_reader(name),
    }
    let code = sandbox.run(&["get", "TOKEN", "-e", "dev"]).code;
    sandbox.become_reader("alice");
    code == 0
}

#[test]
fn values_of_both_sides_come_together_and_untouched_ones_keep_their_ciphertext() {
    let sandbox = branched();
    set(&sandbox, "KEEP=kept");
    commit(&sandbox, "keep");
    git(&sandbox, &["branch", "-f", "side"]).ok();
    diverge(
        &sandbox,
        |ours| set(ours, "A=of ours"),
        |theirs| {
            set(theirs, "B=of theirs");
            set(theirs, "HOST=elsewhere");
        },
    );
    let theirs = git(&sandbox, &["show", "side:envs/dev/web.yaml"])
        .ok()
        .stdout;
    let ours = sandbox.read(FILE);
    merge(&sandbox).ok();
    assert_eq!(value(&sandbox, "A"), "of ours");
    assert_eq!(value(&sandbox, "B"), "of theirs");
    assert_eq!(value(&sandbox, "HOST"), "elsewhere");
    assert_eq!(value(&sandbox, "TOKEN"), CANARY);
    let merged = sandbox.read(FILE);
    for key in ["KEEP", "TOKEN", "A"] {
        assert_eq!(line(&merged, key), line(&ours, key));
    }
    assert_eq!(line(&merged, "B"), line(&theirs, "B"));
    sandbox.run(&["lint"]).ok();
    // And the other way round, where nothing is left to do.
    git(&sandbox, &["checkout", "-q", "side"]).ok();
    git(&sandbox, &["merge", "-q", "main"]).ok();
    assert_eq!(sandbox.read(FILE), merged);
}

#[test]
fn a_value_that_both_changed_is_a_conflict_that_edit_shows_and_ends() {
    let sandbox = branched();
    diverge(
        &sandbox,
        |ours| {
            set(ours, "TOKEN=of-ours");
            set(ours, "A=1");
        },
        |theirs| {
            set(theirs, "TOKEN=of-theirs");
            set(theirs, "B=2");
        },
    );
    let ran = merge(&sandbox);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("both sides changed TOKEN"), "{said}");
    let text = sandbox.read(FILE);
    assert!(
        !text.contains("of-ours") && !text.contains("of-theirs"),
        "{text}"
    );
    for sign in [
        "<<<<<<< ours\n  TOKEN: ENC[",
        "=======\n  TOKEN: ENC[",
        ">>>>>>> theirs\n",
    ] {
        assert_eq!(text.matches(sign).count(), 1, "{sign} in\n{text}");
    }
    for arguments in [
        &["get", "A", "-e", "dev"][..],
        &["lint"],
        &["set", "A=2", "-e", "dev"],
    ] {
        sandbox.refuses(arguments, 1, &["E0297", "sealctl edit envs/dev/web.yaml"]);
    }
    let shown = git(&sandbox, &["diff"]).ok().stdout;
    assert!(
        !shown.contains("of-theirs") && !shown.contains("ENC["),
        "{shown}"
    );
    // The editor sees both, and takes theirs.
    let editor = sandbox.script(
        "editor",
        "grep -q 'TOKEN: of-ours' \"$1\" && grep -q 'TOKEN: of-theirs' \"$1\" || exit 9\n\
         sed -i '/^<<<<<<</,/^=======/d; /^>>>>>>>/d' \"$1\"",
    );
    let variables = [("EDITOR", editor.as_os_str())];
    let edited = sandbox.run_as(&["edit", FILE], "", &variables).ok();
    assert!(
        edited.stderr.contains("git add envs/dev/web.yaml"),
        "{}",
        edited.stderr
    );
    commit(&sandbox, "merged");
    for (key, text) in [("TOKEN", "of-theirs"), ("A", "1"), ("B", "2")] {
        assert_eq!(value(&sandbox, key), text);
    }
    sandbox.run(&["lint"]).ok();
}

#[test]
fn a_conflict_is_not_saved_while_its_lines_are_there() {
    let sandbox = branched();
    diverge(
        &sandbox,
        |ours| set(ours, "TOKEN=1a"),
        |theirs| set(theirs, "TOKEN=2b"),
    );
    assert_eq!(merge(&sandbox).code, 1);
    let before = sandbox.read(FILE);
    let editor = sandbox.script("editor", "sed -i '/^<<<<<<</d' \"$1\"");
    let variables = [("EDITOR", editor.as_os_str())];
    let ran = sandbox.run_as(&["edit", FILE], "", &variables);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(sandbox.read(FILE), before);
    // Called resolved with its lines: git has no sides any more.
    let plain = "sealctl: v1\napp: web\nenvironment: dev\nconfig: {}\nsecrets:\n  TOKEN: 3c\n";
    sandbox.run_with(&["edit", "--stdio", FILE], plain).ok();
    assert_eq!(value(&sandbox, "TOKEN"), "3c");
    sandbox.write(FILE, before);
    git(&sandbox, &["add", "-A"]).ok();
    sandbox.refuses(&["edit", FILE], 1, &["E0297", "git checkout -m"]);
    assert_eq!(git(&sandbox, &["commit", "-q", "-m", "with lines"]).code, 1);
}

#[test]
fn a_reader_whom_one_side_removed_does_not_come_back() {
    type Step<'a> = &'a dyn Fn(&Sandbox);
    let change = |sandbox: &Sandbox| set(sandbox, "TOKEN=fresh");
    let sides: [(Step<'_>, Step<'_>); 2] = [(&remove_bob, &change), (&change, &remove_bob)];
    for (ours, theirs) in sides {
        let sandbox = branched();
        assert!(opens(&sandbox, "bob"));
        diverge(&sandbox, ours, theirs);
        merge(&sandbox).ok();
        assert_eq!(value(&sandbox, "TOKEN"), "fresh");
        assert!(!opens(&sandbox, "bob"));
        assert!(!sandbox.read(".sops.yaml").contains(&recipient("bob")));
        sandbox.run(&["lint"]).ok();
    }
}

#[test]
fn two_who_remove_and_add_readers_at_once_agree() {
    let sandbox = branched();
    diverge(&sandbox, remove_bob, add_carol);
    merge(&sandbox).ok();
    assert!(!opens(&sandbox, "bob") && opens(&sandbox, "carol"));
    let rules = sandbox.read(".sops.yaml");
    assert!(
        rules.contains(&carol()) && !rules.contains(&recipient("bob")),
        "{rules}"
    );
    sandbox.run(&["check", "-e", "dev"]).ok();
    sandbox.run(&["lint"]).ok();
}

#[test]
fn two_who_remove_different_readers_get_a_new_data_key() {
    let sandbox = branched();
    add_carol(&sandbox);
    commit(&sandbox, "carol");
    git(&sandbox, &["branch", "-f", "side"]).ok();
    diverge(&sandbox, remove_bob, |theirs| {
        fs::remove_file(theirs.path("keys/dev/carol.pub")).unwrap();
        theirs.run(&["rekey", "-e", "dev", "--yes"]).ok();
    });
    let sides = ["main", "side"].map(|branch| {
        let text = git(&sandbox, &["show", &format!("{branch}:{FILE}")])
            .ok()
            .stdout;
        line(&text, "TOKEN").to_owned()
    });
    merge(&sandbox).ok();
    assert!(!opens(&sandbox, "bob") && !opens(&sandbox, "carol"));
    assert_eq!(value(&sandbox, "TOKEN"), CANARY);
    let merged = sandbox.read(FILE);
    assert!(!sides.contains(&line(&merged, "TOKEN").to_owned()));
}

#[test]
fn without_an_identity_the_conflict_is_an_ordinary_one() {
    let sandbox = branched();
    diverge(
        &sandbox,
        |ours| set(ours, "A=1"),
        |theirs| set(theirs, "B=2"),
    );
    fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    let ran = merge(&sandbox);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(sandbox.read(FILE).contains("<<<<<<< ours\n"));
    // Back with the identity, edit ends it.
    sandbox.become_reader("alice");
    let editor = sandbox.script("editor", "true");
    let variables = [("EDITOR", editor.as_os_str())];
    sandbox.run_as(&["edit", FILE], "", &variables).ok();
    commit(&sandbox, "merged");
    assert_eq!([value(&sandbox, "A"), value(&sandbox, "B")], ["1", "2"]);
}

#[test]
fn comments_of_the_side_that_changed_them_stay() {
    for is_theirs in [false, true] {
        let sandbox = branched();
        let comment = |sandbox: &Sandbox| {
            let plain = sandbox.run(&["decrypt", FILE]).ok().stdout;
            let plain = plain.replace("  HOST: db", "  # where it lies\n  HOST: db");
            sandbox.run_with(&["edit", "--stdio", FILE], &plain).ok();
        };
        let change = |sandbox: &Sandbox| set(sandbox, "PORT=6543");
        match is_theirs {
            true => diverge(&sandbox, change, comment),
            false => diverge(&sandbox, comment, change),
        }
        merge(&sandbox).ok();
        let text = sandbox.read(FILE);
        assert!(
            text.contains("  # where it lies\n  HOST: db"),
            "{is_theirs}: {text}"
        );
        assert_eq!(value(&sandbox, "PORT"), "6543");
    }
}

#[test]
fn a_document_that_both_sides_made_is_merged_too() {
    let sandbox = branched();
    let make = |sandbox: &Sandbox, key: &str| {
        let plain =
            format!("sealctl: v1\napp: jobs\nenvironment: dev\nsecrets:\n  {key}: x{key}\n");
        sandbox.write("envs/dev/jobs.yaml", plain);
        sandbox.run(&["encrypt", "envs/dev/jobs.yaml"]).ok();
    };
    diverge(&sandbox, |ours| make(ours, "A"), |theirs| make(theirs, "B"));
    merge(&sandbox).ok();
    for key in ["A", "B"] {
        let ran = sandbox.run(&["get", key, "-e", "dev", "-a", "jobs"]).ok();
        assert_eq!(ran.stdout.trim(), format!("x{key}"));
    }
}

#[test]
fn a_new_reader_merges_what_was_made_before_he_came() {
    let sandbox = branched();
    diverge(
        &sandbox,
        |ours| {
            add_carol(ours);
            set(ours, "A=1");
        },
        |theirs| {
            add_carol(theirs);
            set(theirs, "B=2");
        },
    );
    become_carol(&sandbox);
    merge(&sandbox).ok();
    assert_eq!([value(&sandbox, "A"), value(&sandbox, "B")], ["1", "2"]);
}

/// The MAC of SOPS does not cover the recipients: who can commit can write himself among them.
#[test]
fn who_wrote_himself_among_the_readers_of_a_branch_gets_nothing_by_its_merge() {
    for is_seal_gone in [false, true] {
        let sandbox = branched();
        let forge = |sandbox: &Sandbox| {
            let text = sandbox.read(FILE);
            let begin = text.find("    - enc: |").unwrap();
            let end = begin + text[begin..].find("recipient: ").unwrap();
            let line = end + text[end..].find('\n').unwrap() + 1;
            let entry = format!("{}recipient: {}\n", &text[begin..end], carol());
            let mut forged = [&text[..line], &entry, &text[line..]].concat();
            if is_seal_gone {
                let seal = forged.find("  sealctl:\n").unwrap();
                let rest = &forged[seal + "  sealctl:\n".len()..];
                let length: usize = rest
                    .split_inclusive('\n')
                    .take_while(|line| line.starts_with("    "))
                    .map(str::len)
                    .sum();
                forged.replace_range(seal..seal + "  sealctl:\n".len() + length, "");
            }
            sandbox.write(FILE, forged);
        };
        git(&sandbox, &["checkout", "-q", "side"]).ok();
        forge(&sandbox);
        let force = ["commit", "-q", "--no-verify", "-a", "-m", "forged"];
        git(&sandbox, &force).ok();
        git(&sandbox, &["checkout", "-q", "main"]).ok();
        set(&sandbox, "A=1");
        commit(&sandbox, "ours");
        let ran = merge(&sandbox);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(ran.code == 1 && said.contains("does not vouch"), "{said}");
        assert!(!opens(&sandbox, "carol"));
        assert!(!sandbox.read(FILE).contains(&carol()));
        assert_eq!(value(&sandbox, "A"), "1");
    }
}
