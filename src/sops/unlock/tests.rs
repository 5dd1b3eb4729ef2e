//! Files with one group and with several, and keys that open some of them.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::crypto::mac::Coverage;
use crate::crypto::{Identity, Recipient};
use crate::format::{Format, Layout};
use crate::sops::{Readers, Rule, Terms, seal_for};

fn sealed(groups: &[Vec<Recipient>], threshold: Option<usize>) -> (Sealed, DataKey) {
    let readers = Readers {
        groups: groups.to_vec(),
        threshold,
    };
    let terms = Terms {
        rule: Rule::fallback(),
        coverage: Coverage::All,
        layout: Layout::default(),
    };
    let plain = Secret::from_text("a: canary\n");
    let draft = seal_for(
        Format::Yaml,
        &plain,
        &readers,
        &terms,
        jiff::Timestamp::UNIX_EPOCH,
    );
    let draft = draft.unwrap();
    // As another process would read it.
    let sealed = Sealed::read(Format::Yaml, draft.sealed.text()).unwrap();
    (sealed, draft.key)
}

fn identities(count: usize) -> Vec<Identity> {
    (0..count).map(|_| Identity::generate()).collect()
}

#[test]
fn one_group_is_opened_by_any_of_its_keys() {
    let own = identities(2);
    let recipients = own.iter().map(Identity::recipient).collect();
    let (sealed, key) = sealed(&[recipients], None);
    for one in &own {
        let keys = vec![one.clone()];
        assert_eq!(sealed.unlock(&keys).as_ref(), Ok(&key));
    }
    let error = sealed.unlock(&identities(1)).unwrap_err();
    let UnlockError::TooFew { groups, wanted: 1 } = error else {
        panic!("{error:?}");
    };
    let [GroupOutcome::Failed(keys)] = groups.as_slice() else {
        panic!("{groups:?}");
    };
    let names: Vec<&str> = keys.iter().map(|key| key.recipient.as_str()).collect();
    assert_eq!(
        names,
        [own[0].recipient().as_str(), own[1].recipient().as_str()]
    );
    assert!(keys.iter().all(|key| key.why == UnwrapError::NoneFits));
}

#[test]
fn a_threshold_that_was_removed_by_hand_asks_for_nothing() {
    let own = identities(3);
    let groups: Vec<Vec<Recipient>> = own.iter().map(|one| vec![one.recipient()]).collect();
    let (sealed, key) = sealed(&groups, Some(2));
    let text = sealed.text().expose_text().unwrap().to_owned();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("threshold"))
        .collect();
    assert_eq!(without.len() + 1, text.lines().count());
    let text = Secret::from_text(&format!("{}\n", without.join("\n")));
    let sealed = Sealed::read(Format::Yaml, &text).unwrap();
    assert_eq!(sealed.unlock(&own[1..].to_vec()).unwrap(), key);
    let error = sealed.unlock(&own[1..2].to_vec()).unwrap_err();
    assert!(matches!(error, UnlockError::TooFew { wanted: 2, .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn as_many_groups_as_the_threshold_says_open_a_file_and_fewer_do_not(
        (count, threshold, held) in (2_usize..5).prop_flat_map(|count| {
            let held = subsequence((0..count).collect::<Vec<_>>(), 0..=count);
            (Just(count), 2..=count, held)
        })
    ) {
        let own = identities(count);
        let groups: Vec<Vec<Recipient>> = own.iter().map(|one| vec![one.recipient()]).collect();
        let (sealed, key) = sealed(&groups, Some(threshold));
        let held: Vec<Identity> = held.iter().map(|at| own[*at].clone()).collect();
        match sealed.unlock(&held) {
            Ok(unlocked) => {
                prop_assert!(held.len() >= threshold);
                prop_assert_eq!(unlocked, key);
            }
            Err(UnlockError::TooFew { groups, wanted }) => {
                prop_assert!(held.len() < threshold);
                prop_assert_eq!(wanted, threshold);
                prop_assert_eq!(opened(&groups), held.len());
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
