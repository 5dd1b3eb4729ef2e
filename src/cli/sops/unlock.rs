//! The keys of a call: identities of this user, and recipients from flags and configuration.

use super::call::Call;
use super::engine;
use super::failure::{Exit, Failure};
use crate::cli::recipients::{self, listed, recipient};
use crate::cli::ui::asker::Terminal;
use crate::crypto::mac::Coverage;
use crate::crypto::{Asking, DataKey};
use crate::keyring::{Keyring, Sources};
use crate::sops::config::{CreationRule, MasterKey};
use crate::sops::{Readers, Rule, Sealed};

/// Flags of master keys, with the key services they belong to.
const KEY_FLAGS: [(&str, &str); 7] = [
    ("age", "age"),
    ("pgp", "pgp"),
    ("kms", "kms"),
    ("gcp-kms", "gcp_kms"),
    ("hckms", "hckms"),
    ("azure-kv", "azure_kv"),
    ("hc-vault-transit", "hc_vault"),
];
/// Flags of selection rules, with their names in a file.
const RULE_FLAGS: [(&str, &str); 6] = [
    ("encrypted-suffix", "encrypted_suffix"),
    ("unencrypted-suffix", "unencrypted_suffix"),
    ("encrypted-regex", "encrypted_regex"),
    ("unencrypted-regex", "unencrypted_regex"),
    ("encrypted-comment-regex", "encrypted_comment_regex"),
    ("unencrypted-comment-regex", "unencrypted_comment_regex"),
];

/// Unwraps the data key of `sealed` with whatever identity this user has.
///
/// # Errors
/// Exit code 128, with what was tried.
pub(super) fn data_key(call: &Call<'_>, sealed: &Sealed) -> Result<DataKey, Failure> {
    call.check_order()?;
    let environ = &call.environ;
    let order = call.own.raw("decryption-order");
    let sources = Sources::from_variables(|name| match name {
        "SOPS_DECRYPTION_ORDER" => order.map(ToOwned::to_owned),
        name => environ.raw(name).map(ToOwned::to_owned),
    });
    let keyring = Keyring::new(sources, Asking::new(Terminal));
    sealed.unlock(&keyring).map_err(|error| {
        let report = keyring.report();
        for problem in &report.problems {
            call.warn(&format!("{}: {}", problem.source, problem.why));
        }
        engine::no_key(&error, &report.unused)
    })
}

/// The keys for a new file: those of the flags, else those of the rule.
///
/// # Errors
/// Without any key, without a fitting rule, or for a key that cannot be written.
pub(super) fn readers(call: &Call<'_>, rule: Option<&CreationRule>) -> Result<Readers, Failure> {
    let threshold = call.own.number("shamir-secret-sharing-threshold");
    let typed = typed_keys(call);
    if !typed.is_empty() {
        return Ok(recipients::readers(vec![typed], threshold.unwrap_or(0))?);
    }
    let Some(rule) = rule else {
        return Err(Failure::generic(
            "config file not found, or has no creation rules, and no keys provided through command line options",
        ));
    };
    Ok(recipients::of_rule(rule, threshold)?)
}

fn typed_keys(call: &Call<'_>) -> Vec<MasterKey> {
    let mut keys = Vec::new();
    for (flag, service) in KEY_FLAGS {
        for text in call.own.texts(flag) {
            keys.extend(listed(service, &text));
        }
    }
    keys
}

/// The selection rule of a new file: of the flags, else of the configuration, else the one that SOPS
/// takes. One that is no regular expression is said to match nothing.
///
/// # Errors
/// Exit code 8 for more than one.
pub(super) fn rule(call: &Call<'_>, config: Option<&CreationRule>) -> Result<Rule, Failure> {
    let mut chosen: Vec<(&str, String)> = Vec::new();
    for (flag, name) in RULE_FLAGS {
        chosen.extend(call.own.text(flag).map(|argument| (name, argument)));
    }
    if let Some(config) = config {
        let selection = config
            .selection()
            .map_err(|error| Failure::generic(error.to_string()))?;
        if let Some((name, argument)) = selection {
            // A flag of the same kind takes the place of what the configuration says.
            if !chosen.iter().any(|(known, _)| *known == name) {
                chosen.push((name, argument.to_owned()));
            }
        }
    }
    match &chosen[..] {
        [] => Ok(Rule::fallback()),
        [(name, argument)] => match Rule::tolerant(name, argument) {
            Some(Ok(rule)) => {
                if rule.is_broken() {
                    call.warn(&format!(
                        "{name}: \"{argument}\" is no regular expression and matches nothing"
                    ));
                }
                Ok(rule)
            }
            Some(Err(error)) => Err(Failure::generic(error.to_string())),
            None => Ok(Rule::fallback()),
        },
        _ => Err(Failure::new(
            Exit::Conflict,
            "Error: cannot use more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex, unencrypted_regex, encrypted_comment_regex, or unencrypted_comment_regex in the same file",
        )),
    }
}

/// What the MAC of a new file covers.
pub(super) fn coverage(call: &Call<'_>, config: Option<&CreationRule>) -> Coverage {
    let only = call.globals.is_on("mac-only-encrypted")
        || config.is_some_and(|rule| rule.mac_only_encrypted);
    if only {
        Coverage::EncryptedOnly
    } else {
        Coverage::All
    }
}

/// Those who can open `sealed` now.
///
/// # Errors
/// When one of them cannot be written again.
pub(super) fn readers_of(sealed: &Sealed) -> Result<Readers, Failure> {
    let metadata = sealed.metadata();
    let groups = metadata.groups.iter().map(|group| {
        let names = group.age.iter().map(|key| key.recipient.as_str());
        names
            .map(|name| {
                recipient(&MasterKey {
                    service: "age",
                    name: name.to_owned(),
                })
            })
            .collect()
    });
    Ok(Readers {
        groups: groups.collect::<Result<_, _>>()?,
        threshold: metadata.threshold.filter(|_| metadata.groups.len() > 1),
    })
}
