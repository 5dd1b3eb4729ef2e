//! `encrypt` and `decrypt` of files that are no environment documents: every format, both ways with the
//! real SOPS; who can open them; and many files in one call.
#![expect(clippy::disallowed_methods, reason = "runs the real SOPS on files")]

use std::fs;
use std::process::Command;

use crate::sandbox::{CANARY, Sandbox, identity, recipient};
use crate::vectors::sops;

/// A file of each format; the name says which.
const FILES: [(&str, &[u8]); 6] = [
    (
        "some.yaml",
        b"# note\na: first   # behind\nb:\n    - 1\n    - true\n---\nc: second\n",
    ),
    (
        "some.json",
        b"{\n\t\"a\": \"first\",\n\t\"b\": [1, true, null]\n}\n",
    ),
    ("some.env", b"# note\nA=first\nB=second\n"),
    ("some.ini", b"[s]\na = first\nb = second\n"),
    ("some.key", b"\x00\xffbytes\r\nof any kind"),
    ("no-ending", b"{ not json"),
];

/// What the real SOPS, alice's identity in hand, makes of a call in the sandbox.
fn real(sandbox: &Sandbox, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(sops());
    sandbox.enter(&mut command);
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sops {arguments:?}: {said}");
    output.stdout
}

#[test]
#[ignore = "needs the real sops: make test"]
fn what_we_seal_in_any_format_sops_opens_and_the_other_way_round() {
    let sandbox = Sandbox::empty();
    let alice = recipient("alice");
    for (name, plain) in FILES {
        sandbox.write(name, plain);
        sandbox
            .run(&["encrypt", "-r", &alice, name])
            .ok()
            .says(&["sealed", name]);
        let sealed = fs::read(sandbox.path(name)).unwrap();
        assert!(sealed != plain, "{name}");
        let theirs = real(&sandbox, &["decrypt", name]);
        let ours = sandbox.command().args(["decrypt", name]).output().unwrap();
        assert_eq!(ours.stdout, plain, "{name}");
        let lossy = ["some.yaml", "some.json"].contains(&name);
        assert!(lossy || theirs == plain, "{name}");
        // Sealed by SOPS, opened by us.
        sandbox.write("plain", plain);
        let by_sops = real(
            &sandbox,
            &[
                "encrypt",
                "--age",
                &alice,
                "--filename-override",
                name,
                "plain",
            ],
        );
        sandbox.write(name, by_sops);
        let theirs = real(&sandbox, &["decrypt", name]);
        let out = format!("out-{name}");
        sandbox.run(&["decrypt", name, "--out", &out]).ok();
        let ours = fs::read(sandbox.path(&out)).unwrap();
        assert!(lossy || ours == theirs, "{name}");
        // What is sealed throughout stays as it is.
        let before = fs::read(sandbox.path(name)).unwrap();
        sandbox.run(&["encrypt", name]).ok().says(&["throughout"]);
        assert_eq!(fs::read(sandbox.path(name)).unwrap(), before, "{name}");
    }
}

#[test]
#[ignore = "needs the real sops: make test"]
fn a_value_typed_into_a_sealed_file_of_any_format_is_sealed() {
    let sandbox = Sandbox::empty();
    sandbox.write("a.json", format!("{{\n  \"a\": \"{CANARY}\"\n}}\n"));
    sandbox.write("a.env", format!("A={CANARY}\n"));
    for name in ["a.json", "a.env"] {
        sandbox
            .run(&["encrypt", "-r", &recipient("alice"), name])
            .ok();
    }
    sandbox.replace("a.json", "{\n", "{\n  \"typed\": \"one\",\n");
    sandbox.replace("a.env", "A=", "TYPED=one\nA=");
    for (name, key) in [("a.json", "typed"), ("a.env", "TYPED")] {
        sandbox.run(&["encrypt", name]).ok().says(&[key]);
        assert!(!sandbox.read(name).contains("one"), "{name}");
        let opened = real(&sandbox, &["decrypt", name]);
        let opened = String::from_utf8(opened).unwrap();
        assert!(opened.contains("one") && opened.contains(CANARY), "{name}");
    }
}

#[test]
fn git_is_named_only_where_the_file_lies_in_a_repository() {
    let sandbox = Sandbox::empty();
    let alice = recipient("alice");
    for (name, is_named) in [("one.env", false), ("two.env", true)] {
        sandbox.write(name, "A=1\n");
        let run = sandbox.run(&["encrypt", "-r", &alice, name]).ok();
        assert_eq!(run.stderr.contains("git add"), is_named, "{name}");
        sandbox.write(".git/HEAD", "ref: refs/heads/main\n");
    }
}

#[test]
fn of_several_files_all_are_sealed_or_none_and_that_is_said() {
    let sandbox = Sandbox::empty();
    let alice = recipient("alice");
    sandbox.write("g1.yaml", "a: 1\n");
    sandbox.write("g2.yaml", "a: [\n");
    let words = ["nothing was sealed", "no file was changed"];
    for (other, code) in [("g2.yaml", 1), ("absent.yaml", 1)] {
        for flag in ["--no-input", "--dry-run"] {
            let call = ["encrypt", "-r", &alice, "g1.yaml", other, flag];
            sandbox.refuses(&call, code, &words);
            assert_eq!(sandbox.read("g1.yaml"), "a: 1\n");
        }
    }
}

#[test]
fn a_key_that_is_no_reader_of_a_sealed_file_is_refused_with_what_adds_it() {
    let sandbox = Sandbox::empty();
    let (alice, bob) = (recipient("alice"), recipient("bob"));
    sandbox.write("a.yaml", "a: 1\n");
    sandbox.run(&["encrypt", "-r", &alice, "a.yaml"]).ok();
    sandbox.run(&["encrypt", "-r", &alice, "a.yaml"]).ok();
    let words = ["sealed already", "rotate --in-place --add-age", "a.yaml"];
    sandbox.refuses(&["encrypt", "-r", &bob, "a.yaml"], 2, &words);
    let call = ["sops", "rotate", "--in-place", "--add-age", &bob, "a.yaml"];
    sandbox.run(&call).ok();
    sandbox.run(&["encrypt", "-r", &bob, "a.yaml"]).ok();
    let words = ["value 2", "agefoo", "ssh-ed25519"];
    let call = ["encrypt", "-r", &bob, "-r", "agefoo", "a.yaml"];
    sandbox.refuses(&call, 2, &words);
}

#[test]
fn text_that_is_not_utf_8_is_named_with_its_line() {
    let sandbox = Sandbox::empty();
    sandbox.write("inv.yaml", b"a: 1\nb: \xff\n");
    let alice = recipient("alice");
    let words = ["inv.yaml:2", "UTF-8", "--input-type binary"];
    sandbox.refuses(&["encrypt", "-r", &alice, "inv.yaml"], 1, &words);
    let call = [
        "encrypt",
        "-r",
        &alice,
        "--input-type",
        "binary",
        "inv.yaml",
    ];
    sandbox.run(&call).ok();
}

#[test]
fn a_folder_is_refused_with_what_to_type_instead() {
    let sandbox = Sandbox::empty();
    sandbox.write("conf/a.yaml", "a: 1\n");
    let words = ["conf/ is a folder", "sealctl encrypt conf/*.yaml"];
    sandbox.refuses(&["encrypt", "-r", &recipient("alice"), "conf/"], 2, &words);
}

#[test]
fn a_file_name_cannot_forge_a_line_of_an_error() {
    let sandbox = Sandbox::empty();
    let name = "a\nforged: all is well\u{1b}[2J.yaml";
    sandbox.write(name, "a: [\n");
    let calls: [&[&str]; 4] = [
        &["sops", "decrypt", name],
        &["sops", "encrypt", "--age", &recipient("alice"), name],
        &["encrypt", "-r", &recipient("alice"), name],
        &["decrypt", "absent\nforged: all is well"],
    ];
    for call in calls {
        let run = sandbox.run(call);
        assert!(run.code != 0, "{call:?}");
        assert!(
            !run.stderr.contains("\nforged") && !run.stderr.contains('\u{1b}'),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("\\nforged"), "{}", run.stderr);
    }
}

#[test]
fn a_comment_that_stands_in_clear_in_a_sealed_file_is_sealed() {
    let sandbox = Sandbox::empty();
    sandbox.write("a.yaml", "a: 1\nb:\n    - x\n    - z\n");
    sandbox.write("a.env", "A=1\n");
    for name in ["a.yaml", "a.env"] {
        let alice = recipient("alice");
        sandbox.run(&["encrypt", "-r", &alice, name]).ok();
    }
    sandbox.replace("a.yaml", "b:\n", "# typed\nb:\n    # typed, too\n");
    sandbox.replace("a.env", "A=", "# typed\nA=");
    for (name, said) in [("a.yaml", "2 comments"), ("a.env", "1 comment")] {
        sandbox
            .run(&["encrypt", name, "--dry-run"])
            .ok()
            .says(&[said]);
        sandbox.run(&["encrypt", name]).ok().says(&[said]);
        assert!(!sandbox.read(name).contains("typed"), "{name}");
        sandbox.run(&["encrypt", name]).ok().says(&["throughout"]);
    }
    let opened = sandbox.run(&["decrypt", "a.yaml"]).ok().stdout;
    assert_eq!(
        opened,
        "a: 1\n# typed\nb:\n    # typed, too\n    - x\n    - z\n"
    );
    // Ciphertext that does not decrypt is not sealed once more, but is told of.
    let line = sandbox
        .read("a.yaml")
        .lines()
        .find(|line| line.starts_with('#'))
        .unwrap()
        .to_owned();
    sandbox.replace("a.yaml", &line, &line.replace("data:", "data:AAAA"));
    let said = ["a.yaml:2", "altered", "throughout"];
    sandbox.run(&["encrypt", "a.yaml"]).ok().says(&said);
}

#[test]
fn the_creation_rule_that_fits_decides_on_readers_and_selection() {
    let sandbox = Sandbox::empty();
    let (alice, bob) = (recipient("alice"), recipient("bob"));
    sandbox.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^conf/\n    encrypted_regex: ^b$\n    age: {alice},{bob}\n  \
             - path_regex: \\.none$\n    encrypted_regex: ^nothing$\n    age: {alice}\n  \
             - path_regex: \\.pgp$\n    pgp: ABCD\n"
        ),
    );
    sandbox.write("conf/x.json", "{\"a\": \"open\", \"b\": \"hidden\"}\n");
    sandbox.run(&["encrypt", "conf/x.json"]).ok().says(&["(b)"]);
    let sealed = sandbox.read("conf/x.json");
    assert!(sealed.contains("open") && !sealed.contains("hidden"));
    assert!(sealed.contains(&alice) && sealed.contains(&bob));
    // From another folder, too, and without a fitting rule for nobody.
    sandbox.write("conf/y.json", "{\"a\": \"open\", \"b\": \"hidden\"}\n");
    let mut command = sandbox.command();
    command.current_dir(sandbox.home());
    command.args(["encrypt"]).arg(sandbox.path("conf/y.json"));
    assert!(command.output().unwrap().status.success());
    sandbox.write("other.json", "{\"a\": 1}\n");
    sandbox.refuses(
        &["encrypt", "other.json"],
        2,
        &["nobody", "no creation rule"],
    );
    sandbox.write("all.none", "bytes");
    sandbox.run(&["encrypt", "all.none"]).ok();
    sandbox.write("x.pgp", "bytes");
    sandbox.refuses(&["encrypt", "x.pgp"], 1, &["E0127", "pgp"]);
}

#[test]
fn a_file_of_which_nothing_would_be_encrypted_is_refused() {
    let sandbox = Sandbox::project();
    sandbox.write("envs/dev/extra.json", "{\"a\": \"open\"}\n");
    let words = ["E0133", "encrypted_regex"];
    sandbox.refuses(&["encrypt", "envs/dev/extra.json"], 1, &words);
}

#[test]
fn a_file_in_a_project_is_for_the_readers_of_its_environment() {
    let sandbox = Sandbox::project();
    sandbox.write("envs/dev/tls.key", CANARY);
    sandbox.write("tls.key", CANARY);
    sandbox
        .run(&["encrypt", "envs/dev/tls.key"])
        .ok()
        .says(&["for "]);
    sandbox.refuses(&["encrypt", "tls.key"], 2, &["nobody", "-e ENV"]);
    sandbox
        .run(&["encrypt", "tls.key", "-e", "dev"])
        .ok()
        .says(&["for alice"]);
    for name in ["tls.key", "envs/dev/tls.key"] {
        assert!(!sandbox.read(name).contains(CANARY));
        assert_eq!(sandbox.run(&["decrypt", name]).ok().stdout, CANARY);
    }
}

#[test]
fn without_its_identity_a_file_stays_closed_and_the_readers_are_named() {
    let sandbox = Sandbox::empty();
    sandbox.write("a.json", format!("{{\"a\": \"{CANARY}\"}}"));
    sandbox
        .run(&["encrypt", "-r", &recipient("alice"), "a.json"])
        .ok();
    sandbox.become_reader("bob");
    let short = &recipient("alice")[..7];
    sandbox.refuses(&["decrypt", "a.json"], 12, &["E0112", "a.json", short]);
    fs::remove_file(sandbox.home().join(".config/sops/age/keys.txt")).unwrap();
    let words = ["E0101", "SOPS_AGE_KEY_FILE", "sealctl key new"];
    sandbox.refuses(&["decrypt", "a.json"], 11, &words);
    // Where SOPS would find it, it is found.
    let key = identity("alice");
    let variables = [("SOPS_AGE_KEY_FILE", key.as_os_str())];
    sandbox.run_as(&["decrypt", "a.json"], "", &variables).ok();
}

#[test]
#[ignore = "needs the real sops: make test"]
fn an_ssh_key_seals_and_opens_a_file() {
    let sandbox = Sandbox::empty();
    let folder = sandbox.home().join(".ssh");
    fs::create_dir(&folder).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(folder.join("id_ed25519"))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let public = fs::read_to_string(folder.join("id_ed25519.pub")).unwrap();
    sandbox.write("a.env", "A=b\n");
    sandbox.run(&["encrypt", "-r", public.trim(), "a.env"]).ok();
    assert_eq!(sandbox.run(&["decrypt", "a.env"]).ok().stdout, "A=b\n");
    assert_eq!(real(&sandbox, &["decrypt", "a.env"]), b"A=b\n");
    // The cluster opens no such document.
    let document = "sealctl: v1\napp: web\nenvironment: dev\nsecrets:\n  A: b\n";
    sandbox.write("web.yaml", document);
    let words = ["X25519"];
    sandbox.refuses(&["encrypt", "-r", public.trim(), "web.yaml"], 2, &words);
}

#[test]
fn the_format_can_be_said_where_no_name_says_it() {
    let sandbox = Sandbox::empty();
    let alice = recipient("alice");
    let call = ["encrypt", "-r", &alice, "-", "--input-type", "dotenv"];
    let sealed = sandbox.run_with(&call, "A=b\n").ok().stdout;
    assert!(sealed.contains("A=ENC[") && sealed.contains("sops_mac"));
    let call = ["decrypt", "-", "--input-type", "dotenv"];
    assert_eq!(sandbox.run_with(&call, &sealed).ok().stdout, "A=b\n");
    sandbox.refuses(&["decrypt", "x", "--input-type", "toml"], 2, &["dotenv"]);
}

#[test]
fn all_sealed_files_of_a_folder_are_opened_and_one_broken_file_keeps_no_other_from_it() {
    let sandbox = Sandbox::project();
    let alice = recipient("alice");
    for number in 0..30 {
        let name = format!("many/{}/{number}.json", number % 3);
        sandbox.write(&name, format!("{{\"n\": \"{number}\"}}\n"));
        sandbox.run(&["encrypt", "-r", &alice, &name]).ok();
    }
    sandbox.write(
        "many/open.json",
        "{\"x\": {\"sops\": \"a word\", \"lastmodified\": 1}}\n",
    );
    sandbox.write("many/.git/7.json", sandbox.read("many/1/7.json"));
    std::os::unix::fs::symlink(sandbox.path("many"), sandbox.path("many/again")).unwrap();
    sandbox
        .run(&["decrypt", "many", "envs", "--out", "plain"])
        .ok()
        .says(&["32 files into plain"]);
    assert_eq!(sandbox.read("plain/1/7.json"), "{\"n\": \"7\"}\n");
    assert!(sandbox.read("plain/dev/web.yaml").contains(CANARY));
    let absent = ["plain/open.json", "plain/.git", "plain/again"];
    assert!(absent.iter().all(|path| !sandbox.path(path).exists()));

    // Two are broken: one is cut off, one has another MAC.
    let text = sandbox.read("many/2/5.json");
    sandbox.write("many/2/5.json", &text[..text.len() - 9]);
    sandbox.replace("many/0/3.json", "\"n\"", "\"m\"");
    let ran = sandbox.run(&["decrypt", "many", "--out", "second"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let ran = ran.says(&["many/2/5.json", "many/0/3.json", "E0134", "2 of 30"]);
    assert!(!ran.stderr.contains("many/1/"), "{}", ran.stderr);
    assert!(sandbox.path("second/2/8.json").exists());
    assert!(!sandbox.path("second/2/5.json").exists());
}

#[test]
fn two_files_of_one_name_are_not_written_over_each_other() {
    let sandbox = Sandbox::project();
    let call = [
        "decrypt",
        "envs/dev/web.yaml",
        "envs/prod/web.yaml",
        "--out",
        "plain",
    ];
    sandbox.refuses(&call, 2, &["two files", "envs/prod/web.yaml"]);
    sandbox.refuses(
        &["decrypt", "keys", "--out", "plain"],
        2,
        &["no sealed file"],
    );
}

#[test]
fn what_a_rule_leaves_readable_is_said() {
    let sandbox = Sandbox::project();
    let text = format!("password={CANARY}\nAPI_KEY=open\n");
    sandbox.write("envs/dev/mix.env", text);
    let ran = sandbox.run(&["encrypt", "envs/dev/mix.env"]).ok();
    assert!(sandbox.read("envs/dev/mix.env").contains("API_KEY=open"));
    ran.says(&["1 value stays readable", "API_KEY", "encrypted_regex"]);
}
