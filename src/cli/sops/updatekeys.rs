//! `updatekeys`: the keys of sealed files, brought up to the configuration. Nothing else changes.

use std::io::BufRead as _;
use std::path::Path;

use super::call::{Call, Input, absolute};
use super::engine;
use super::failure::{Failure, go_words};
use super::{output, unlock};
use crate::cli::configuration::Configuration;
use crate::cli::recipients;
use crate::file::{self, Kind};
use crate::format::Format;
use crate::name::of_path;
use crate::sops::Sealed;
use crate::sops::config::MasterKey;

/// `updatekeys`.
pub(super) fn updatekeys(call: &mut Call<'_>) -> Result<(), Failure> {
    let settings = call.configuration()?;
    if settings.path().is_none() {
        return Err(Failure::generic("config file not found"));
    }
    if call.own.arguments.is_empty() {
        return Err(Failure::new(
            super::failure::Exit::NoFile,
            "Error: no file specified",
        ));
    }
    let files = call.own.arguments.clone();
    if let [file] = &files[..] {
        return update(call, &settings, &absolute(file)?);
    }
    let mut failed = 0;
    for file in &files {
        let done = absolute(file)
            .map_err(Failure::from)
            .and_then(|file| update(call, &settings, &file));
        if let Err(failure) = done {
            call.ui.status(failure.text());
            failed += 1;
        }
    }
    match failed {
        0 => Ok(()),
        count => Err(Failure::generic(format!("failed updating {count} key(s)"))),
    }
}

fn update(call: &mut Call<'_>, settings: &Configuration, file: &Path) -> Result<(), Failure> {
    let shown = of_path(file);
    match file::kind(file) {
        None => {
            let error = file::canonical(file).err();
            let why = error.map(|error| go_words(file.as_os_str(), &error));
            let why = why.unwrap_or_default();
            let why = why.strip_prefix("open ").unwrap_or(&why);
            return Err(Failure::generic(format!("stat {why}")));
        }
        Some(Kind::Directory) => {
            return Err(Failure::generic("can't operate on a directory"));
        }
        Some(Kind::File | Kind::Other) => {}
    }
    call.ui.status(&format!("Syncing keys for file {shown}"));
    let rule = settings.rule_for(file)?.ok_or_else(|| {
        let text = "The config file .sops.yaml does not contain any creation rule";
        Failure::generic(text)
    })?;
    let wanted = rule
        .groups()
        .map_err(|error| Failure::generic(error.to_string()))?;
    // Before anything is shown or asked: an answer would be for nothing.
    for key in wanted.iter().flatten().filter(|key| key.service == "age") {
        recipients::recipient(key)?;
    }
    let word = call.own.text("input-type");
    let format = word
        .and_then(|word| Format::from_word(&word))
        .unwrap_or_else(|| Format::of_file_name(&file.to_string_lossy()));
    let input = Input::File(file.to_owned());
    let loaded = output::load(&input)?;
    let sealed = engine::read(format, loaded.content(), file)?;
    let present = keys(&sealed);
    let Some(changes) = difference(&present, &names(&wanted)) else {
        let text = format!("File {shown} already up to date");
        call.ui.status(&text);
        return Ok(());
    };
    let head = "The following changes will be made to the file's groups:\n";
    let kept = sealed.metadata().threshold.filter(|_| present.len() > 1);
    let threshold = kept.map(|number| number.min(wanted.len()));
    let change = threshold_change(kept, threshold);
    call.ui.data(format!("{head}{change}{changes}").as_bytes());
    if !call.own.is_on("yes") && !agreed(call)? {
        call.ui.status(&format!("File {shown} left unchanged"));
        return Ok(());
    }
    let several = threshold.filter(|_| wanted.len() > 1);
    let threshold = several.and_then(|number| i64::try_from(number).ok());
    let (wanted, dropped) = without_foreign(&sealed, wanted)?;
    let readers = recipients::readers(wanted, threshold.unwrap_or(0))?;
    let key = unlock::data_key(call, &sealed)?;
    let draft = engine::rewrap(&sealed, &key, &readers, &dropped, file)?;
    output::replace(file, &loaded, draft.sealed.text())?;
    call.ui
        .status(&format!("File {shown} synced with new keys"));
    Ok(())
}

/// What is said of the number of groups that are needed: never more than there are.
fn threshold_change(former: Option<usize>, now: Option<usize>) -> String {
    match (former, now) {
        (Some(former), Some(now)) if former == now => format!("shamir_threshold: {now}\n"),
        (Some(former), Some(now)) => {
            format!("+++ shamir_threshold: {now}\n--- shamir_threshold: {former}\n")
        }
        _ => String::new(),
    }
}

/// The age keys of `wanted`, and the kinds of other keys that the file has and that are not wanted any
/// more. What is wanted and there stays as it is.
///
/// # Errors
/// When a key of another service is to come, or some of a kind are to go and some to stay.
fn without_foreign(
    sealed: &Sealed,
    wanted: Vec<Vec<MasterKey>>,
) -> Result<(Vec<Vec<MasterKey>>, Vec<&'static str>), Failure> {
    let present = sealed.metadata().foreign();
    let is_wanted = |kind: &str| wanted.iter().flatten().any(|key| key.service == kind);
    let dropped: Vec<&str> = present
        .iter()
        .copied()
        .filter(|kind| !is_wanted(kind))
        .collect();
    let groups = sealed.metadata().groups.iter();
    let pgp: Vec<&str> = groups
        .flat_map(|group| &group.pgp)
        .map(|key| key.fingerprint.as_str())
        .collect();
    for key in wanted.iter().flatten().filter(|key| key.service != "age") {
        let is_there = match key.service {
            "pgp" => pgp.contains(&key.name.as_str()),
            kind => present.contains(&kind),
        };
        if !is_there {
            recipients::recipient(key)?;
        }
    }
    let wanted_pgp = wanted.iter().flatten().filter(|key| key.service == "pgp");
    if !dropped.contains(&"pgp") && wanted_pgp.count() != pgp.len() {
        return Err(Failure::generic(
            "some PGP keys would stay and some go, which sealctl cannot do; use SOPS itself for it",
        ));
    }
    let age = |group: Vec<MasterKey>| {
        let age = group.into_iter().filter(|key| key.service == "age");
        age.collect()
    };
    Ok((wanted.into_iter().map(age).collect(), dropped))
}

/// Asks on standard output and reads the answer from standard input, as SOPS does.
fn agreed(call: &mut Call<'_>) -> Result<bool, Failure> {
    call.ui.data(b"Is this okay? (y/n):");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(0) => Err(Failure::generic("EOF")),
        Ok(_) => Ok(matches!(answer.trim(), "y" | "Y" | "yes")),
        Err(error) => Err(Failure::generic(error.to_string())),
    }
}

/// The keys of each group of a sealed file.
fn keys(sealed: &Sealed) -> Vec<Vec<String>> {
    let groups = sealed.metadata().groups.iter().map(|group| {
        let age = group.age.iter().map(|key| key.recipient.clone());
        let pgp = group.pgp.iter().map(|key| key.fingerprint.clone());
        let others = group.foreign.iter().map(|name| (*name).to_owned());
        age.chain(pgp).chain(others).collect()
    });
    groups.collect()
}

/// The wanted keys as [`keys`] names those that are there: of other services only the kind is known.
fn names(groups: &[Vec<MasterKey>]) -> Vec<Vec<String>> {
    let names = |group: &Vec<MasterKey>| {
        let mut names: Vec<String> = Vec::new();
        for key in group {
            let name = match key.service {
                "age" | "pgp" => &key.name,
                kind => kind,
            };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    };
    groups.iter().map(names).collect()
}

/// What stays, comes and goes in each group; `None` when nothing comes or goes.
fn difference(present: &[Vec<String>], wanted: &[Vec<String>]) -> Option<String> {
    let mut text = String::new();
    let mut changes = false;
    let none = Vec::new();
    for place in 0..present.len().max(wanted.len()) {
        let ours = present.get(place).unwrap_or(&none);
        let theirs = wanted.get(place).unwrap_or(&none);
        text.push_str("Group ");
        text.push_str(&(place + 1).to_string());
        text.push('\n');
        let kept = ours.iter().filter(|key| theirs.contains(key));
        let added = theirs.iter().filter(|key| !ours.contains(key));
        let removed = ours.iter().filter(|key| !theirs.contains(key));
        let mark = |mark: &'static str| move |key: &String| format!("{mark} {key}\n");
        let kept: String = kept.map(mark("   ")).collect();
        let changed: String = added
            .map(mark("+++"))
            .chain(removed.map(mark("---")))
            .collect();
        changes |= !changed.is_empty();
        text.push_str(&kept);
        text.push_str(&changed);
    }
    changes.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &[&[&str]]) -> Vec<Vec<String>> {
        let group = |group: &&[&str]| group.iter().map(|key| (*key).to_owned()).collect();
        text.iter().map(group).collect()
    }

    #[test]
    fn no_more_groups_are_needed_than_there_are() {
        assert_eq!(threshold_change(Some(2), Some(2)), "shamir_threshold: 2\n");
        assert_eq!(
            threshold_change(Some(3), Some(2)),
            "+++ shamir_threshold: 2\n--- shamir_threshold: 3\n"
        );
        assert_eq!(threshold_change(None, None), "");
    }

    #[test]
    fn the_difference_shows_every_group_and_is_none_when_nothing_comes_or_goes() {
        let (one, two) = (groups(&[&["a", "b"]]), groups(&[&["b", "c"], &["d"]]));
        assert_eq!(
            difference(&one, &two).unwrap(),
            "Group 1\n    b\n+++ c\n--- a\nGroup 2\n+++ d\n"
        );
        assert_eq!(difference(&one, &groups(&[&["b", "a"]])), None);
    }
}
