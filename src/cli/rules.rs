//! The part of `.sops.yaml` that belongs to sealctl: one creation rule per environment, generated
//! from `keys/`, between two marker lines.
//!
//! With it plain SOPS and editors seal for the same readers. Everything outside the markers is the
//! user's and stays byte for byte.

use std::path::Path;

use crate::cli::error::{CommandError, Exit};
use crate::cli::merge::merged_readers;
use crate::cli::project::Project;
use crate::cli::readers;
use crate::file::{self, Original};
use crate::format::yaml;
use crate::secret::Secret;
use crate::tree::{Map, Node};

/// Name of the file.
pub(crate) const NAME: &str = ".sops.yaml";
const BEGIN: &str = "# sealctl: begin";
const END: &str = "# sealctl: end";
/// The selection rule of every environment document.
pub(crate) const SELECTION: &str = "^(secrets|password)$";
const LIMIT: u64 = 1 << 20;

/// Brings `.sops.yaml` up to date with `keys/`; it is made where there is none. Returns whether it changed.
///
/// # Errors
///
/// When it cannot be told where the rules belong, or on the disk.
pub(crate) fn refresh(project: &Project) -> Result<bool, CommandError> {
    let path = project.root().join(NAME);
    if file::kind(&path).is_none() {
        let rules = generate(project)?;
        let text = format!("creation_rules:\n{rules}");
        file::create(&path, &Secret::from(text), file::PUBLIC)?;
        return Ok(true);
    }
    Stale::of(project, &path)?.map_or(Ok(false), |stale| stale.renew().map(|()| true))
}

/// A `.sops.yaml` whose generated rules are not those of `keys/` any more.
pub(crate) struct Stale {
    original: Original,
    renewed: String,
}

impl Stale {
    /// The one of `project`, if it has one with generated rules and they are others now.
    ///
    /// # Errors
    ///
    /// As [`refresh`].
    pub(crate) fn find(project: &Project) -> Result<Option<Self>, CommandError> {
        let path = project.root().join(NAME);
        if file::kind(&path) != Some(file::Kind::File) {
            return Ok(None);
        }
        let text = file::read(&path, LIMIT)?;
        let text = text.expose_text().unwrap_or_default();
        match text.lines().any(|line| line.trim() == BEGIN) {
            true => Self::of(project, &path),
            false => Ok(None),
        }
    }

    fn of(project: &Project, path: &Path) -> Result<Option<Self>, CommandError> {
        let rules = generate(project)?;
        let original = file::read_original(path, LIMIT)?;
        let before = original.content().expose_text().unwrap_or_default();
        let renewed = insert(before, &rules).ok_or_else(|| {
            CommandError::new(
                "E0515",
                Exit::Project,
                ".sops.yaml has no place for the rules of envs/",
            )
            .why("creation_rules is not a block list, or a marker line is missing")
            .fix(format!(
                "put \"  {BEGIN}\" and \"  {END}\" below creation_rules: as first entries"
            ))
        })?;
        let is_stale = renewed != before;
        Ok(is_stale.then_some(Self { original, renewed }))
    }

    /// Writes the rules that `keys/` asks for.
    ///
    /// # Errors
    ///
    /// On the disk, and when the file was changed meanwhile.
    pub(crate) fn renew(self) -> Result<(), CommandError> {
        Ok(file::replace(&self.original, &Secret::from(self.renewed))?)
    }
}

/// The rules of all environments that have keys, with the marker lines.
fn generate(project: &Project) -> Result<String, CommandError> {
    let mut rules = Vec::new();
    for environment in project.environments() {
        if file::is_directory(&project.keys(&environment)) {
            let readers = readers::of(project, &environment)?;
            rules.push(EnvironmentRule {
                path: format!("^envs/{environment}/"),
                recipients: readers
                    .iter()
                    .map(|reader| reader.recipient.as_str().to_owned())
                    .collect(),
            });
        }
    }
    Ok(lines(&rules))
}

/// The rule of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EnvironmentRule {
    path: String,
    recipients: Vec<String>,
}

/// `rules` between the marker lines.
fn lines(rules: &[EnvironmentRule]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("  {BEGIN}\n");
    for EnvironmentRule { path, recipients } in rules {
        let _ = writeln!(text, "  - path_regex: {path}");
        let _ = writeln!(text, "    encrypted_regex: {SELECTION}");
        let _ = writeln!(text, "    age: >-");
        for (position, recipient) in recipients.iter().enumerate() {
            let comma = if position + 1 < recipients.len() {
                ","
            } else {
                ""
            };
            let _ = writeln!(text, "      {recipient}{comma}");
        }
    }
    let _ = writeln!(text, "  {END}");
    text
}

/// Two changed versions of a `.sops.yaml` merged: its generated rules environment by environment, recipient by
/// recipient; everything else as a whole. `None` where that leads to no result, as when both changed the rest.
pub(crate) fn merge([base, ours, theirs]: [&str; 3]) -> Option<String> {
    let [base_rest, ours_rest, theirs_rest] = [rest(base)?, rest(ours)?, rest(theirs)?];
    let text = match () {
        () if ours_rest == theirs_rest || base_rest == theirs_rest => ours,
        () if base_rest == ours_rest => theirs,
        () => return None,
    };
    let [base, ours, theirs] = [parsed(base)?, parsed(ours)?, parsed(theirs)?];
    insert(text, &lines(&merged(&base, &ours, &theirs)?))
}

/// What of `text` belongs to the user.
fn rest(text: &str) -> Option<[&str; 2]> {
    let begin = text.find(BEGIN)?;
    let end = begin + text[begin..].find(END)?;
    Some([&text[..begin], &text[end..]])
}

/// The generated rules of `text`.
fn parsed(text: &str) -> Option<Vec<EnvironmentRule>> {
    let begin = text.find(BEGIN)?;
    let end = begin + text[begin..].find(END)?;
    let start = text[..begin].rfind('\n').map_or(0, |at| at + 1);
    let tree = yaml::parse(&format!("rules:\n{}\n", &text[start..end])).ok()?;
    let Node::List(list) = &tree.find("rules")?.value else {
        // There are none.
        return Some(Vec::new());
    };
    let text_of = |map: &Map, key: &str| match &map.find(key)?.value {
        Node::Leaf(leaf) => leaf.text.expose_text().map(ToOwned::to_owned),
        _ => None,
    };
    list.nodes()
        .map(|node| {
            let Node::Map(rule) = node else { return None };
            let recipients = text_of(rule, "age")?;
            let names = recipients.split([',', ' ', '\n']).map(str::trim);
            Some(EnvironmentRule {
                path: text_of(rule, "path_regex")?,
                recipients: names
                    .filter(|name| !name.is_empty())
                    .map(ToOwned::to_owned)
                    .collect(),
            })
        })
        .collect()
}

/// The rules that both sides wanted; `None` where one side took an environment out that the other changed.
fn merged(
    base: &[EnvironmentRule],
    ours: &[EnvironmentRule],
    theirs: &[EnvironmentRule],
) -> Option<Vec<EnvironmentRule>> {
    let of = |rules: &[EnvironmentRule], path: &str| {
        rules.iter().find(|rule| rule.path == path).cloned()
    };
    let mut paths: Vec<&String> = ours.iter().chain(theirs).map(|rule| &rule.path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut rules = Vec::new();
    for path in paths {
        match (of(base, path), of(ours, path), of(theirs, path)) {
            (base, Some(ours), Some(theirs)) => {
                let base = base.map_or_else(Vec::new, |rule| rule.recipients);
                let recipients = merged_readers(&base, &ours.recipients, &theirs.recipients);
                rules.push(EnvironmentRule { recipients, ..ours });
            }
            (None, Some(added), None) | (None, None, Some(added)) => rules.push(added),
            (Some(base), Some(left), None) | (Some(base), None, Some(left)) => {
                if base != left {
                    return None;
                }
            }
            (_, None, None) => {}
        }
    }
    Some(rules)
}

/// `text` with `rules` in the place of the former ones, or first below `creation_rules:`. `None` where
/// that place cannot be found.
fn insert(text: &str, rules: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let marker = |wanted: &str| lines.iter().position(|line| line.trim() == wanted);
    let (head, tail) = match (marker(BEGIN), marker(END)) {
        (Some(begin), Some(end)) if begin < end => (begin, end + 1),
        (None, None) => match lines
            .iter()
            .position(|line| line.trim_end() == "creation_rules:")
        {
            Some(key) => (key + 1, key + 1),
            None if text.contains("creation_rules") => return None,
            None => {
                let gap = if text.is_empty() || text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                return Some(format!("{text}{gap}creation_rules:\n{rules}"));
            }
        },
        _ => return None,
    };
    let rules = indented(rules, &lines[tail..]);
    Some(format!(
        "{}{rules}{}",
        lines[..head].concat(),
        lines[tail..].concat()
    ))
}

/// `rules` as far indented as the user's own ones, which must be items of the same list.
fn indented(rules: &str, following: &[&str]) -> String {
    let item = following
        .iter()
        .find(|line| line.trim_start().starts_with("- "));
    let indent = item.map_or(2, |line| line.len() - line.trim_start().len());
    let mut text = String::with_capacity(rules.len() * 2);
    for line in rules.split_inclusive('\n') {
        text.push_str(&" ".repeat(indent));
        text.push_str(line.strip_prefix("  ").unwrap_or(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "  # sealctl: begin\n  - path_regex: ^envs/dev/\n  # sealctl: end\n";

    #[test]
    fn what_belongs_to_the_user_stays() {
        let theirs = "stores:\n  yaml:\n    indent: 2\ncreation_rules:\n  - pgp: ABC # mine\n";
        let once = insert(theirs, RULES).unwrap();
        assert_eq!(
            once,
            format!(
                "stores:\n  yaml:\n    indent: 2\ncreation_rules:\n{RULES}  - pgp: ABC # mine\n"
            )
        );
        assert_eq!(insert(&once, RULES).unwrap(), once);
        let other = RULES.replace("dev", "prod");
        assert_eq!(insert(&once, &other).unwrap(), once.replace("dev", "prod"));
    }

    fn file(tail: &str, rules: &[(&str, &str)]) -> String {
        let rules: Vec<EnvironmentRule> = rules
            .iter()
            .map(|(path, recipients)| EnvironmentRule {
                path: (*path).to_owned(),
                recipients: recipients
                    .split_whitespace()
                    .map(ToOwned::to_owned)
                    .collect(),
            })
            .collect();
        insert(&format!("# head\ncreation_rules:\n{tail}"), &lines(&rules)).unwrap()
    }

    #[test]
    fn who_was_removed_on_one_side_stays_removed_and_who_was_added_is_there() {
        let base = file(
            "",
            &[("^envs/dev/", "age1a age1b"), ("^envs/old/", "age1a")],
        );
        let ours = file(
            "  - pgp: ABC\n",
            &[
                ("^envs/dev/", "age1a age1b age1c"),
                ("^envs/old/", "age1a"),
                ("^envs/new/", "age1c"),
            ],
        );
        let theirs = file("", &[("^envs/dev/", "age1d age1a")]);
        let both = file(
            "  - pgp: ABC\n",
            &[("^envs/dev/", "age1a age1c age1d"), ("^envs/new/", "age1c")],
        );
        assert_eq!(merge([&base, &ours, &theirs]).unwrap(), both);
        let mirrored = merge([&base, &theirs, &ours]).unwrap();
        assert!(
            mirrored.contains("age1d")
                && mirrored.contains("- pgp: ABC")
                && !mirrored.contains("age1b")
        );
        assert_eq!(merge([&base, &base, &base]).unwrap(), base);
    }

    #[test]
    fn what_both_sides_changed_of_the_users_own_is_left_to_git() {
        let (base, rules) = (file("", &[]), [("^envs/dev/", "age1a")]);
        let (one, other) = (file("  - pgp: A\n", &rules), file("  - pgp: B\n", &rules));
        assert_eq!(merge([&base, &one, &other]), None);
        assert_eq!(merge([&base, &one, "creation_rules: []\n"]), None);
    }

    #[test]
    fn rules_stand_as_far_in_as_those_of_the_user() {
        let theirs = "creation_rules:\n- pgp: ABC\n";
        let once = insert(theirs, RULES).unwrap();
        assert_eq!(
            once,
            "creation_rules:\n# sealctl: begin\n- path_regex: ^envs/dev/\n# sealctl: end\n- pgp: ABC\n"
        );
        assert_eq!(insert(&once, RULES).unwrap(), once);
    }

    #[test]
    fn a_file_without_rules_gets_them_at_its_end() {
        assert_eq!(
            insert("stores: {}", RULES).unwrap(),
            format!("stores: {{}}\ncreation_rules:\n{RULES}")
        );
    }

    #[test]
    fn a_half_marked_or_flow_file_is_not_guessed_at() {
        assert_eq!(insert("creation_rules:\n  # sealctl: begin\n", RULES), None);
        assert_eq!(insert("creation_rules: []\n", RULES), None);
    }
}
