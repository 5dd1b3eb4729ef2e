//! What is refused: each with its exit code, a message that names the place, and no file changed.
#![expect(clippy::disallowed_methods, reason = "spoils key files")]

use age::secrecy::SecretString;

use crate::sandbox::{CANARY, Sandbox, assert_hides, recipient};

const DEV: &str = "envs/dev/web.yaml";
/// Commands that open a document.
const OPENING: [&[&str]; 4] = [
    &["decrypt", DEV],
    &["get", "TOKEN", "-e", "dev"],
    &["show", "-e", "dev"],
    &["edit", "-e", "dev"],
];

fn refused_by_all(sandbox: &Sandbox, code: i32, words: &[&str]) {
    for command in OPENING {
        sandbox.refuses(command, code, words);
    }
    let run = ["run", "-e", "dev", "--", "sh", "-c", "exit 0"];
    sandbox.refuses(&run, 125, words);
}

#[test]
fn missing_key() {
    let sandbox = Sandbox::project();
    std::process::Command::new("rm")
        .args(["-r"])
        .arg(sandbox.home().join(".config"))
        .status()
        .unwrap();
    refused_by_all(
        &sandbox,
        11,
        &["E0101", "readers", "alice", "sealctl key new"],
    );
}

#[test]
fn a_key_file_that_is_no_key_file_is_named() {
    let sandbox = Sandbox::project();
    let keys = sandbox.home().join(".config/sops/age/keys.txt");
    std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("echo garbage > {}", keys.display()))
        .status()
        .unwrap();
    sandbox.refuses(
        &["decrypt", DEV],
        11,
        &["~/.config/sops/age/keys.txt", "not an age identity"],
    );
}

#[test]
fn not_a_reader() {
    let sandbox = Sandbox::project();
    sandbox.become_reader("bob");
    let words = [
        "E0112",
        "tried",
        "~/.config/sops/age/keys.txt",
        "readers",
        "alice",
        "sealctl rekey envs/dev/web.yaml",
    ];
    refused_by_all(&sandbox, 12, &words);
}

#[test]
fn a_broken_source_beside_a_good_one_is_not_mentioned() {
    let sandbox = Sandbox::project();
    let variables = [("SOPS_AGE_KEY_FILE", "/nowhere/key".as_ref())];
    let ran = sandbox.run_as(&["get", "HOST"], "", &variables).ok();
    assert_eq!(ran.stderr, "");
    sandbox.become_reader("bob");
    let ran = sandbox.run_as(&["get", "HOST"], "", &variables);
    assert!(
        ran.code == 12 && ran.stderr.contains("/nowhere/key"),
        "{}",
        ran.stderr
    );
}

#[test]
fn mac_mismatch() {
    let sandbox = Sandbox::project();
    sandbox.replace(DEV, "HOST: db", "HOST: evil");
    refused_by_all(&sandbox, 13, &["E0130", DEV]);
    sandbox.refuses(&["set", "A=b", "--config", "-e", "dev"], 13, &["E0130"]);
    sandbox.refuses(&["check", "-e", "dev"], 1, &["E0130"]);
}

#[test]
fn swapped_values() {
    let sandbox = Sandbox::project();
    let set = ["set", "OTHER", "-", "-e", "dev"];
    sandbox.run_with(&set, "second").ok();
    let text = sandbox.read(DEV);
    let swapped = text
        .replace("  TOKEN:", "  X:")
        .replace("  OTHER:", "  TOKEN:")
        .replace("  X:", "  OTHER:");
    sandbox.write(DEV, swapped);
    refused_by_all(&sandbox, 13, &["E0130", "secrets."]);
    sandbox.refuses(&["encrypt", DEV, "--yes"], 13, &["E0130"]);
}

#[test]
fn truncated_file() {
    let sandbox = Sandbox::project();
    let text = sandbox.read(DEV);
    for part in [
        text.len() - 20,
        text.len() / 2,
        text.find("sops:").unwrap(),
        60,
    ] {
        sandbox.write(DEV, &text[..part]);
        for command in [
            &["decrypt", DEV][..],
            &["encrypt", DEV, "--yes"],
            &["set", "A=b", "-e", "dev"],
        ] {
            let before = sandbox.files();
            let ran = sandbox.run(command);
            let is_first_lines = part == 60;
            assert!(ran.code != 0 || is_first_lines, "{part}: {command:?}");
            if ran.code != 0 {
                assert_eq!(sandbox.files(), before);
                assert_hides(&ran, CANARY);
            }
        }
    }
    sandbox.write(DEV, &text[..text.find("sops:").unwrap()]);
    sandbox.refuses(&["encrypt", DEV], 13, &["E0131", "cut off"]);
}

#[test]
fn unknown_field_with_the_nearest_name() {
    let sandbox = Sandbox::project();
    sandbox.write(
        DEV,
        "sealctl: v1\napp: web\nenvironment: dev\nsecret:\n  A: b\n",
    );
    sandbox.refuses(
        &["encrypt", DEV],
        1,
        &["envs/dev/web.yaml:4", "did you mean secrets?"],
    );
    sandbox.refuses(&["check", "-e", "dev"], 1, &["did you mean secrets?"]);
}

#[test]
fn duplicate_key() {
    let sandbox = Sandbox::project();
    sandbox.replace(DEV, "  HOST: db", "  HOST: db\n  HOST: db");
    refused_by_all(&sandbox, 1, &["envs/dev/web.yaml:7", "twice"]);
    sandbox.refuses(&["encrypt", DEV], 1, &["twice"]);
}

#[test]
fn plaintext_where_ciphertext_must_be() {
    let sandbox = Sandbox::project();
    sandbox.replace(DEV, "secrets:", &format!("secrets:\n  API_KEY: {CANARY}"));
    refused_by_all(
        &sandbox,
        14,
        &[
            "E0140",
            "envs/dev/web.yaml:10",
            "API_KEY is plaintext",
            "sealctl encrypt",
        ],
    );
    for command in [
        &["render", "--sealed", "-e", "dev"][..],
        &["cluster", "push", "-e", "dev"],
    ] {
        sandbox.refuses(command, 14, &["E0140"]);
    }
    sandbox.refuses(&["check", "-e", "dev"], 1, &["E0140"]);
}

#[test]
fn plaintext_that_only_the_selection_rule_of_the_file_covers_is_handed_to_no_cluster() {
    let sandbox = Sandbox::project();
    let superuser = "superuser:\n  from: deployment/web\n  username: admin\n  password: pass\n";
    sandbox.replace(DEV, "secrets:", &format!("{superuser}secrets:"));
    sandbox.run(&["encrypt", "--yes", DEV]).ok();
    let typed = format!("  fields:\n    password: {CANARY}\n  username: admin");
    sandbox.replace(DEV, "  username: admin", &typed);
    for command in [
        &["render", "--sealed", "-e", "dev"][..],
        &["cluster", "push", "-e", "dev"],
    ] {
        let ran = sandbox.refuses(command, 14, &["E0140", "superuser.fields.password"]);
        assert_hides(&ran, CANARY);
    }
}

#[test]
fn a_document_that_is_not_sealed_at_all() {
    let sandbox = Sandbox::project();
    sandbox.write(
        DEV,
        format!("sealctl: v1\napp: web\nenvironment: dev\nsecrets:\n  A: {CANARY}\n"),
    );
    refused_by_all(&sandbox, 14, &["E0140", "is not sealed"]);
    sandbox.refuses(&["render", "--sealed", "-e", "dev"], 14, &["E0140"]);
}

#[test]
fn wrong_environment_app_or_namespace_in_the_file() {
    let sandbox = Sandbox::project();
    let head = |app: &str, environment: &str, namespace: &str| {
        format!("sealctl: v1\napp: {app}\nenvironment: {environment}\nnamespace: {namespace}\n")
    };
    sandbox.write(DEV, head("web", "prod", "web"));
    sandbox.refuses(&["encrypt", DEV], 1, &["E0205", "envs/dev/web.yaml:3"]);
    sandbox.write(DEV, head("other", "dev", "web"));
    sandbox.refuses(&["encrypt", DEV], 1, &["E0203", "web.yaml"]);
    sandbox.write(DEV, head("web", "dev", "Not_Valid"));
    sandbox.refuses(&["encrypt", DEV], 1, &["E0202", "namespace"]);
    // A sealed file that was moved to another environment is refused as well.
    let sandbox = Sandbox::project();
    let moved = sandbox.read(DEV);
    sandbox.write("envs/prod/web.yaml", moved);
    let render = ["render", "--sealed", "-e", "prod"];
    sandbox.refuses(
        &render,
        1,
        &[
            "E0205",
            "environment \"dev\" does not match the directory envs/prod",
        ],
    );
    sandbox.refuses(&["run", "-e", "prod", "--", "true"], 125, &["E0205"]);
}

#[test]
fn a_value_for_a_variable_with_nul_or_too_long() {
    let sandbox = Sandbox::project();
    let nul = format!("{CANARY}\0");
    let set = ["set", "K", "-", "-e", "dev"];
    sandbox.refuses_with(&set, &nul, 1, &["E0218", "K holds a NUL byte"]);
    let long = CANARY.repeat(7000);
    sandbox.refuses_with(&set, &long, 1, &["E0217", "K is 147", "131071"]);
}

#[test]
fn bytes_that_are_no_text() {
    let sandbox = Sandbox::project();
    sandbox.write("binary", [0xff, 0xfe, 0x00]);
    let set = ["set", "K", "--from-file", "binary", "-e", "dev"];
    sandbox.refuses(&set, 1, &["base64", "decode"]);
}

#[test]
fn object_over_1_mib() {
    let sandbox = Sandbox::project();
    let value = "x".repeat(100_000);
    let many: String = (0..11).map(|n| format!("  K{n}: {value}\n")).collect();
    sandbox.write(
        DEV,
        format!("sealctl: v1\napp: web\nenvironment: dev\nsecrets:\n{many}"),
    );
    sandbox.refuses(&["encrypt", DEV], 1, &["1048576"]);
    // Plaintext below the limit, ciphertext above it.
    let many: String = (0..9).map(|n| format!("  K{n}: {value}\n")).collect();
    sandbox.write(
        DEV,
        format!("sealctl: v1\napp: web\nenvironment: dev\nsecrets:\n{many}"),
    );
    sandbox.refuses(&["encrypt", DEV], 1, &["E0293", "the limit is 1048576"]);
}

#[test]
fn invalid_names() {
    let sandbox = Sandbox::project();
    sandbox.refuses(&["set", "1A=b", "-e", "dev"], 2, &["E0210", "\"1A\""]);
    sandbox.refuses(
        &["set", "LD_PRELOAD=b", "-e", "dev"],
        1,
        &["E0216", "allow"],
    );
    sandbox.refuses(
        &["set", "password=b", "--config", "-e", "dev"],
        1,
        &["E0215"],
    );
    sandbox.refuses(&["get", "A", "-e", "No_Name"], 2, &["no environment"]);
    let empty = Sandbox::empty();
    empty.refuses(
        &["init", "--app", "Not_Valid"],
        2,
        &["\"Not_Valid\" is not a valid name"],
    );
    empty.refuses(
        &["init", "--app", "web", "--env", "dev,Prod"],
        2,
        &["\"Prod\""],
    );
}

#[test]
fn keys_of_an_environment_that_are_empty() {
    let sandbox = Sandbox::project();
    sandbox.write(
        "envs/dev/new.yaml",
        "sealctl: v1\napp: new\nenvironment: dev\nsecrets:\n  A: b\n",
    );
    std::process::Command::new("rm")
        .arg(sandbox.path("keys/dev/alice.pub"))
        .status()
        .unwrap();
    sandbox.refuses(
        &["encrypt"],
        10,
        &["E0120", "keys/dev/", "key new --request --env dev"],
    );
    sandbox.refuses(&["check", "-e", "dev"], 1, &["E0120"]);
}

#[test]
fn keys_of_an_environment_that_hold_a_private_key() {
    let sandbox = Sandbox::project();
    sandbox.write(
        "envs/dev/new.yaml",
        "sealctl: v1\napp: new\nenvironment: dev\nsecrets:\n  A: b\n",
    );
    for name in ["bob.pub", "bob.key", "notes"] {
        let mut copy = std::process::Command::new("cp");
        let to = sandbox.path(&format!("keys/dev/{name}"));
        copy.arg(crate::sandbox::identity("bob"))
            .arg(&to)
            .status()
            .unwrap();
        let ran = sandbox.refuses(&["encrypt"], 10, &["E0121", name, "git rm"]);
        assert!(!ran.stderr.contains("AGE-SECRET-KEY-1"));
        sandbox.refuses(&["check", "-e", "dev"], 1, &["E0121"]);
        std::process::Command::new("rm").arg(&to).status().unwrap();
    }
}

#[test]
fn public_keys_that_are_none_or_stand_there_twice() {
    let sandbox = Sandbox::project();
    sandbox.write(
        "envs/dev/new.yaml",
        "sealctl: v1\napp: new\nenvironment: dev\nsecrets:\n  A: b\n",
    );
    sandbox.write("keys/dev/bob.pub", "age1notakey\n");
    sandbox.refuses(&["encrypt"], 10, &["E0122", "keys/dev/bob.pub"]);
    sandbox.write("keys/dev/bob.pub", recipient("alice"));
    sandbox.refuses(&["encrypt"], 10, &["E0124", "keys/dev/alice.pub"]);
    sandbox.write("keys/dev/bob.pub", "# nothing\n");
    sandbox.refuses(&["encrypt"], 10, &["E0122", "no recipient"]);
}

#[test]
fn a_file_that_cannot_be_replaced_stays_as_it_is() {
    let sandbox = Sandbox::project();
    sandbox.refuses(
        &["decrypt", "envs/dev/nothing.yaml"],
        1,
        &["E0530", "nothing.yaml"],
    );
    sandbox.refuses(&["decrypt", "envs"], 2, &["--out FOLDER"]);
    sandbox.write("notes.txt", "a: b");
    sandbox.refuses(&["decrypt", "notes.txt"], 14, &["E0140", "not sealed"]);
    sandbox.refuses(&["set", "A=b", "-C", "nowhere"], 10, &["E0510"]);
}

#[test]
fn questions_without_a_terminal_name_the_flag() {
    let sandbox = Sandbox::project();
    sandbox.refuses(
        &["set", "A", "-e", "dev"],
        2,
        &["E0521", "standard input is not a terminal"],
    );
    sandbox.refuses(
        &["set", "A", "-e", "dev", "--no-input"],
        2,
        &["--no-input was given"],
    );
}

/// A key file that `passphrase` opens, in the place of that of the reader.
fn lock_keys(sandbox: &Sandbox, passphrase: &str) {
    use std::io::Write as _;
    let path = sandbox.home().join(".config/sops/age/keys.txt");
    let passphrase = SecretString::from(passphrase);
    let mut recipient = age::scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(2);
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let armor = age::armor::Format::AsciiArmor;
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), armor).unwrap();
    let mut writer = encryptor.wrap_output(armor).unwrap();
    writer.write_all(&std::fs::read(&path).unwrap()).unwrap();
    let locked = writer.finish().unwrap().finish().unwrap();
    std::fs::write(path, locked).unwrap();
}

#[test]
fn a_wrong_passphrase_and_a_mistyped_key_are_told_from_somebody_who_is_no_reader() {
    let sandbox = Sandbox::project();
    sandbox.write("a.json", "{\"token\": \"one\"}");
    sandbox.run(&["encrypt", "-e", "dev", "a.json"]).ok();
    let path = sandbox.home().join(".config/sops/age/keys.txt");
    let good = std::fs::read_to_string(&path).unwrap();
    let place = good.find("AGE-SECRET-KEY-1").unwrap() + 30;
    let other = if &good[place..=place] == "Q" {
        "P"
    } else {
        "Q"
    };
    let mistyped = format!("{}{other}{}", &good[..place], &good[place + 1..]);
    std::fs::write(&path, &mistyped).unwrap();
    for command in [&["get", "TOKEN", "-e", "dev"][..], &["decrypt", "a.json"]] {
        let words = ["E0101", "keys.txt is mistyped or cut off", "backup"];
        let ran = sandbox.refuses(command, 11, &words);
        assert!(
            !ran.stderr.contains("fix   sealctl key new"),
            "{}",
            ran.stderr
        );
    }
    // One that is right beside it does not help, and is not what is wrong.
    let bob = std::fs::read_to_string(crate::sandbox::identity("bob")).unwrap();
    std::fs::write(&path, format!("{bob}{mistyped}")).unwrap();
    let words = ["E0112", "keys.txt is mistyped or cut off"];
    sandbox.refuses(&["get", "TOKEN", "-e", "dev"], 12, &words);
    std::fs::write(&path, &good).unwrap();
    lock_keys(&sandbox, "right");
    let words = [
        "keys.txt has to be opened first",
        "SOPS_AGE_KEY_CMD=\"age --decrypt ~/",
    ];
    sandbox.refuses(&["get", "TOKEN", "-e", "dev"], 11, &words);
    let words = ["E0112", "keys.txt needs its passphrase", "in a terminal"];
    sandbox.refuses(&["decrypt", "--no-input", "a.json"], 12, &words);
    let line = format!(
        "{} decrypt a.json --reveal --yes",
        env!("CARGO_BIN_EXE_sealctl")
    );
    let on = |typed: &str| {
        let typed = [("passphrase of the key file", typed)];
        crate::terminal::on_terminal(&sandbox, &line, "false".as_ref(), &typed)
    };
    let (code, said) = on("wrong\n");
    assert_eq!(code, 12, "{said}");
    assert!(
        said.contains("the passphrase that was typed does not open"),
        "{said}"
    );
    assert!(!said.contains("make you a reader"), "{said}");
    let (code, said) = on("right\n");
    assert!(code == 0 && said.contains("one"), "{said}");
}
