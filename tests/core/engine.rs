//! What holds for sealed files of every format: they open to what was sealed, a change touches what it
//! names, other readers get in and former ones do not, and nothing altered passes.

use sealctl::crypto::mac::Coverage;
use sealctl::crypto::{DataKey, Identity};
use sealctl::format::{Format, Layout};
use sealctl::secret::Secret;
use sealctl::sops::{
    self, Draft, Edit, GroupOutcome, Opened, Readers, Rule, SealError, Sealed, Terms, UnlockError,
};
use sealctl::tree::{Kind, Node, Path, Step};

const PLAIN: [(Format, &str); 5] = [
    (
        Format::Yaml,
        "# head\na: one # behind\nlist:\n    # inside\n    - x\n    - 5\nnot_unencrypted: open\nempty: \"\"\n",
    ),
    (
        Format::Json,
        "{\n\t\"a\": \"one\",\n\t\"list\": [\n\t\t\"x\",\n\t\t5\n\t],\n\t\"empty\": \"\"\n}\n",
    ),
    (Format::Dotenv, "# head\na=one\nb=two=\\nthree\nempty=\n"),
    (
        Format::Ini,
        "[first]\n; note\na     = one\nempty = \n\n[second]\nb = two\n",
    ),
    (Format::Binary, "\u{1}any\r\nbytes, no line at the end"),
];

fn now() -> jiff::Timestamp {
    "2026-11-21T09:30:00Z".parse().unwrap()
}

fn later() -> jiff::Timestamp {
    "2026-11-22T09:30:00Z".parse().unwrap()
}

fn terms() -> Terms {
    Terms {
        rule: Rule::fallback(),
        coverage: Coverage::All,
        layout: Layout::default(),
    }
}

fn seal(format: Format, plain: &str, readers: &Readers) -> Draft {
    sops::seal_for(format, &Secret::from_text(plain), readers, &terms(), now())
        .unwrap_or_else(|error| panic!("{format}: {error}"))
}

fn text(secret: &Secret) -> String {
    secret.expose_text().unwrap().to_owned()
}

/// As somebody else would read it, from its text alone.
fn reopened(draft: &Draft, identities: &[Identity]) -> Opened {
    let sealed = Sealed::read(draft.sealed.format(), draft.sealed.text()).unwrap();
    let key = sealed.unlock(&identities).unwrap();
    sealed.open(&key).unwrap()
}

fn changed_lines(before: &str, after: &str) -> Vec<usize> {
    assert_eq!(before.lines().count(), after.lines().count(), "{after}");
    let pairs = before.lines().zip(after.lines()).enumerate();
    let changed = pairs.filter(|(_, (one, two))| one != two);
    changed.map(|(line, _)| line).collect()
}

#[test]
fn every_format_opens_to_the_bytes_that_were_sealed_and_shows_none_of_them() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    for (format, plain) in PLAIN {
        let draft = seal(format, plain, &readers);
        let sealed = text(draft.sealed.text());
        // Within base64 any short word may come up.
        let base64 = |each: char| each.is_ascii_alphanumeric() || "+/".contains(each);
        for word in ["one", "two", "three", "any", "inside", "head"] {
            let shows = sealed.split(|each| !base64(each)).any(|part| part == word);
            assert!(!shows, "{format}: {word} in {sealed}");
        }
        let opened = reopened(&draft, std::slice::from_ref(&me));
        assert_eq!(text(&opened.text()), plain, "{format}");
    }
}

#[test]
fn a_changed_value_changes_its_line_the_mac_and_the_date() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    for (format, plain) in PLAIN {
        let path = match format {
            Format::Ini => Path::of(["first", "a"]),
            Format::Binary => Path::of(["data"]),
            _ => Path::of(["a"]),
        };
        let draft = seal(format, plain, &readers);
        let opened = reopened(&draft, std::slice::from_ref(&me));
        let set = Edit::Set {
            path: path.clone(),
            text: Secret::from_text("new"),
        };
        let again = opened.change(std::slice::from_ref(&set), later()).unwrap();
        let (before, after) = (text(draft.sealed.text()), text(again.sealed.text()));
        let changed = changed_lines(&before, &after);
        assert_eq!(changed.len(), 3, "{format}: {changed:?} of {after}");
        assert_eq!(draft.key, again.key);
        let opened = reopened(&again, std::slice::from_ref(&me));
        let Some(Node::Leaf(leaf)) = opened.tree().at(&path) else {
            panic!("{format}: no {path}");
        };
        assert_eq!(text(&leaf.text), "new");
    }
}

#[test]
fn an_edited_text_keeps_the_ciphertext_of_what_is_untouched() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    for (format, plain) in PLAIN {
        if format == Format::Binary {
            continue;
        }
        let draft = seal(format, plain, &readers);
        let opened = reopened(&draft, std::slice::from_ref(&me));
        let edited = plain.replace("one", "1st");
        let again = opened.reseal(&Secret::from_text(&edited), later()).unwrap();
        let (before, after) = (text(draft.sealed.text()), text(again.sealed.text()));
        let changed = changed_lines(&before, &after);
        assert_eq!(changed.len(), 3, "{format}: {changed:?} of {after}");
        let opened = reopened(&again, std::slice::from_ref(&me));
        assert_eq!(text(&opened.text()), edited);
    }
}

#[test]
fn rotating_renews_the_data_key_and_every_ciphertext_and_leaves_former_readers_out() {
    let (me, other) = (Identity::generate(), Identity::generate());
    for (format, plain) in PLAIN {
        let draft = seal(
            format,
            plain,
            &Readers::one_group(&[me.recipient(), other.recipient()]),
        );
        let opened = reopened(&draft, std::slice::from_ref(&me));
        let again = opened
            .rotate(&Readers::one_group(&[me.recipient()]), later())
            .unwrap();
        assert_ne!(draft.key, again.key);
        let before = text(draft.sealed.text());
        let after = text(again.sealed.text());
        let values = |text: &str| -> Vec<String> {
            text.match_indices("ENC[")
                .map(|(at, _)| text[at..].split(']').next().unwrap().to_owned())
                .collect()
        };
        let before = values(&before);
        assert!(!before.is_empty());
        for value in values(&after) {
            assert!(!before.contains(&value), "{format}");
        }
        assert!(again.sealed.data_key(std::slice::from_ref(&other)).is_err());
        assert!(
            Sealed::read(format, again.sealed.text())
                .unwrap()
                .open(&draft.key)
                .is_err()
        );
        assert_eq!(
            text(&reopened(&again, std::slice::from_ref(&me)).text()),
            plain
        );
    }
}

#[test]
fn other_readers_change_nothing_but_the_wrapped_keys() {
    let (me, other) = (Identity::generate(), Identity::generate());
    for (format, plain) in PLAIN {
        let draft = seal(format, plain, &Readers::one_group(&[me.recipient()]));
        let both = Readers::one_group(&[me.recipient(), other.recipient()]);
        let again = draft.sealed.rewrap(&draft.key, &both).unwrap();
        assert_eq!(again.key, draft.key);
        let (before, after) = (text(draft.sealed.text()), text(again.sealed.text()));
        let lost: Vec<&str> = before
            .lines()
            .filter(|line| !after.contains(line.trim().trim_end_matches(',')))
            .collect();
        assert!(lost.is_empty(), "{format}: {lost:?} are gone from {after}");
        for identity in [&me, &other] {
            let opened = reopened(&again, std::slice::from_ref(identity));
            assert_eq!(text(&opened.text()), plain, "{format}");
        }
        // And back again.
        let back = again
            .sealed
            .rewrap(&again.key, &Readers::one_group(&[me.recipient()]))
            .unwrap();
        assert_eq!(text(back.sealed.text()), before, "{format}");
    }
}

#[test]
fn any_sufficient_number_of_key_groups_opens_and_fewer_do_not() {
    let people: Vec<Identity> = (0..3).map(|_| Identity::generate()).collect();
    let readers = Readers {
        groups: people.iter().map(|one| vec![one.recipient()]).collect(),
        threshold: Some(2),
    };
    for (format, plain) in PLAIN {
        let draft = seal(format, plain, &readers);
        for pair in [[0, 1], [0, 2], [1, 2], [2, 0]] {
            let pair = pair.map(|place| people[place].clone());
            assert_eq!(text(&reopened(&draft, &pair).text()), plain, "{format}");
        }
        let error = draft.sealed.unlock(&&people[1..2]).unwrap_err();
        let UnlockError::TooFew { groups, wanted } = error else {
            panic!("{format}: {error}");
        };
        let opened = groups.iter().map(|group| *group == GroupOutcome::Opened);
        assert_eq!((opened.collect(), wanted), (vec![false, true, false], 2));
    }
}

#[test]
fn an_impossible_threshold_and_an_empty_group_are_refused() {
    let recipient = Identity::generate().recipient();
    let seal = |groups: Vec<Vec<_>>, threshold| {
        let readers = Readers { groups, threshold };
        let plain = Secret::from_text("a: b\n");
        sops::seal_for(Format::Yaml, &plain, &readers, &terms(), now()).unwrap_err()
    };
    let group = || vec![recipient.clone()];
    assert_eq!(seal(vec![group(), group()], Some(1)), SealError::Threshold);
    assert_eq!(seal(vec![group(), group()], Some(3)), SealError::Threshold);
    assert_eq!(
        seal(vec![group(), Vec::new()], None),
        SealError::NoRecipient
    );
    assert_eq!(seal(Vec::new(), None), SealError::NoRecipient);
}

#[test]
fn any_value_is_put_where_sops_puts_it() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let draft = seal(Format::Yaml, "a: one\nlist:\n    - x\n", &readers);
    let opened = reopened(&draft, std::slice::from_ref(&me));
    let put = |steps: Vec<Step>, text: &str| Edit::Put {
        path: steps.into(),
        value: leaf(text),
    };
    let key = |name: &str| Step::Key(name.to_owned());
    let edits = [
        put(vec![key("new"), key("deep")], "v"),
        put(vec![key("list"), Step::Index(9)], "y"),
        put(vec![key("list"), Step::Index(0)], "z"),
        put(vec![key("a"), key("below")], "w"),
        Edit::Unset {
            path: vec![key("list"), Step::Index(0)].into(),
        },
    ];
    let again = opened.change(&edits, later()).unwrap();
    assert_eq!(
        text(&reopened(&again, &[me]).text()),
        "a:\n    below: w\nlist:\n    - \"y\"\nnew:\n    deep: v\n"
    );
    let wrong = Edit::Put {
        path: vec![key("list"), key("name")].into(),
        value: leaf("v"),
    };
    assert!(opened.change(&[wrong], later()).is_err());
}

/// As SOPS counts, a comment of a list is an item of its own: it can be taken out, and gives way to a value.
#[test]
fn a_place_of_a_list_that_is_a_comment_is_taken_out_and_replaced() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let lines = [
        "# first", "- a", "# second", "# third", "- k: 1", "- b", "# last",
    ];
    let whole = |lines: &[&str]| format!("list:\n    {}\nend: 1\n", lines.join("\n    "));
    let change = |edit: Edit| {
        let draft = seal(Format::Yaml, &whole(&lines), &readers);
        let opened = reopened(&draft, std::slice::from_ref(&me));
        let draft = opened.change(&[edit], later()).unwrap();
        assert_eq!(draft.lost_comments, 0);
        text(&reopened(&draft, std::slice::from_ref(&me)).text())
    };
    for place in 0..lines.len() {
        let path = |below: &[Step]| {
            let list = [Step::Key("list".to_owned()), Step::Place(place)];
            Path::from([&list, below].concat())
        };
        let mut left = lines.to_vec();
        left.remove(place);
        let unset = Edit::Unset { path: path(&[]) };
        assert_eq!(change(unset), whole(&left), "{place}");
        let put = |below: &[Step]| {
            change(Edit::Put {
                path: path(below),
                value: leaf("new"),
            })
        };
        left.insert(place, "- new");
        assert_eq!(put(&[]), whole(&left), "{place}");
        if lines[place].starts_with('#') {
            left[place] = "- deep: new";
            assert_eq!(put(&[Step::Key("deep".to_owned())]), whole(&left));
            left[place] = "-\n        - new";
            assert_eq!(put(&[Step::Place(3)]), whole(&left));
        }
    }
}

#[test]
fn nothing_is_taken_out_of_a_comment_and_no_text_set_there() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let draft = seal(Format::Yaml, "list:\n# only\n- a\n", &readers);
    let opened = reopened(&draft, &[me]);
    let list = vec![Step::Key("list".to_owned()), Step::Place(0)];
    let deep = [list.clone(), vec![Step::Place(0)]].concat();
    let text = Secret::from_text("text");
    for edit in [
        Edit::Unset {
            path: deep.clone().into(),
        },
        Edit::Set {
            path: list.into(),
            text: text.clone(),
        },
        Edit::Set {
            path: deep.into(),
            text,
        },
    ] {
        let refused = opened.change(&[edit], later()).unwrap_err();
        assert!(refused.to_string().contains("is a comment"), "{refused}");
    }
}

#[test]
fn a_comment_beside_empty_braces_stays_one_when_something_is_put_into_them() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let put = |plain: &str| {
        let draft = seal(Format::Yaml, plain, &readers);
        let opened = reopened(&draft, std::slice::from_ref(&me));
        let edit = Edit::Put {
            path: Path::of(["a", "n"]),
            value: leaf("new"),
        };
        let draft = opened.change(&[edit], later()).unwrap();
        assert_eq!(draft.lost_comments, 0);
        text(&reopened(&draft, std::slice::from_ref(&me)).text())
    };
    for (plain, after) in [
        ("a: {} # c\nb: 1\n", "a: # c\n    \"n\": new\nb: 1\n"),
        ("a:\n  {} # c\n", "a: # c\n    \"n\": new\n"),
        ("a:\n  # c\n  {}\n", "a:\n    # c\n    \"n\": new\n"),
        ("a: # c\n  {} # d\n", "a: # c\n    # d\n    \"n\": new\n"),
        ("a: {}\n  # c\nb: 1\n", "a:\n    \"n\": new\n  # c\nb: 1\n"),
    ] {
        assert_eq!(put(plain), after);
    }
}

/// Behind the key of lines, a comment belongs to the map around, which the rule leaves in clear.
#[test]
fn a_comment_stays_where_the_rule_seals_it_when_something_is_put_below_its_key() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let rule = Rule::named("encrypted_suffix", "_enc").unwrap().unwrap();
    let terms = Terms {
        rule,
        ..Terms::default()
    };
    let plain = Secret::from_text("k_enc: {} # c\nz: 1\n");
    let draft = sops::seal_for(Format::Yaml, &plain, &readers, &terms, now()).unwrap();
    let edit = Edit::Put {
        path: Path::of(["k_enc", "a"]),
        value: leaf("new"),
    };
    let opened = reopened(&draft, std::slice::from_ref(&me));
    let draft = opened.change(&[edit], later()).unwrap();
    assert_eq!(draft.lost_comments, 0);
    assert_eq!(
        text(&reopened(&draft, std::slice::from_ref(&me)).text()),
        "k_enc:\n    # c\n    a: new\nz: 1\n"
    );
}

#[test]
fn taking_a_value_out_leaves_the_comment_behind_it_on_a_line_and_every_other_line_as_it_was() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let lines = "a: 1\n\nimage:\n  repo: 'x'   # the repo\n  pull: always\n\nz: \"q\" # end\n";
    let unset = |path: &[&str], after: &str| {
        let draft = seal(Format::Yaml, lines, &readers);
        let opened = reopened(&draft, std::slice::from_ref(&me));
        let path = Path::of(path.iter().copied());
        let draft = opened.change(&[Edit::Unset { path }], later()).unwrap();
        assert_eq!(draft.lost_comments, 0);
        let text = text(&reopened(&draft, std::slice::from_ref(&me)).text());
        assert_eq!(text, after);
    };
    let without = |from: &str, to: &str| lines.replace(from, to);
    let repo = without("  repo: 'x'   # the repo", "  # the repo");
    unset(&["image", "repo"], &repo);
    unset(&["z"], &without("z: \"q\" # end", "# end"));
}

#[test]
fn a_sealed_comment_is_never_one_that_says_what_is_encrypted() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let seal = |format, plain: &str, pattern: &str| {
        let rule = Rule::named("unencrypted_comment_regex", pattern);
        let terms = Terms {
            rule: rule.unwrap().unwrap(),
            ..Terms::default()
        };
        sops::seal_for(format, &Secret::from_text(plain), &readers, &terms, now())
    };
    let files = [
        (Format::Yaml, "a: v\n# one\n# two\n"),
        (Format::Dotenv, "A=v\n# one\n# two\n"),
        (Format::Ini, "[s]\na = v\n; one\nb = w\n; two\n"),
    ];
    for (format, plain) in files {
        let always = seal(format, plain, "comment").unwrap_err();
        assert!(matches!(always, SealError::CommentsHit { .. }), "{always}");
        // Often, by chance.
        for _ in 0..20 {
            let draft = seal(format, plain, "x|Q").unwrap();
            assert_eq!(draft.lost_comments, 0);
            let opened = text(&reopened(&draft, std::slice::from_ref(&me)).text());
            assert!(opened.contains("one") && opened.contains("two"), "{opened}");
        }
    }
}

#[test]
fn yaml_that_is_sealed_as_json_keeps_the_types_that_json_has_not() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let plain = Secret::from_text("since: 2024-01-15 # why\nlist:\n  # a\n  - 1.0\n");
    let draft = sops::seal_as_json(&plain, &readers, &Terms::default(), now()).unwrap();
    assert_eq!(draft.lost_comments, 0);
    let opened = reopened(&draft, std::slice::from_ref(&me));
    let kind = |path: &str| match opened.tree().at(&Path::of([path])) {
        Some(Node::Leaf(leaf)) => leaf.kind,
        _ => panic!("no value"),
    };
    assert_eq!(kind("since"), Kind::Time);
    let yaml = opened.emit(Format::Yaml, Layout::default()).unwrap();
    let yaml = text(&yaml);
    assert!(yaml.starts_with("since: 2024-01-15T00:00:00Z\n"), "{yaml}");
}

#[test]
fn a_new_value_of_ini_keeps_its_type() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let draft = seal(Format::Ini, "[s]\na = 1\n", &readers);
    let mut value = leaf("true");
    if let Node::Leaf(leaf) = &mut value {
        leaf.kind = Kind::Bool;
    }
    let path = Path::of(["s", "b"]);
    let opened = reopened(&draft, std::slice::from_ref(&me));
    let draft = opened
        .change(&[Edit::Put { path, value }], later())
        .unwrap();
    assert!(text(draft.sealed.text()).contains("type:bool"));
}

/// go-yaml drops the first of two groups of comments above an empty item, and so does SOPS.
#[test]
fn a_comment_that_no_reader_keeps_is_counted_when_it_is_sealed() {
    let readers = Readers::one_group(&[Identity::generate().recipient()]);
    let lines = "k:\n- a: 1\n# lost\n\n# kept\n- {}\n";
    let draft = seal(Format::Yaml, lines, &readers);
    assert_eq!(draft.lost_comments, 1);
    let draft = seal(Format::Yaml, &lines.replace("# lost\n", ""), &readers);
    assert_eq!(draft.lost_comments, 0);
}

/// Below a list that stays clear they would be read as comments of it, and there nobody decrypts them.
#[test]
fn comments_that_nobody_would_read_where_they_stand_are_moved() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let lines = "k:\n  l_unencrypted:\n  - [f, g]\n\n  # a\n  # b\n";
    let draft = seal(Format::Yaml, lines, &readers);
    assert_eq!(draft.lost_comments, 0);
    let opened = text(&reopened(&draft, std::slice::from_ref(&me)).text());
    for comment in ["# a", "# b"] {
        assert_eq!(opened.matches(comment).count(), 1, "{opened}");
    }
}

/// A comment of a list that is sealed as an item holds those below it in the list, where they are readable.
#[test]
fn what_cannot_keep_its_lines_is_printed_anew() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    // The comments, sealed where they stand, would break up the list.
    let plain = "k:\n- a: 1\n# b\n  # c\n\n-\n  - x\n";
    let opened = reopened(
        &seal(Format::Yaml, plain, &readers),
        std::slice::from_ref(&me),
    );
    assert_eq!(
        text(&opened.text()),
        "k:\n    - a: 1\n    - - x\n      # b\n      # c\n"
    );

    for (plain, path, after) in [
        (
            "k:\n  - {}\n    # c\n  - b\n",
            vec![Step::Key("k".to_owned()), Step::Index(0)],
            "k:\n    - v\n    # c\n    - b\n",
        ),
        // Between brackets there is no room for comments.
        (
            "a: [\n  1, # one\n  # two\n  2\n]\n",
            vec![Step::Key("a".to_owned()), Step::Index(9)],
            "a:\n    - 1 # one\n    # two\n    - 2\n    - v\n",
        ),
    ] {
        let opened = reopened(
            &seal(Format::Yaml, plain, &readers),
            std::slice::from_ref(&me),
        );
        let edit = Edit::Put {
            path: Path::from(path),
            value: leaf("v"),
        };
        let changed = opened.change(&[edit], later()).unwrap();
        assert_eq!(changed.lost_comments, 0, "{plain}");
        assert_eq!(
            text(&reopened(&changed, std::slice::from_ref(&me)).text()),
            after
        );
    }
}

#[test]
fn rotating_keeps_the_comments_below_a_list_that_is_sealed_alone() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    let terms = Terms {
        rule: Rule::named("encrypted_suffix", "_enc").unwrap().unwrap(),
        ..terms()
    };
    for comments in ["    # a\n  # b\n", "    # a\n    # b\n  # c\n", "  # b\n"] {
        let plain = format!("k:\n  s_enc:\n    - x\n{comments}end: 1\n");
        let text_of = Secret::from_text(&plain);
        let draft = sops::seal_for(Format::Yaml, &text_of, &readers, &terms, now()).unwrap();
        let mut opened = reopened(&draft, std::slice::from_ref(&me));
        for _ in 0..2 {
            let draft = opened.rotate(&readers, later()).unwrap();
            assert_eq!(draft.lost_comments, 0, "{plain}");
            opened = reopened(&draft, std::slice::from_ref(&me));
            assert_eq!(text(&opened.text()), plain);
        }
    }
}

/// Such a break is the last of a block text, behind which no line feed is needed.
#[test]
fn a_value_that_ends_in_a_strange_line_break_is_sealed() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    for end in ['\u{85}', '\u{2028}', '\u{2029}'] {
        for plain in [
            format!("a: \"x\\n{end}\"\nb: last\n"),
            format!("a:\n  - \"x\\n{end}\"\n  - y\nb: last\n"),
            format!("a:\n  a: 'x\n\n    {end}'\nb: last\n"),
            format!("a_unencrypted: \"x\\n{end}\"\nb: last\n"),
        ] {
            let sealed = reopened(
                &seal(Format::Yaml, &plain, &readers),
                std::slice::from_ref(&me),
            );
            let plain = Sealed::read(Format::Yaml, &Secret::from_text(&plain));
            assert!(plain.is_err());
            assert_eq!(values(&sealed).last().map(String::as_str), Some("last"));
        }
    }
}

fn leaf(text: &str) -> Node {
    Node::Leaf(sealctl::tree::Leaf {
        kind: Kind::Text,
        text: Secret::from_text(text),
        style: sealctl::tree::Style::Plain,
        position: <_>::default(),
        span: <_>::default(),
        sealed: false,
    })
}

/// Every bit of a small file, one after the other.
#[test]
fn a_flipped_bit_anywhere_is_noticed_or_is_in_no_value() {
    let me = Identity::generate();
    let readers = Readers::one_group(&[me.recipient()]);
    for (format, plain) in PLAIN {
        let draft = seal(format, plain, &readers);
        let good = draft.sealed.text().expose().to_vec();
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1 << (place % 7);
            if let Some(opened) = opens(format, &bad, &draft.key) {
                assert_eq!(values(&opened), values_of(&draft), "{format}: byte {place}");
            }
        }
    }
}

fn opens(format: Format, bytes: &[u8], key: &DataKey) -> Option<Opened> {
    Sealed::read(format, &Secret::new(bytes.to_vec()))
        .ok()?
        .open(key)
        .ok()
}

fn values_of(draft: &Draft) -> Vec<String> {
    values(&draft.sealed.clone().open(&draft.key).unwrap())
}

/// The texts of all values. Their names, types and nesting SOPS does not authenticate where a rule leaves
/// them clear.
fn values(opened: &Opened) -> Vec<String> {
    fn gather(node: &Node, into: &mut Vec<String>) {
        match node {
            Node::Map(map) => map.entries().for_each(|entry| gather(&entry.value, into)),
            Node::List(list) => list.nodes().for_each(|node| gather(node, into)),
            Node::Leaf(leaf) if leaf.text.is_empty() => {}
            Node::Leaf(leaf) => into.push(text(&leaf.text)),
        }
    }
    let mut found = Vec::new();
    for entry in opened.documents().iter().flat_map(|map| map.entries()) {
        gather(&entry.value, &mut found);
    }
    found
}
