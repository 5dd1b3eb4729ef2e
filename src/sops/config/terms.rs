//! What a creation rule says, as a new file is sealed by it.

use super::{ConfigError, CreationRule};
use crate::crypto::mac::Coverage;
use crate::crypto::{InvalidKey, Recipient};
use crate::format::Layout;
use crate::sops::readers::Readers;
use crate::sops::rule::{InvalidRule, Rule};
use crate::sops::seal::Terms;

/// A creation rule that no file can be sealed by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableRule {
    /// The rule contradicts itself, or a field has another type.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key of a service that files are not sealed for here.
    #[error("keys of {service} are kept, but not written")]
    Service {
        /// Its name in a sealed file.
        service: &'static str,
    },
    /// A recipient that is none.
    #[error("a recipient is {error}")]
    Recipient {
        /// What is wrong with it; the text is not shown, since it may be a private key.
        error: InvalidKey,
    },
    /// A selection rule that cannot be followed.
    #[error(transparent)]
    Selection(#[from] InvalidRule),
}

impl CreationRule {
    /// Who shall be able to open a new file: the groups of the rule, and how many of them are needed. Whether
    /// that many can be, is found out when a file is sealed.
    ///
    /// # Errors
    /// For keys that are no recipients of age.
    pub fn readers(&self) -> Result<Readers, UnusableRule> {
        let recipient = |key: &super::MasterKey| {
            if key.service != "age" {
                let service = key.service;
                return Err(UnusableRule::Service { service });
            }
            let parsed = key.name.parse::<Recipient>();
            parsed.map_err(|error| UnusableRule::Recipient { error })
        };
        let groups = self.groups()?;
        let groups = groups
            .iter()
            .map(|group| group.iter().map(recipient).collect())
            .collect::<Result<Vec<Vec<Recipient>>, _>>()?;
        let threshold = usize::try_from(self.threshold).ok();
        let threshold = threshold.filter(|number| *number > 0 && groups.len() > 1);
        Ok(Readers { groups, threshold })
    }

    /// What of a new file is encrypted, and how it is indented where it is printed: `layout` is for the
    /// format of the file, from the `stores` of the configuration.
    ///
    /// # Errors
    /// For several selection rules, and for a pattern that is none.
    pub fn terms(&self, layout: Layout) -> Result<Terms, UnusableRule> {
        let rule = match self.selection()? {
            Some((name, argument)) => Rule::named(name, argument).transpose()?,
            None => None,
        };
        Ok(Terms {
            rule: rule.unwrap_or_else(Rule::fallback),
            coverage: match self.mac_only_encrypted {
                true => Coverage::EncryptedOnly,
                false => Coverage::All,
            },
            layout,
        })
    }
}
