//! No comment is lost: generated texts with comments wherever lines allow them, sealed and opened again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use crate::crypto::Identity;
use crate::format::{self, Format};
use crate::secret::Secret;
use crate::sops::{self, Draft, Opened, Readers, Rule, Sealed, Terms};
use crate::tree::Map;

use super::comments;

/// The comments that `text` has, each of which holds a word of its own.
fn words(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("hush").map(|(at, _)| &text[at..]);
    let ends = |rest: &str| rest.find(|each: char| !each.is_ascii_alphanumeric());
    starts
        .map(|rest| &rest[..ends(rest).unwrap_or(rest.len())])
        .collect()
}

/// What the comments of `documents` say.
fn said(documents: &[Map]) -> String {
    let all = RefCell::new(String::new());
    comments(documents, &|text| {
        let mut all = all.borrow_mut();
        all.push_str(text.expose_text().unwrap());
        all.push('\n');
        true
    });
    all.into_inner()
}

/// `plain` sealed for one reader.
fn sealed(format: Format, plain: &str) -> (Draft, Readers) {
    let readers = Readers::one_group(&[Identity::generate().recipient()]);
    let plain = Secret::from_text(plain);
    let draft = sops::seal_for(format, &plain, &readers, &Terms::default(), now());
    (draft.unwrap(), readers)
}

fn now() -> jiff::Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn opened(draft: &Draft) -> Opened {
    let format = draft.sealed.format();
    let written = draft.sealed.text().expose_text().unwrap();
    // The word alone may stand in base64, too.
    let is_clear = ["# hush", "; hush"]
        .iter()
        .any(|clear| written.contains(clear));
    assert!(!is_clear, "{written}");
    let sealed = Sealed::read(format, draft.sealed.text()).unwrap();
    sealed.open(&draft.key).unwrap()
}

/// Seals `plain`, opens it, and does so again in two ways. The comments (of flat formats those that the reader
/// sees) come back each time, but for as many as were said to be lost.
fn keeps_comments(format: Format, plain: &str) {
    let Ok(documents) = format::parse(format, &Secret::from_text(plain)) else {
        return;
    };
    let said = said(&documents);
    let seen = match format {
        Format::Yaml => words(plain),
        _ => words(&said),
    };
    let (draft, readers) = sealed(format, plain);
    let (first, lost) = (opened(&draft), draft.lost_comments);
    let check = |text: &Secret, lost: usize| {
        let text = text.expose_text().unwrap();
        let kept = words(text);
        assert!(kept.is_subset(&seen), "{plain}\n{text}");
        assert_eq!(kept.len() + lost, seen.len(), "{plain}\n{text}");
        assert!(!text.contains("ENC["), "{plain}\n{text}");
    };
    let again = first.text();
    check(&again, lost);
    for draft in [first.reseal(&again, now()), first.rotate(&readers, now())] {
        let draft = draft.unwrap();
        check(&opened(&draft).text(), lost + draft.lost_comments);
    }
}

/// A line of YAML: what it is, how deep it goes, and what is around it.
fn yaml() -> impl Strategy<Value = String> {
    let line = (
        0..10_u8,
        0..4_usize,
        0..3_usize,
        any::<[bool; 4]>(),
        0..6_usize,
    );
    prop::collection::vec(line, 1..14).prop_map(|lines| {
        let (mut text, mut count) = (String::new(), 0);
        let mut comment = |text: &mut String, indent: usize| {
            count += 1;
            writeln!(text, "{}# hush{count}", " ".repeat(indent)).unwrap();
        };
        // What is open: the column, and whether it is a list.
        let mut open: Vec<(usize, bool)> = vec![(0, false)];
        let mut wants: Option<bool> = None;
        for (place, (what, back, step, [above, behind, blank, gap], indent)) in
            lines.into_iter().enumerate()
        {
            let inner = match wants.take() {
                Some(list) => {
                    let outer = open.last().unwrap().0;
                    open.push((outer + step + usize::from(!list || step > 0), list));
                    true
                }
                None => false,
            };
            if !inner {
                for _ in 0..back.min(open.len() - 1) {
                    open.pop();
                }
            }
            let (column, list) = *open.last().unwrap();
            if above {
                comment(&mut text, if gap { column } else { indent });
                if blank {
                    text.push('\n');
                    comment(&mut text, column);
                }
            } else if blank {
                text.push('\n');
            }
            text.push_str(&" ".repeat(column));
            let lead = if list {
                "- ".to_owned()
            } else {
                format!("k{place}: ")
            };
            text.push_str(&lead);
            let tail = match what {
                0 | 1 if !list => {
                    wants = Some(what == 0);
                    ""
                }
                0 if list => "k: 1",
                2 => "{}",
                3 => "[]",
                4 => "[a, b]",
                5 => "'quoted'",
                6 => "\"\"",
                7 => "~",
                _ => "plain",
            };
            text.push_str(tail);
            if behind {
                text.push(' ');
                comment(&mut text, 0);
            } else {
                text.push('\n');
            }
        }
        if wants.is_some() {
            writeln!(text, "{}- end", " ".repeat(open.last().unwrap().0 + 1)).unwrap();
        }
        text
    })
}

/// Lines of a flat format: what they are is told by the number.
fn flat(format: Format) -> impl Strategy<Value = String> {
    prop::collection::vec((0..7_u8, any::<bool>()), 1..12).prop_map(move |lines| {
        let line = |(place, (what, twice)): (usize, (u8, bool))| match (what, twice) {
            (0 | 1, false) => format!("# hush{place}\n"),
            (0 | 1, true) => format!("# hush{place}a\n\n# hush{place}b\n"),
            (2, _) if format == Format::Ini => format!("; hush{place}\n"),
            (3, _) if format == Format::Ini => format!("[s{place}]\n"),
            (4, _) if format == Format::Ini => format!("k{place} = v ; hush{place}\n"),
            (5, _) => "\n".to_owned(),
            _ => format!("k{place}=v\n"),
        };
        lines.into_iter().enumerate().map(line).collect()
    })
}

#[test]
fn a_comment_that_cannot_be_read_again_is_counted() {
    let plain = "k0: \n  k1: {} # hush1\n  k2: \n    - k: 1\n# hush2\n\n    # hush3\n    - {}\n";
    let (draft, _) = sealed(Format::Yaml, plain);
    // The reader drops one, and what is printed then has no room for another in the braces.
    assert_eq!(draft.lost_comments, 2);
    keeps_comments(Format::Yaml, plain);
}

#[test]
fn a_comment_that_is_read_again_where_none_is_sealed_counts_as_lost() {
    let plain = "k:\n  u_unencrypted:\n    a: 1\n  # hush\n";
    let (draft, _) = sealed(Format::Yaml, plain);
    assert_eq!(draft.lost_comments, 1);
}

#[test]
fn a_comment_in_clear_is_sealed_where_it_is_read_again_among_sealed_values() {
    let readers = Readers::one_group(&[Identity::generate().recipient()]);
    let plain = Secret::from_text("k:\n  s_enc:\n    - x\n  # hush\n");
    let terms = Terms {
        rule: Rule::named("encrypted_suffix", "_enc").unwrap().unwrap(),
        ..Terms::default()
    };
    let draft = sops::seal_for(Format::Yaml, &plain, &readers, &terms, now()).unwrap();
    let opened = draft.sealed.open(&draft.key).unwrap();
    assert_eq!(opened.plain_comments(), []);
    assert_eq!(opened.text(), plain);
}

#[test]
fn a_comment_of_a_flat_format_may_hold_control_characters() {
    let keeps = |format, plain: &str| {
        let read = format::parse(format, &Secret::from_text(plain));
        assert!(read.is_ok_and(|documents| said(&documents).contains("hush")));
        keeps_comments(format, plain);
    };
    for character in ['\u{1b}', '\u{7f}', '\u{b}', '\u{85}', '\u{2028}'] {
        for format in [Format::Dotenv, Format::Ini] {
            keeps(format, &format!("# hush{character}\nk=v\n"));
        }
    }
    keeps(Format::Dotenv, "# hush\r\nk=v\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_comment_of_a_flat_format_is_lost(dotenv in flat(Format::Dotenv), ini in flat(Format::Ini)) {
        keeps_comments(Format::Dotenv, &dotenv);
        keeps_comments(Format::Ini, &ini);
    }

    #[test]
    fn no_comment_of_yaml_is_lost(text in yaml()) {
        keeps_comments(Format::Yaml, &text);
    }
}
