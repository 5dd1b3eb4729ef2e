//! Deriving values: all templates of a document, each after those that it uses.
//!
//! A derived value is secret as soon as one input is. Cycles are refused, and so is a result that no
//! object could hold. How one template is read and filled is the business of `derive`.

use std::collections::{BTreeMap, BTreeSet};

use crate::env::derive::{FillError, Filter, Template, TemplateError};
use crate::env::fields::Reader;
use crate::env::finding::{At, Finding};
use crate::env::values::Drafts;
use crate::name::KeyName;
use crate::tree::Node;

/// Bytes of one derived value: more than an object holds is of no use.
const MAX_DERIVED: usize = 1_048_576;
/// Bytes of all derived values together, against templates that double each other.
const MAX_ALL_DERIVED: usize = 16 * 1_048_576;

/// Templates by the name of what they compose, each with its place.
pub(super) type Templates<'a> = BTreeMap<KeyName, (Template<'a>, At)>;

/// Reads the template of `name`; what is wrong with it is reported.
pub(super) fn template<'a>(
    reader: &mut Reader,
    node: &'a Node,
    name: &KeyName,
    at: &At,
) -> Option<Template<'a>> {
    let Node::Leaf(leaf) = node else {
        return None;
    };
    let Some(text) = leaf.text.expose_text() else {
        reader.error("E0236", at, format!("{name} is not UTF-8"));
        return None;
    };
    match Template::parse(text) {
        Ok(template) => return Some(template),
        Err(TemplateError::Unclosed) => reader.error("E0233", at, "unclosed {{"),
        Err(TemplateError::NotAName) => {
            let message = format!("{name} has a placeholder that is not the name of a value");
            reader.error("E0230", at, message);
        }
        Err(TemplateError::UnknownFilter(filter)) => {
            // What does not look like filters may be anything, so it is not shown.
            let plausible = filter.len() <= 40
                && filter
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b" |".contains(&byte));
            let shown = if plausible { filter } else { "…" };
            let hint = reader.hint(filter, Filter::names());
            let finding = Finding::error("E0231", at, format!("unknown filter \"{shown}\""));
            reader.findings.push(finding.hinted(hint));
        }
    }
    None
}

/// Fills all templates, each after those that it uses; cycles are reported.
pub(super) fn compose(reader: &mut Reader, drafts: &mut Drafts, templates: &Templates<'_>) {
    let mut waiting: BTreeMap<&KeyName, BTreeSet<&KeyName>> = BTreeMap::new();
    let mut users: BTreeMap<&KeyName, Vec<&KeyName>> = BTreeMap::new();
    for (name, (template, at)) in templates {
        let mut inputs = BTreeSet::new();
        for (input, _) in template.uses() {
            if !drafts.contains_key(input) {
                report_unknown_input(reader, drafts, name, input, at);
            } else if templates.contains_key(input) && inputs.insert(input) {
                users.entry(input).or_default().push(name);
            }
        }
        waiting.insert(name, inputs);
    }
    let mut ready: Vec<&KeyName> = Vec::new();
    ready.extend(
        waiting
            .iter()
            .filter(|(_, inputs)| inputs.is_empty())
            .map(|(name, _)| *name),
    );
    let mut room = MAX_ALL_DERIVED;
    while let Some(name) = ready.pop() {
        waiting.remove(name);
        if let Some((template, at)) = templates.get(name) {
            fill(reader, drafts, (name, template, at), &mut room);
        }
        for user in users.get(name).into_iter().flatten() {
            let Some(inputs) = waiting.get_mut(user) else {
                continue;
            };
            inputs.remove(name);
            if inputs.is_empty() {
                ready.push(user);
            }
        }
    }
    report_cycles(reader, waiting, templates);
}

/// Fills one template whose inputs are all done.
fn fill(
    reader: &mut Reader,
    drafts: &mut Drafts,
    (name, template, at): (&KeyName, &Template<'_>, &At),
    room: &mut usize,
) {
    let inputs = || {
        template
            .uses()
            .filter_map(|(input, filter)| Some((input, filter, drafts.get(input)?)))
    };
    let secret = inputs().any(|(_, _, draft)| draft.secret);
    let exposed = inputs().find(|(_, filter, draft)| draft.secret && *filter != Filter::Urlencode);
    if let Some((input, _, _)) = exposed.filter(|_| template.is_url()) {
        let message = format!("{name} puts {input} into a URL without urlencode");
        reader.warning("W0234", at, message);
    }
    let known = inputs().all(|(_, _, draft)| draft.text.is_some())
        && template.uses().all(|(input, _)| drafts.contains_key(input));
    let mut text = None;
    if known {
        let limit = MAX_DERIVED.min(*room);
        match template.fill(limit, |input| drafts.get(input)?.text.as_ref()) {
            Ok(filled) => {
                *room -= filled.len();
                text = Some(filled);
            }
            Err(FillError::TooLong) => {
                reader.error("E0235", at, format!("{name} is longer than {limit} bytes"));
            }
            Err(FillError::NotText(input)) => {
                let message = format!("{name} uses {input} as text, but it is not UTF-8");
                reader.error("E0236", at, message);
            }
        }
    }
    if let Some(draft) = drafts.get_mut(name) {
        draft.secret = secret;
        draft.text = text;
    }
}

fn report_unknown_input(
    reader: &mut Reader,
    drafts: &Drafts,
    name: &KeyName,
    input: &KeyName,
    at: &At,
) {
    let message = format!("{name} uses {input}, which is not in this document");
    let hint = reader.hint(input.as_str(), drafts.keys().map(KeyName::as_str));
    reader
        .findings
        .push(Finding::error("E0230", at, message).hinted(hint));
}

/// Reports each cycle among the templates that could not be filled, once.
fn report_cycles(
    reader: &mut Reader,
    mut waiting: BTreeMap<&KeyName, BTreeSet<&KeyName>>,
    templates: &Templates<'_>,
) {
    while let Some((&start, _)) = waiting.first_key_value() {
        // Each one that waits uses another one that waits, so this walk must come back to itself.
        let mut walk: Vec<&KeyName> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = Some(start);
        while let Some(name) = next.filter(|name| seen.insert(*name)) {
            walk.push(name);
            next = waiting
                .get(name)
                .and_then(|inputs| inputs.iter().find(|input| waiting.contains_key(**input)))
                .copied();
        }
        if let Some(closing) = next {
            let cycle: Vec<&str> = walk
                .iter()
                .skip_while(|name| **name != closing)
                .map(|name| name.as_str())
                .collect();
            if let Some((_, at)) = templates.get(closing) {
                reader.error("E0232", at, cycle_text(&cycle));
            }
        }
        for name in walk {
            waiting.remove(name);
        }
    }
}

/// `A and B are composed from each other`.
fn cycle_text(cycle: &[&str]) -> String {
    match cycle {
        [one] => format!("{one} is composed from itself"),
        [rest @ .., last] if cycle.len() <= 5 => {
            format!(
                "{} and {last} are composed from each other",
                rest.join(", ")
            )
        }
        [first, second, ..] => format!(
            "{first}, {second} and {} others are composed from each other",
            cycle.len() - 2
        ),
        [] => String::new(),
    }
}
