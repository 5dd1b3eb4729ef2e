use crate::crypto::Identity;
use crate::format::Format;
use crate::secret::Secret;
use crate::sops::{self, Draft, Edit, Opened, Readers, Sealed, Terms};
use crate::tree::{Path, Step};

fn now() -> jiff::Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn text(secret: &Secret) -> String {
    secret.expose_text().unwrap().to_owned()
}

/// The file opened from its text alone, whose words must not stand in it.
fn opened(draft: &Draft) -> Opened {
    let sealed = Sealed::read(Format::Yaml, draft.sealed.text()).unwrap();
    let written = text(sealed.text());
    assert!(!written.contains("# hush"), "{written}");
    sealed.open(&draft.key).unwrap()
}

fn sealed(plain: &str) -> (Opened, Readers) {
    let readers = Readers::one_group(&[Identity::generate().recipient()]);
    let plain = Secret::from_text(plain);
    let draft = sops::seal_for(Format::Yaml, &plain, &readers, &Terms::default(), now());
    (opened(&draft.unwrap()), readers)
}

/// Comments in all places that the lines around them may move them away from.
const COMMENTED: &[&str] = &[
    "k:\n- q\n# hush\n",
    "k:\n- q\n# hush\nz: 1\n",
    "k:\n# hush\n- q\nz: 1\n",
    "x:\n    k: >-\n      fo\n      ld\n\n    # hush\n",
    "r:\n    a: |+\n      kp\n\n\n    # hush\n",
    "r:\n    a: >+\n      kp\n\n\n    # hush\n",
    "r:\n    - |+\n      kp\n\n    # hush\n",
    "q:\n  a: |\n    x\n\n  # hush\n",
    "q:\n    a:\n        b: 1\n    # hush\n",
    "q:\n    a:\n        b: 1\n    # hush\nz: 1\n",
    "q:\n    - a: 1\n      b:\n          c: 1\n      # hush\n",
    "a: 1 # hush\n# hush\n\n# hush\nb: 2\n# hush\n",
];

#[test]
fn a_comment_opens_again_wherever_it_stands() {
    for plain in COMMENTED {
        let (opened, _) = sealed(plain);
        let again = text(&opened.text());
        let comments = |text: &str| text.matches("# hush").count();
        assert_eq!(comments(&again), comments(plain), "{plain:?}: {again}");
        assert!(!again.contains("ENC["), "{plain:?}: {again}");
    }
}

#[test]
fn a_comment_outlives_a_new_data_key() {
    for plain in COMMENTED {
        let (first, readers) = sealed(plain);
        let second = opened(&first.rotate(&readers, now()).unwrap());
        assert_eq!(text(&second.text()), text(&first.text()), "{plain:?}");
    }
}

#[test]
fn a_comment_in_or_behind_something_empty_is_not_left_readable() {
    for plain in [
        "a: {} # hush\nb: 1\n",
        "a: [] # hush\nb: 1\n",
        "a: {\n} # hush\nb: 1\n",
        "a: { # hush\n}\nb: 1\n",
        "a: [\n  # hush\n]\nb: 1\n",
        "a:\n  - {} # hush\nb: 1\n",
        "a: {b: []} # hush\nb: 1\n",
        "a: {} # hush\n",
        "b: 1\na: [] # hush\n",
        "{} # hush\n",
        "a: {}\n# hush\nb: 1\n",
        "a:\n  {} # hush\n",
    ] {
        let (opened, readers) = sealed(plain);
        assert!(!text(&opened.text()).contains("ENC["), "{plain:?}");
        super::tests::opened(&opened.rotate(&readers, now()).unwrap());
    }
}

#[test]
fn a_comment_of_a_document_without_entries_opens_again() {
    for plain in [
        "{} # hush\n",
        "# hush\n{}\n# hush\n",
        "# hush\n{}\n\n# hush\n",
        "{} # hush\n---\na: 1\n---\n{} # hush\n",
        "---\n# hush\n{}\n# hush\n---\nb: 1\n",
        "null # hush\n",
        "~\n# hush\n",
        "--- # hush\n",
        "---\n# hush\n",
        "--- {} # hush\n",
        "a: 1\n---\n# hush\n",
    ] {
        let (first, readers) = sealed(plain);
        let again = text(&first.text());
        let comments = |text: &str| text.matches("# hush").count();
        assert_eq!(comments(&again), comments(plain), "{plain:?}: {again}");
        assert!(!again.contains("ENC["), "{plain:?}: {again}");
        opened(&first.rotate(&readers, now()).unwrap());
        opened(&first.reseal(&Secret::from_text(&again), now()).unwrap());
    }
}

#[test]
fn what_loses_its_last_entry_keeps_its_comments_and_opens_again() {
    let (key, item) = (Path::of(["k", "a"]), {
        let mut path = Path::of(["k"]);
        path.push(Step::Index(0));
        path
    });
    for (plain, path) in [
        ("k:\n# hush\n- q\nz: 1\n", &item),
        ("k:\n- q\n# hush\n", &item),
        ("k:\n- q\n# hush\nz: 1\n", &item),
        ("k:\n- q # hush\nz: 1\n", &item),
        ("k:\n    # hush\n    - q\nz: 1\n", &item),
        ("k:\n    a: x\n    # hush\nz: 1\n", &key),
        ("k:\n    # hush\n    a: x\nz: 1\n", &key),
        ("k:\n    # hush\n    a: x # hush\n    # hush\n", &key),
    ] {
        let (first, readers) = sealed(plain);
        let unset = Edit::Unset { path: path.clone() };
        let draft = first.change(&[unset], now()).unwrap();
        let second = opened(&draft);
        let plain_text = text(&second.text());
        assert!(!plain_text.contains("ENC["), "{plain:?}: {plain_text}");
        let again = Secret::from_text(&plain_text);
        opened(&second.reseal(&again, now()).unwrap());
        opened(&second.rotate(&readers, now()).unwrap());
    }
}

#[test]
fn a_comment_behind_a_value_that_is_replaced_opens_again() {
    for plain in [
        "k0: {a: 1} # hush\nz: 1\n",
        "k0: {} # hush\nz: 1\n",
        "k0: [] # hush\nz: 1\n",
        "k0: [1, 2] # hush\n",
    ] {
        let (opened, readers) = sealed(plain);
        let edit = Edit::Put {
            path: Path::of(["k0"]),
            value: sops::block::text_node("new"),
        };
        let changed = super::tests::opened(&opened.change(&[edit], now()).unwrap());
        let again = text(&changed.text());
        assert!(!again.contains("ENC["), "{plain:?}: {again}");
        let rotated = super::tests::opened(&changed.rotate(&readers, now()).unwrap());
        assert_eq!(text(&rotated.text()), again);
    }
}
