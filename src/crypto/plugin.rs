//! Keys of plugins of age: `age1NAME1…`, `AGE-PLUGIN-NAME-1…`.
//!
//! The age library finds `age-plugin-NAME` on the path, runs it and speaks with it; what it wants to ask
//! or tell goes to the person through [`Asking`]. Names are letters, digits and `+-._`, so that none leads
//! out of the path. The daemon reads no such key.

use std::collections::HashSet;
use std::str::FromStr;

use age::plugin::{self, IdentityPluginV1, RecipientPluginV1};
use age::secrecy::SecretString;
use age::{Callbacks, EncryptError};
use age_core::format::{FileKey, Stanza};

use super::identity::InvalidKey;
use super::wrap::{Attempt, Fault, Unlock, Unusable};
use super::{Asking, ask};

/// A plugin's public key.
#[derive(Clone)]
pub(super) struct Recipient {
    key: plugin::Recipient,
    asking: Asking,
}

impl Recipient {
    /// Lets the plugin ask `asking` from now on.
    pub(super) fn ask(&mut self, asking: &Asking) {
        self.asking = asking.clone();
    }
}

impl FromStr for Recipient {
    type Err = InvalidKey;

    /// Reads the key; nobody is asked anything while it wraps.
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let key = text.parse().map_err(|_| InvalidKey::Plugin)?;
        let asking = Asking::nobody();
        Ok(Self { key, asking })
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let keys = std::slice::from_ref(&self.key);
        let bridge = Bridge(self.asking.clone());
        let plugin = RecipientPluginV1::new(self.key.plugin(), keys, &[], bridge);
        plugin
            .map_err(EncryptError::PluginResolve)?
            .wrap_file_key(file_key)
    }
}

/// A plugin's private key, or whatever it keeps in its place.
#[derive(Clone)]
pub(super) struct Identity {
    key: plugin::Identity,
    source: String,
    asking: Asking,
}

impl Identity {
    /// Reads `AGE-PLUGIN-NAME-1…`.
    pub(super) fn parse(text: &str, source: &str, asking: &Asking) -> Result<Self, InvalidKey> {
        Ok(Self {
            key: text.parse().map_err(|_| InvalidKey::Plugin)?,
            source: ask::tame(source),
            asking: asking.clone(),
        })
    }

    fn fault(&self, error: &impl ToString) -> Fault {
        let (name, why) = (self.key.plugin(), ask::tame(&error.to_string()));
        Fault::Unusable(Unusable {
            source_name: self.source.clone(),
            why: format!("plugin {name}: {why}"),
        })
    }
}

impl Unlock for Identity {
    fn attempt(&self, lines: &[Stanza]) -> Attempt {
        let keys = std::slice::from_ref(&self.key);
        let bridge = Bridge(self.asking.clone());
        match IdentityPluginV1::new(self.key.plugin(), keys, bridge) {
            Ok(plugin) => {
                let found = age::Identity::unwrap_stanzas(&plugin, lines)?;
                Some(found.map_err(|error| self.fault(&error)))
            }
            Err(error) => Some(Err(self.fault(&error))),
        }
    }
}

/// What the age library calls when a plugin asks.
#[derive(Clone)]
struct Bridge(Asking);

impl Callbacks for Bridge {
    fn display_message(&self, message: &str) {
        self.0.tell(&ask::tame(message));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let no = no.map(ask::tame);
        let answer = self
            .0
            .confirm(&ask::tame(message), &ask::tame(yes), no.as_deref());
        answer.ok()
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.line(&ask::tame(description)).ok()
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let answer = self.0.secret(&ask::tame(description)).ok()?;
        answer.expose_text().map(SecretString::from)
    }
}

#[cfg(test)]
mod tests;
