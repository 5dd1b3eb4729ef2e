//! `groups add` and `groups delete`: the key groups of a sealed file. The data key stays.

use std::path::PathBuf;

use super::call::{Call, Input};
use super::engine;
use super::failure::Failure;
use super::verbs::OTHER_SERVICES;
use super::{output, unlock};
use crate::cli::recipients;
use crate::sops::{Readers, Sealed};

/// `groups add`.
pub(super) fn add(call: &mut Call<'_>) -> Result<(), Failure> {
    if !call.own.arguments.is_empty() {
        return Err(Failure::generic("error: no positional arguments allowed"));
    }
    for service in OTHER_SERVICES {
        if let Some(name) = call.own.texts(service).first() {
            return Err(Failure::generic(format!(
                "cannot add {name}: keys of {service} are kept, but not written by sealctl"
            )));
        }
    }
    let mut group = Vec::new();
    for text in call.own.texts("age") {
        for key in recipients::listed("age", &text) {
            group.push(recipients::recipient(&key)?);
        }
    }
    if group.is_empty() {
        return Err(Failure::generic(
            "a key group without any key would open for nobody; name one with --age",
        ));
    }
    regroup(call, |readers| {
        readers.groups.push(group);
        Ok(())
    })
}

/// `groups delete`.
pub(super) fn delete(call: &mut Call<'_>) -> Result<(), Failure> {
    let [index] = &call.own.arguments[..] else {
        return Err(Failure::generic(
            "error: exactly one positional argument (index) required",
        ));
    };
    let index = index.to_string_lossy().into_owned();
    let index: usize = index.parse().map_err(|_| {
        Failure::generic(format!(
            "failed to parse [index] argument: strconv.ParseUint: parsing \"{index}\": invalid syntax"
        ))
    })?;
    let typed = call.own.number("shamir-secret-sharing-threshold");
    regroup(call, |readers| {
        let count = readers.groups.len();
        if index >= count {
            return Err(Failure::generic(format!(
                "there is no key group {index}; the file has {count}, counted from 0"
            )));
        }
        if count == 1 {
            return Err(Failure::generic(
                "the only key group cannot be deleted: nobody could open the file",
            ));
        }
        readers.groups.remove(index);
        let threshold = readers.threshold.filter(|_| typed.is_none());
        match threshold.filter(|threshold| *threshold > count - 1) {
            Some(threshold) => Err(Failure::generic(format!(
                "removing this key group will make the Shamir threshold impossible to satisfy: Shamir threshold is {threshold}, but we only have {} key groups; {}",
                count - 1,
                possible(count - 1)
            ))),
            None => Ok(()),
        }
    })
}

/// Opens the file of `--file`, lets `change` change its groups, and writes it.
fn regroup(
    call: &mut Call<'_>,
    change: impl FnOnce(&mut Readers) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let file = PathBuf::from(call.own.raw("file").unwrap_or_default());
    let settings = call.configuration()?;
    let stores = call.stores(&file, &settings);
    let input = Input::File(file.clone());
    let loaded = output::load(&input)?;
    let sealed = engine::read(stores.input, loaded.content(), &file)?;
    let readers = changed(call, &sealed, change)?;
    let key = unlock::data_key(call, &sealed).map_err(|failure| {
        Failure::generic(format!("Error getting data key: {}", failure.text()))
    })?;
    let draft = engine::rewrap(&sealed, &key, &readers, &[], &file)?;
    output::deliver(call, &input, &loaded, draft.sealed.text())
}

fn changed(
    call: &Call<'_>,
    sealed: &Sealed,
    change: impl FnOnce(&mut Readers) -> Result<(), Failure>,
) -> Result<Readers, Failure> {
    let mut readers = unlock::readers_of(sealed)?;
    change(&mut readers)?;
    let typed = call.own.number("shamir-secret-sharing-threshold");
    if let Some(number) = typed.filter(|number| *number != 0) {
        readers.threshold = usize::try_from(number).ok();
    }
    let count = readers.groups.len();
    if count == 1 {
        readers.threshold = None;
    }
    let threshold = readers.threshold.unwrap_or(2);
    if count > 1 && !(2..=count).contains(&threshold) {
        return Err(Failure::generic(format!(
            "the Shamir threshold {threshold} is impossible with {count} key groups; {}",
            possible(count)
        )));
    }
    Ok(readers)
}

/// What to type for a threshold that `count` key groups can satisfy.
fn possible(count: usize) -> String {
    let numbers = match count {
        ..=1 => "1".to_owned(),
        2 => "2".to_owned(),
        _ => format!("a number from 2 to {count}"),
    };
    format!("give --shamir-secret-sharing-threshold {numbers}")
}
