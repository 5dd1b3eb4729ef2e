//! What a sealed file must be to be opened, what is said when it is not, and what edits look like.

use sealctl::crypto::{Identity, Recipient};
use sealctl::format::Format;
use sealctl::secret::Secret;
use sealctl::sops::{
    Edit, EditError, KeyError, MacFault, OpenError, Opened, ReadError, Rule, SealError, Sealed,
};
use sealctl::tree::Path;
use sealctl::trust::{self, Change, Stamp, Verdict, WriteError, Written};

const PLAIN: &str = "\
sealctl: v1
app: polls
environment: prod

config:
  HOST: postgres   # where it runs
  PORT: 5432

secrets:
  # from the vault
  PASSWORD: 'canary'
  TOKEN: other # trailing
";

fn now() -> jiff::Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn rule() -> Rule {
    Rule::environment().unwrap()
}

fn try_seal(plain: &str, recipients: &[Recipient]) -> Result<Written, WriteError> {
    let change = Change::New {
        format: Format::Yaml,
        plain: &Secret::from_text(plain),
        recipients,
        rule: &rule(),
    };
    trust::write(&change, &Stamp::after(None, now()))
}

fn seal(plain: &str) -> Written {
    try_seal(plain, &[Identity::generate().recipient()]).unwrap()
}

fn read(text: &str) -> Result<Sealed, ReadError> {
    Sealed::parse(Format::Yaml, &Secret::from_text(text))
}

/// Opens `text` with the key of `written`.
fn open(written: &Written, text: &str) -> Result<Opened, OpenError> {
    read(text).unwrap().open(&written.key)
}

/// The line of `key` in `text`, with its line break.
fn line<'a>(text: &'a str, key: &str) -> &'a str {
    text.split_inclusive('\n')
        .find(|line| line.trim_start().starts_with(key))
        .unwrap()
}

fn ciphertext<'a>(text: &'a str, key: &str) -> &'a str {
    let line = line(text, key);
    &line[line.find("ENC[").unwrap()..=line.find(']').unwrap()]
}

/// The plaintext of `plain` after `edits`, by way of sealing, editing and opening.
fn edited(plain: &str, edits: &[Edit]) -> String {
    let written = seal(plain);
    let opened = open(&written, &written.text).unwrap();
    let change = Change::Edits {
        opened: &opened,
        edits,
    };
    let again = trust::write(&change, &Stamp::after(Some(opened.sealed()), now())).unwrap();
    let text = open(&again, &again.text).unwrap().text();
    text.expose_text().unwrap().to_owned()
}

fn set(path: &[&str], text: &str) -> Edit {
    Edit::Set {
        path: Path::of(path.iter().copied()),
        text: Secret::from_text(text),
    }
}

fn unset(path: &[&str]) -> Edit {
    Edit::Unset {
        path: Path::of(path.iter().copied()),
    }
}

#[test]
fn a_file_is_refused_without_identity_and_to_who_is_no_reader() {
    let (alice, bob) = (Identity::generate(), Identity::generate());
    let sealed = try_seal(PLAIN, &[alice.recipient()]).unwrap().sealed;
    let recipients = vec![alice.recipient().to_string()];
    assert_eq!(
        sealed.data_key(&[]),
        Err(KeyError::NoIdentity {
            recipients: recipients.clone()
        })
    );
    assert_eq!(
        sealed.data_key(std::slice::from_ref(&bob)),
        Err(KeyError::NotARecipient { recipients })
    );
    assert!(sealed.data_key(&[bob, alice]).is_ok());
}

#[test]
fn a_damaged_data_key_is_told_from_somebody_elses() {
    let alice = Identity::generate();
    let written = try_seal(PLAIN, &[alice.recipient()]).unwrap();
    let body = written
        .text
        .lines()
        .find(|line| line.trim_start().starts_with("YWdl"))
        .unwrap();
    let sealed = read(&written.text.replace(body, &body.replace("YWdl", "AAAA"))).unwrap();
    assert!(matches!(
        sealed.data_key(&[alice]),
        Err(KeyError::Damaged { .. })
    ));
}

#[test]
fn swapped_values_are_refused_by_the_name_of_the_key() {
    let written = seal(PLAIN);
    let (one, two) = (
        ciphertext(&written.text, "PASSWORD"),
        ciphertext(&written.text, "TOKEN"),
    );
    let swapped = written
        .text
        .replace(one, "@")
        .replace(two, one)
        .replace('@', two);
    let error = open(&written, &swapped).unwrap_err();
    assert!(error.to_string().contains("secrets.PASSWORD"), "{error}");
}

#[test]
fn a_changed_clear_value_is_a_mac_mismatch() {
    let written = seal(PLAIN);
    let changed = written.text.replace("postgres", "elsewhere");
    assert_eq!(
        open(&written, &changed).unwrap_err(),
        OpenError::Mac(MacFault::Mismatch)
    );
}

#[test]
fn a_removed_value_and_a_removed_mac_are_refused() {
    let written = seal(PLAIN);
    let removed = written.text.replace(line(&written.text, "TOKEN"), "");
    assert_eq!(
        open(&written, &removed).unwrap_err(),
        OpenError::Mac(MacFault::Mismatch)
    );
    let removed = written.text.replace(line(&written.text, "mac:"), "");
    assert_eq!(
        open(&written, &removed).unwrap_err(),
        OpenError::Mac(MacFault::Missing)
    );
}

#[test]
fn another_date_damages_the_mac() {
    let written = seal(PLAIN);
    let later = written
        .text
        .replace("lastmodified: \"2026", "lastmodified: \"2027");
    assert_eq!(
        open(&written, &later).unwrap_err(),
        OpenError::Mac(MacFault::Damaged)
    );
}

#[test]
fn a_file_cut_anywhere_never_opens() {
    let written = seal(PLAIN);
    let last = written.text.trim_end().len();
    for (end, _) in written.text.char_indices().filter(|(end, _)| *end < last) {
        let cut = &written.text[..end];
        let opened = read(cut).ok().filter(|sealed| {
            matches!(trust::verify(sealed, &written.key), Verdict::Valid { .. })
                && sealed.clone().open(&written.key).is_ok()
        });
        // Without the end of the version at the end of the block nothing that is authenticated is missing.
        let version = written.text.rfind("version:").unwrap();
        assert!(opened.is_none() || end > version, "cut at {end}");
    }
}

#[test]
fn plaintext_among_ciphertext_is_named_and_can_be_sealed() {
    let written = seal(PLAIN);
    let typed = written.text.replace(
        line(&written.text, "TOKEN"),
        &format!("{}  NEW: typed\n", line(&written.text, "TOKEN")),
    );
    let error = open(&written, &typed).unwrap_err();
    assert!(
        matches!(&error, OpenError::PlainLeaf { path, .. } if *path == Path::of(["secrets", "NEW"])),
        "{error}"
    );
    let sealed = read(&typed).unwrap();
    let plain = sealed.plain_paths();
    let paths: Vec<_> = plain.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(paths, [Path::of(["secrets", "NEW"])]);

    let partly = sealed.open_partly(&written.key).unwrap();
    assert_eq!(
        partly.mac,
        Ok(()),
        "without the typed value the MAC is right"
    );
    let change = Change::Text {
        opened: &partly.opened,
        plain: &partly.opened.text(),
    };
    let again = trust::write(&change, &Stamp::after(Some(partly.opened.sealed()), now())).unwrap();
    assert!(!again.text.contains("typed"));
    assert_eq!(
        line(&again.text, "PASSWORD"),
        line(&written.text, "PASSWORD")
    );
    assert!(open(&again, &again.text).is_ok());
}

#[test]
fn a_typed_value_in_the_place_of_a_sealed_one_leaves_the_mac_wrong() {
    let written = seal(PLAIN);
    let typed = written
        .text
        .replace(ciphertext(&written.text, "TOKEN"), "typed");
    let partly = read(&typed).unwrap().open_partly(&written.key).unwrap();
    assert_eq!(partly.mac, Err(MacFault::Mismatch));
    assert_eq!(partly.plain.len(), 1);
}

#[test]
fn a_duplicate_key_and_a_plain_file_are_refused() {
    let written = seal(PLAIN);
    let double = written
        .text
        .replace("  PORT: 5432\n", "  PORT: 5432\n  PORT: 5432\n");
    let error = read(&double).unwrap_err().to_string();
    assert_eq!(error, "line 8, column 3: the key stands twice in one map");
    assert_eq!(read(PLAIN).unwrap_err(), ReadError::NotSealed);
}

#[test]
fn a_sealed_file_is_not_sealed_twice_and_nobody_is_no_reader() {
    let again = try_seal(&seal(PLAIN).text, &[Identity::generate().recipient()]).unwrap_err();
    assert!(
        matches!(again, WriteError::Seal(SealError::SealedAlready { .. })),
        "{again}"
    );
    assert_eq!(
        try_seal(PLAIN, &[]).unwrap_err(),
        WriteError::Seal(SealError::NoRecipient)
    );
}

#[test]
fn the_seal_notices_what_the_mac_does_not() {
    let written = seal(PLAIN);
    let renamed = written.text.replace("  PORT:", "  PORTS:");
    let opened = open(&written, &renamed).expect("the MAC does not cover names of clear values");
    assert_eq!(
        trust::verify(opened.sealed(), &written.key),
        Verdict::Invalid
    );
    let reader = written.text.replace("recipient: age1", "recipient: age1x");
    assert_eq!(
        trust::verify(&read(&reader).unwrap(), &written.key),
        Verdict::Invalid
    );
    let older = written.text.replace("revision: 1", "revision: 7");
    assert_eq!(
        trust::verify(&read(&older).unwrap(), &written.key),
        Verdict::Invalid
    );
    let comment = written.text.replace("# where it runs", "# elsewhere");
    assert!(matches!(
        trust::verify(&read(&comment).unwrap(), &written.key),
        Verdict::Valid { .. }
    ));
}

#[test]
fn edits_go_where_they_belong_and_leave_the_rest() {
    let changed = |edits: &[Edit]| edited(PLAIN, edits);
    assert_eq!(
        changed(&[set(&["secrets", "PASSWORD"], "new")]),
        PLAIN.replace("'canary'", "'new'")
    );
    assert_eq!(
        changed(&[set(&["config", "PORT"], "5433")]),
        PLAIN.replace("5432", "5433")
    );
    assert_eq!(
        changed(&[set(&["config", "PORT"], "0123")]),
        PLAIN.replace("5432", "\"0123\"")
    );
    assert_eq!(
        changed(&[set(&["secrets", "NEW"], "a: b")]),
        format!("{PLAIN}  NEW: 'a: b'\n")
    );
    assert_eq!(
        changed(&[set(&["config", "NEW"], "two\nlines\n")]),
        PLAIN.replace("5432\n", "5432\n  NEW: |\n    two\n    lines\n")
    );
    assert_eq!(
        changed(&[set(&["superuser", "password"], "x")]),
        format!("{PLAIN}superuser:\n  password: x\n")
    );
    assert_eq!(
        changed(&[unset(&["config", "PORT"])]),
        PLAIN.replace("  PORT: 5432\n", "")
    );
}

#[test]
fn flow_style_and_empty_sections_take_new_values() {
    let both = [set(&["config", "A"], "1"), set(&["secrets", "B"], "x, y")];
    assert_eq!(
        edited("config: { X: y }\nsecrets: {}\n", &both),
        "config: { X: y, A: \"1\" }\nsecrets:\n    B: x, y\n"
    );
    assert_eq!(
        edited("config:\nsecrets: # none yet\n", &both),
        "config:\n    A: \"1\"\nsecrets: # none yet\n    B: x, y\n"
    );
    assert_eq!(
        edited(
            "secrets:\n  B: x\n",
            &[unset(&["secrets", "B"]), set(&["secrets", "C"], "z")]
        ),
        "secrets:\n  C: z\n"
    );
    assert_eq!(
        edited("secrets: {B: x, C: z}\n", &[unset(&["secrets", "B"])]),
        "secrets: {C: \"z\"}\n"
    );
}

#[test]
fn an_edit_that_cannot_be_made_names_the_key() {
    let written = seal(PLAIN);
    let opened = open(&written, &written.text).unwrap();
    let fails = |edit: Edit| opened.edit(&[edit]).unwrap_err();
    let path = |keys: &[&str]| Path::of(keys.iter().copied());
    assert_eq!(
        fails(unset(&["secrets", "NONE"])),
        EditError::NoSuchKey {
            path: path(&["secrets", "NONE"])
        }
    );
    assert_eq!(
        fails(set(&["secrets"], "x")),
        EditError::NotAValue {
            path: path(&["secrets"])
        }
    );
    assert_eq!(
        fails(set(&["app", "x"], "x")),
        EditError::NotInAMap {
            path: path(&["app", "x"])
        }
    );
    assert_eq!(fails(set(&["sops", "mac"], "x")), EditError::Metadata);
}

#[test]
fn crlf_and_a_missing_last_line_break_are_kept_where_they_stand() {
    let crlf = PLAIN.replace('\n', "\r\n");
    assert_eq!(
        edited(&crlf, &[set(&["secrets", "PASSWORD"], "new")]),
        crlf.replace("canary", "new")
    );
    let written = seal("config:\n  A: |\n    text\nsecrets:\n  B: |\n    text");
    let text = open(&written, &written.text).unwrap().text();
    assert_eq!(
        text.expose_text(),
        Some("config:\n  A: |\n    text\nsecrets:\n  B: text\n")
    );
    let written = seal("secrets:\n  B: x\nconfig:\n  A: |\n    text");
    let text = open(&written, &written.text).unwrap().text();
    assert_eq!(
        text.expose_text(),
        Some("secrets:\n  B: x\nconfig:\n  A: text\n")
    );
}
