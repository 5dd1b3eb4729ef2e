//! Recipients by name, as flags and `.sops.yaml` give them, for files that are no environment documents.

use crate::cli::configuration::Unusable;
use crate::cli::ui::asker::Terminal;
use crate::crypto::{Asking, InvalidKey, Recipient};
use crate::sops::Readers;
use crate::sops::config::{CreationRule, MasterKey};

/// The keys of a text with commas.
pub(crate) fn listed(service: &'static str, text: &str) -> Vec<MasterKey> {
    let names = text.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| MasterKey {
            service,
            name: name.to_owned(),
        })
        .collect()
}

/// The readers that a creation rule names. A `threshold` that was typed goes before its own.
///
/// # Errors
/// As [`readers`], and for keys that are given as something else than texts.
pub(crate) fn of_rule(rule: &CreationRule, threshold: Option<i64>) -> Result<Readers, Unusable> {
    let groups = rule.groups().map_err(|error| Unusable(error.to_string()))?;
    let threshold = threshold.filter(|number| *number != 0);
    readers(groups, threshold.unwrap_or(rule.threshold))
}

/// Groups of master keys as readers.
///
/// # Errors
/// For an empty group, a recipient that is none, a key of a service that cannot be written, and an
/// impossible threshold.
pub(crate) fn readers(groups: Vec<Vec<MasterKey>>, threshold: i64) -> Result<Readers, Unusable> {
    let several = groups.len() > 1;
    let groups = groups
        .into_iter()
        .map(|group| group.iter().map(recipient).collect())
        .collect::<Result<Vec<Vec<Recipient>>, Unusable>>()?;
    if groups.iter().any(Vec::is_empty) {
        return Err(Unusable(
            "Could not generate data key: [empty key group provided]".to_owned(),
        ));
    }
    let threshold = match threshold {
        _ if !several => None,
        0 => None,
        number => Some(checked(number, groups.len())?),
    };
    Ok(Readers { groups, threshold })
}

fn checked(threshold: i64, groups: usize) -> Result<usize, Unusable> {
    let why = match usize::try_from(threshold) {
        Ok(number) if number > groups => "parts cannot be less than threshold",
        Ok(number) if number >= 2 => return Ok(number),
        _ => "threshold must be at least 2",
    };
    Err(Unusable(format!(
        "Could not generate data key: [could not split data key into parts for Shamir: {why}]"
    )))
}

/// The recipient that a master key names. A plugin asks on the terminal while it wraps.
///
/// # Errors
/// When it is none, or of a service that cannot be written.
pub(crate) fn recipient(key: &MasterKey) -> Result<Recipient, Unusable> {
    if key.service != "age" {
        return Err(Unusable(format!(
            "Could not generate data key: [failed to encrypt new data key with master key \"{}\": keys of {} are kept, but not written by sealctl]",
            key.name, key.service
        )));
    }
    let parsed = key.name.parse::<Recipient>();
    let parsed = parsed.map(|recipient| recipient.asking(&Asking::new(Terminal)));
    parsed.map_err(|error| {
        let shown = match error {
            // Whoever sees this message must not see the key.
            InvalidKey::PrivateKey => String::new(),
            _ => format!(" \"{}\"", key.name),
        };
        Unusable(format!(
            "failed to parse input as age public key: malformed recipient{shown}: {error}"
        ))
    })
}
