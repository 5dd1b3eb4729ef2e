//! Whether a changed text reads back as what it was changed to: the same values at the same keys, and no
//! comment less. What a line means can depend on any line around it, so that no list of cases is whole.

use super::super::{parse, parse_sops};
use crate::format::scalar;
use crate::secret::Secret;
use crate::tree::comments::{count_comments, says_something};
use crate::tree::compare::is_same_map;
use crate::tree::{Kind, Leaf, Map};

/// Whether `changed`, which was made of `source`, is read as `after`. What the strict reader takes, it has
/// to take again.
pub(super) fn reads_as(source: &str, changed: &Secret, after: &[Map]) -> bool {
    let text = changed.expose_text().unwrap_or_default();
    let strict = parse(text);
    if strict.is_err() && parse(source).is_ok() {
        return false;
    }
    let again = match strict {
        Ok(map) => vec![map],
        Err(_) => match parse_sops(changed) {
            Ok(reading) => reading.documents,
            Err(_) => return false,
        },
    };
    let pairs = || again.iter().zip(after);
    again.len() == after.len()
        && pairs().all(|(again, after)| is_same_map(again, after, &is_same_leaf))
        && comments(&again) >= comments(after)
}

/// However they are spelled. A float without fraction is written as a whole number by SOPS.
fn is_same_leaf(one: &Leaf, other: &Leaf) -> bool {
    let is_number = |leaf: &Leaf| matches!(leaf.kind, Kind::Int | Kind::Float);
    let same_kind = one.kind == other.kind || is_number(one) && is_number(other);
    same_kind && (one.text == other.text || normal(one) == normal(other))
}

fn normal(leaf: &Leaf) -> Option<Secret> {
    let text = scalar::normal_form(leaf.kind, leaf.text.expose_text()?)?;
    // The sign of nothing comes and goes with the type.
    Some(match text.as_str() {
        "-0" => Secret::from_text("0"),
        _ => Secret::from(text),
    })
}

fn comments(documents: &[Map]) -> usize {
    count_comments(documents, &says_something, &|_| false)
}
