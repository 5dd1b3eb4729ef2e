//! The order of the steps, and what each of them refuses.

use super::*;
use crate::crypto::Recipient;
use crate::sops::Rule;
use crate::trust::{Change, Stamp};

const PLAIN: &str = "\
sealctl: v1
app: polls
environment: prod
namespace: web

config:
  HOST: postgres
secrets:
  PASS: canary-5e1f
  OTHER: second-5e1f
derived:
  URL: postgres://{{ PASS | urlencode }}@{{ HOST }}
";

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

/// `plain`, sealed to `readers` with the counter `revision`.
fn sealed_to(readers: &[Recipient], plain: &str, revision: u64) -> String {
    let change = Change::New {
        format: Format::Yaml,
        plain: &Secret::from_text(plain),
        recipients: readers,
        rule: &Rule::environment().unwrap(),
    };
    let stamp = Stamp {
        revision,
        now: now(),
        expires: None,
    };
    trust::write(&change, &stamp).unwrap().text
}

struct Case {
    identity: Identity,
    text: String,
    target: Target,
    verify: Verify,
    highest: Option<u64>,
    now: Timestamp,
}

impl Case {
    fn new() -> Self {
        Self::of(PLAIN)
    }

    fn of(plain: &str) -> Self {
        let identity = Identity::generate();
        let text = sealed_to(&[identity.recipient()], plain, 7);
        Self {
            identity,
            text,
            target: Target::default(),
            verify: Verify::Warn,
            highest: None,
            now: now(),
        }
    }

    fn changed(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{from} is not in the document");
        self.text = self.text.replacen(from, to, 1);
        self
    }

    fn resolve_with(&self, identities: &[Identity]) -> Result<Resolved, Refusal> {
        let request = Request {
            identities,
            target: self.target.clone(),
            place: Place::default(),
            verify: self.verify,
            highest: self.highest,
            now: self.now,
        };
        let outcome = resolve(&Secret::from_text(&self.text), &request);
        let shown = format!("{outcome:?}");
        assert!(!shown.contains("5e1f"), "a value is shown: {shown}");
        outcome
    }

    fn resolve(&self) -> Result<Resolved, Refusal> {
        self.resolve_with(std::slice::from_ref(&self.identity))
    }

    fn refused(&self) -> (Stage, Reason, &'static str) {
        let refusal = self.resolve().unwrap_err();
        (refusal.stage, refusal.reason, refusal.code)
    }
}

#[test]
fn a_sealed_document_becomes_a_delivery() {
    let resolved = Case::new().resolve().unwrap();
    assert_eq!(resolved.revision, Some(7));
    assert_eq!(resolved.verified.reason, Reason::Verified);
    assert_eq!(resolved.delivery.objects.len(), 2);
    assert_eq!(resolved.delivery.values.len(), 4);
}

#[test]
fn a_document_is_only_resolved_for_its_own_place() {
    for (target, place) in [
        (
            Target {
                app: "other".parse().ok(),
                ..Target::default()
            },
            "app",
        ),
        (
            Target {
                namespace: "other".parse().ok(),
                ..Target::default()
            },
            "namespace",
        ),
        (
            Target {
                environment: "dev".parse().ok(),
                ..Target::default()
            },
            "environment",
        ),
    ] {
        for verify in [Verify::Off, Verify::Warn, Verify::Require] {
            let case = Case {
                target: target.clone(),
                verify,
                ..Case::new()
            };
            // Before the data key: nobody needs an identity to see it.
            let refusal = case.resolve_with(&[]).unwrap_err();
            assert_eq!(refusal.reason, Reason::WrongTarget, "{place}");
            assert!(refusal.message.contains(place));
        }
    }
}

#[test]
fn a_lower_revision_is_refused_unless_nothing_is_verified() {
    let case = |verify| Case {
        highest: Some(8),
        verify,
        ..Case::new()
    };
    assert_eq!(case(Verify::Warn).refused().1, Reason::RevisionTooOld);
    assert_eq!(case(Verify::Require).refused().1, Reason::RevisionTooOld);
    assert!(case(Verify::Off).resolve().is_ok());
    let same = Case {
        highest: Some(7),
        ..Case::new()
    };
    assert!(same.resolve().is_ok());
}

#[test]
fn without_an_identity_or_as_a_stranger_nothing_opens() {
    let case = Case::new();
    let missing = case.resolve_with(&[]).unwrap_err();
    assert_eq!(
        (missing.reason, missing.revision, missing.verified),
        (Reason::NoIdentity, Some(7), None)
    );
    let stranger = case.resolve_with(&[Identity::generate()]).unwrap_err();
    assert_eq!(
        (stranger.stage, stranger.reason),
        (Stage::Decrypted, Reason::NotRecipient)
    );
}

#[test]
fn a_broken_seal_is_said_under_warn_and_refused_under_require() {
    // The namespace is clear and part of the SOPS MAC too; the date of the seal is part of the seal only.
    let broken = || Case::new().changed("created: \"2026-11-21", "created: \"2026-11-20");
    let warned = broken().resolve().unwrap();
    assert_eq!(
        (warned.verified.reason, warned.revision),
        (Reason::SealInvalid, None)
    );
    let required = Case {
        verify: Verify::Require,
        ..broken()
    };
    assert_eq!(
        required.refused(),
        (Stage::Verified, Reason::SealInvalid, "E0150")
    );
    let off = Case {
        verify: Verify::Off,
        ..broken()
    };
    assert_eq!(off.resolve().unwrap().verified.reason, Reason::NotRequired);
}

#[test]
fn a_seal_that_was_taken_out_proves_no_revision() {
    let case = Case::new();
    let (kept, seal) = case.text.split_once("  sealctl:\n").unwrap();
    let rest = seal.lines().skip_while(|line| line.starts_with("    "));
    let text = rest.fold(kept.to_owned(), |text, line| text + line + "\n");
    let dropped = Case {
        text,
        highest: Some(9),
        identity: case.identity.clone(),
        ..Case::new()
    };
    let resolved = dropped.resolve().unwrap();
    assert_eq!(
        (resolved.verified.reason, resolved.revision),
        (Reason::SealInvalid, None)
    );
}

#[test]
fn an_expired_seal_counts_as_broken() {
    let identity = Identity::generate();
    let change = Change::New {
        format: Format::Yaml,
        plain: &Secret::from_text(PLAIN),
        recipients: &[identity.recipient()],
        rule: &Rule::environment().unwrap(),
    };
    let stamp = Stamp {
        revision: 7,
        now: now(),
        expires: "2026-11-22T00:00:00Z".parse().ok(),
    };
    let text = trust::write(&change, &stamp).unwrap().text;
    let late = "2026-11-22T00:00:01Z".parse().unwrap();
    let fresh = Case {
        identity,
        text,
        ..Case::new()
    };
    assert_eq!(fresh.resolve().unwrap().verified.reason, Reason::Verified);
    let expired = Case { now: late, ..fresh };
    assert_eq!(
        expired.resolve().unwrap().verified.reason,
        Reason::SealInvalid
    );
}

#[test]
fn policy_require_waits_for_signatures() {
    let case = Case {
        verify: Verify::Require,
        ..Case::new()
    };
    assert_eq!(case.refused(), (Stage::Verified, Reason::Pending, "E0151"));
}

#[test]
fn swapped_values_and_changed_clear_values_fail_the_mac() {
    let case = Case::new();
    let value = |name: &str| {
        let line = case
            .text
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    let (pass, other) = (value("PASS"), value("OTHER"));
    let text = case
        .text
        .replace(&pass, "SWAP")
        .replace(&other, &pass)
        .replace("SWAP", &other);
    let swapped = Case {
        text,
        identity: case.identity.clone(),
        ..Case::new()
    };
    assert_eq!(
        swapped.refused(),
        (Stage::Decrypted, Reason::IntegrityFailed, "E0130")
    );
    let changed = Case::new().changed("HOST: postgres", "HOST: elsewhere");
    assert_eq!(changed.refused().1, Reason::IntegrityFailed);
    let refusal = changed.resolve().unwrap_err();
    assert_eq!(refusal.verified.unwrap().reason, Reason::SealInvalid);
}

#[test]
fn plaintext_where_ciphertext_must_be_is_refused() {
    let case = Case::new().changed("secrets:\n", "secrets:\n  NEW: plain\n");
    assert_eq!(
        case.refused(),
        (Stage::Decrypted, Reason::InvalidDocument, "E0140")
    );
    let bare = Case {
        text: PLAIN.to_owned(),
        ..Case::new()
    };
    assert_eq!(
        bare.refused(),
        (Stage::Decrypted, Reason::InvalidDocument, "E0140")
    );
}

#[test]
fn faults_of_the_document_are_counted_and_the_first_is_told() {
    let case = Case::of(&PLAIN.replace("HOST: postgres", "HOST: postgres\n  A: 0123\n  B: yes"));
    let refusal = case.resolve().unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.code, refusal.further()),
        (Reason::InvalidDocument, "E0212", 1)
    );
    assert_eq!(
        refusal.message,
        "line 8: A would be read as a number; quote it; and 1 more"
    );
    assert_eq!(refusal.verified.unwrap().reason, Reason::Verified);
}

#[test]
fn truncated_files_are_refused_wherever_they_end() {
    let case = Case::new();
    // A cut that only takes the last newline leaves the document whole.
    for length in (0..case.text.len() - 1).step_by(7) {
        let text = case.text[..length].to_owned();
        let cut = Case {
            text,
            identity: case.identity.clone(),
            ..Case::new()
        };
        if let Ok(resolved) = cut.resolve() {
            assert_eq!(
                resolved.verified.reason,
                Reason::SealInvalid,
                "cut at {length}"
            );
        }
    }
}

#[test]
fn empty_large_and_deep_documents_are_refused() {
    let empty = Case::of("sealctl: v1\napp: polls\nenvironment: prod\nconfig: {}\n");
    assert_eq!(
        empty.refused(),
        (Stage::Decrypted, Reason::InvalidDocument, "E0206")
    );
    let large = Case {
        text: "#".repeat(MAX_DOCUMENT + 1),
        ..Case::new()
    };
    assert_eq!(large.refused().2, "E0209");
    let nested = format!("{PLAIN}rotation: {}{}\n", "{a: ".repeat(16), "}".repeat(16));
    assert_eq!(Case::of(&nested).refused().2, "E0209");
}

#[test]
fn an_outline_needs_no_key() {
    let outlined = outline(&Secret::from_text(&Case::new().text), &Place::default()).unwrap();
    assert_eq!(outlined.findings, []);
    assert_eq!(outlined.targets.len(), 2);
    assert_eq!(outlined.header.unwrap().namespace.as_str(), "web");
}

#[test]
fn an_outline_finds_plaintext_of_every_kind_without_a_key() {
    for typed in [
        "plain-5e1f",
        "51",
        "true",
        "{a: plain-5e1f}",
        "[plain-5e1f]",
        "{password: {b: plain-5e1f}}",
    ] {
        let case = Case::new().changed("secrets:\n", &format!("secrets:\n  NEW: {typed}\n"));
        let outlined = outline(&Secret::from_text(&case.text), &Place::default()).unwrap();
        let is_plain = |finding: &&Finding| finding.code == PLAINTEXT;
        let plain: Vec<_> = outlined.findings.iter().filter(is_plain).collect();
        assert_eq!(plain.len(), 1, "{typed}: {:?}", outlined.findings);
        assert!(plain[0].path.contains("NEW"), "{:?}", plain[0]);
        let shown = format!("{outlined:?}");
        assert!(!shown.contains("5e1f"), "a value is shown: {shown}");
        assert!(outlined.header.is_some());
    }
}
