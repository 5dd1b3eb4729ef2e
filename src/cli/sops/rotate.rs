//! `rotate`: the same values under a new data key, keys added and taken out by flags.

use super::call::Call;
use super::engine::{self, MacPolicy};
use super::failure::Failure;
use super::verbs::OTHER_SERVICES;
use super::{open, output, unlock};
use crate::cli::recipients;
use crate::sops::{Readers, Sealed};

/// `rotate`.
pub(super) fn rotate(call: &mut Call<'_>) -> Result<(), Failure> {
    call.warn_of_unread(1);
    let file = call.file()?;
    if call.changes_keys() && !super::call::exists(&file) {
        return Err(call.missing(&file));
    }
    let input = super::call::Input::File(file);
    call.check_output(&input)?;
    let settings = call.configuration()?;
    let name = call.name(&input)?;
    let stores = call.stores(&name, &settings);
    let loaded = output::load(&input)?;
    let sealed = engine::read(stores.input, loaded.content(), &name)?;
    let policy = if call.is_legacy {
        open::policy(call)
    } else {
        MacPolicy::Require
    };
    let opened = engine::open(call, sealed, policy, &name)?;
    let readers = readers(call, opened.sealed())?;
    let dropped = dropped(call, opened.sealed());
    let draft = engine::rotate(&opened, &readers, &dropped, &name)?;
    engine::warn_of_lost(call, &draft, &name);
    let text = engine::sealed_text(&draft, &stores, &name)?;
    output::deliver(call, &input, &loaded, &text)
}

/// The kinds of keys of other services that the flags take out.
fn dropped(call: &Call<'_>, sealed: &Sealed) -> Vec<&'static str> {
    let mut dropped = Vec::new();
    for kind in sealed.metadata().foreign() {
        let flag = match kind {
            "azure_kv" => "rm-azure-kv",
            "gcp_kms" => "rm-gcp-kms",
            "hc_vault" => "rm-hc-vault-transit",
            "hckms" => "rm-hckms",
            "kms" => "rm-kms",
            _ => "rm-pgp",
        };
        let Some(names) = call.own.text(flag) else {
            continue;
        };
        let groups = sealed.metadata().groups.iter();
        let mut pgp = groups.flat_map(|group| &group.pgp);
        // Of the other kinds it is not known here which key is which.
        if kind != "pgp" || pgp.all(|key| names.contains(&key.fingerprint)) {
            call.warn(&format!("all keys of {kind} are taken out"));
            dropped.push(kind);
        }
    }
    dropped
}

/// Who can open the file now, with those added and without those taken out.
fn readers(call: &Call<'_>, sealed: &Sealed) -> Result<Readers, Failure> {
    for service in OTHER_SERVICES {
        if let Some(name) = call.own.text(&format!("add-{service}")) {
            return Err(Failure::generic(format!(
                "cannot add {name}: keys of {service} are kept, but not written by sealctl"
            )));
        }
    }
    let names = |flag: &str| recipients::listed("age", &call.own.text(flag).unwrap_or_default());
    let mut readers = unlock::readers_of(sealed)?;
    let added = names("add-age");
    let added = added
        .iter()
        .map(recipients::recipient)
        .collect::<Result<Vec<_>, _>>()?;
    let removed = names("rm-age");
    for group in &mut readers.groups {
        group.retain(|one| !removed.iter().any(|key| key.name == one.as_str()));
    }
    if let Some(first) = readers.groups.first_mut() {
        for one in added {
            let is_removed = removed.iter().any(|key| key.name == one.as_str());
            if !is_removed && !first.contains(&one) {
                first.push(one);
            }
        }
    }
    Ok(readers)
}
