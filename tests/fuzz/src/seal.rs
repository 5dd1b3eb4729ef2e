//! Sealing any file, opening it again, and changing what was opened.

use sealctl::crypto::mac::Coverage;
use sealctl::format::{Format, Layout, parse};
use sealctl::secret::Secret;
use sealctl::sops::{self, ChangeError, Draft, Edit, Opened, Readers, Rule, SealError, Terms};

use super::keyed::identities;
use super::sealed::{check_opened, with_format};
use super::tree::{assert_same, choice, hard_text, leaf, leaf_paths};

/// Rules under which files are sealed.
const RULES: [(&str, &str); 5] = [
    ("unencrypted_suffix", "_unencrypted"),
    ("encrypted_regex", "^(secrets|password|a)$"),
    ("unencrypted_regex", "[0-9b]"),
    ("encrypted_comment_regex", "secret"),
    ("unencrypted_comment_regex", "clear"),
];

/// What can be read can be sealed; it opens to the same values, also after changes. The byte behind that
/// of the format chooses the rule.
pub fn check(data: &[u8]) {
    let Some((format, rest)) = with_format(data) else {
        return;
    };
    let Some((rule, text)) = rest.split_first() else {
        return;
    };
    let plain = Secret::new(text.to_vec());
    let read = parse(format, &plain);
    let result = sops::seal_for(format, &plain, &readers(), &terms(*rule), now());
    let draft = match (result, &read) {
        (Ok(draft), _) => draft,
        (Err(SealError::Read(_)), Err(_)) => return,
        (Err(SealError::SealedAlready { .. }), _) => return,
        // A key that no quotes fit.
        (Err(SealError::Emit(_)), _) if format == Format::Ini => return,
        (Err(error), _) => {
            let text = String::from_utf8_lossy(text);
            panic!("{format}, rule {rule}: {error}\n{text}");
        }
    };
    let opened = draft.sealed.open(&draft.key).expect("opened before");
    if let Ok(read) = read {
        assert_same("sealed and opened", opened.documents(), &read, text);
    }
    check_opened(&opened);
    check_changes(&opened, text);
}

/// What was opened takes changes and new keys.
pub fn check_changes(opened: &Opened, seed: &[u8]) {
    let choice = choice(seed);
    let paths = leaf_paths(opened.tree());
    if let Some(path) = paths.get(choice % paths.len().max(1)).cloned() {
        let text = Secret::from_text(hard_text(choice / 64));
        let edit = match choice / 8 % 4 {
            0 => Edit::Unset { path },
            1 => Edit::Put {
                path,
                value: leaf(hard_text(choice / 64)),
            },
            _ => Edit::Set { path, text },
        };
        let edits = [edit];
        match opened.change(&edits, now()) {
            Ok(draft) => check_draft(&draft),
            Err(ChangeError::Seal(error)) => refused("change", opened, &error),
            Err(ChangeError::Edit(_)) => {}
        }
        if let Ok(plain) = opened.edit(&edits) {
            match opened.reseal(&plain, now()) {
                Ok(draft) => check_draft(&draft),
                Err(error) => refused("reseal", opened, &error),
            }
        }
    }
    match opened.rotate(&readers(), now()) {
        Ok(draft) => check_draft(&draft),
        Err(error) => refused("rotate", opened, &error),
    }
    let format = opened.sealed().format();
    if format == Format::Binary && opened.emit(format, Layout::default()).is_err() {
        // It has lost its one value, and no text stands for that.
        return;
    }
    match opened.reseal(&opened.text(), now()) {
        Ok(draft) => assert_same(
            "sealed again",
            draft
                .sealed
                .open(&draft.key)
                .expect("opened before")
                .documents(),
            opened.documents(),
            seed,
        ),
        Err(error) => refused("reseal unchanged", opened, &error),
    }
}

/// A refusal is one that the format explains, or keys of other services.
fn refused(what: &str, opened: &Opened, error: &SealError) {
    let format = opened.sealed().format();
    let explained = match error {
        SealError::Foreign { .. } => true,
        // A value that this format cannot hold was asked for.
        SealError::Emit(_) => matches!(format, Format::Dotenv | Format::Ini),
        _ => false,
    };
    let text = String::from_utf8_lossy(opened.sealed().text().expose());
    assert!(explained, "{what}, {format}: {error}\n{text}");
}

fn check_draft(draft: &Draft) {
    let opened = draft.sealed.clone().open(&draft.key);
    check_opened(&opened.expect("opened before"));
}

fn readers() -> Readers {
    Readers::one_group(&[identities()[0].recipient()])
}

fn terms(choice: u8) -> Terms {
    let (name, argument) = RULES[usize::from(choice) % RULES.len()];
    let rule = Rule::named(name, argument)
        .expect("a rule")
        .expect("a pattern");
    let coverage = match choice / 8 % 2 {
        0 => Coverage::All,
        _ => Coverage::EncryptedOnly,
    };
    Terms {
        rule,
        coverage,
        layout: Layout::default(),
    }
}

fn now<T: std::str::FromStr>() -> T
where
    T::Err: std::fmt::Debug,
{
    "2026-11-21T09:30:00Z".parse().expect("a time")
}
