//! One SealedEnv as the edge knows it: whose objects are read and written.

use super::kind::{Kind, Place};
use crate::vocabulary;

/// A SealedEnv by name and UID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Its namespace, and that of everything that belongs to it.
    pub namespace: String,
    /// Its name, which is the app.
    pub name: String,
    /// Its UID: one made anew is another one.
    pub uid: String,
    /// Its environment.
    pub environment: String,
}

impl Scope {
    /// The object `name` of a kind in its namespace.
    #[must_use]
    pub fn place(&self, kind: Kind, name: impl Into<String>) -> Place {
        Place::new(kind, self.namespace.clone(), name)
    }

    /// The SealedEnv itself.
    #[must_use]
    pub fn sealed_env(&self) -> Place {
        self.place(Kind::SealedEnv, self.name.clone())
    }

    /// Its state Secret.
    #[must_use]
    pub fn state_secret(&self) -> Place {
        self.place(Kind::Secret, vocabulary::state_secret(&self.name))
    }

    /// The Secret that hands the superuser's credentials to the Job.
    #[must_use]
    pub fn credentials(&self) -> Place {
        self.place(Kind::Secret, vocabulary::bootstrap_secret(&self.name))
    }
}
