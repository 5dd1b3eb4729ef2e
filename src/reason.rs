//! The closed list of reasons: why a condition of a SealedEnv is as it is.
//!
//! The same words stand in status, Events, metrics and logs. What a person must act on has exactly one
//! of them. A reason never carries a value; what it is about goes into the message beside it.

use std::fmt;

/// What follows from a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonKind {
    /// All is well.
    Fine,
    /// Will not mend without a person.
    Stalled,
    /// Will be tried again, or is being worked on.
    Retried,
    /// Waits for an approval.
    Pending,
    /// Neither good nor bad: somebody asked for it.
    Neutral,
}

/// Declares the list once: variant, kind, meaning. The text of a reason is the name of its variant.
macro_rules! reasons {
    ($($variant:ident $kind:ident $doc:literal)*) => {
        /// A reason, in the order of the conditions that it belongs to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $doc] $variant,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The text in a condition: CamelCase, at most 128 characters.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            /// What follows from it.
            #[must_use]
            pub fn kind(self) -> ReasonKind {
                match self {
                    $(Self::$variant => ReasonKind::$kind,)*
                }
            }
        }
    };
}

reasons! {
    // Ready, or any condition
    Synced Fine "Everything is in place."
    Progressing Retried "Work in progress."
    Suspended Neutral "`spec.suspend` is set."
    InternalError Stalled "A bug; a panic was caught."
    // SourceReady
    Fetched Fine "seald has read the file itself."
    External Fine "Somebody else applies the SealedEnv."
    SourceUnavailable Retried "The directory, git or the network is missing."
    SourceUnstable Retried "Two reads of a file differed."
    SourceInvalid Stalled "The file cannot be mirrored; the SealedEnv keeps the former document."
    DiskFull Retried "No room for the git cache."
    NonFastForward Stalled "The history of git was rewritten."
    UnsafeTree Stalled "Links, paths or filters lead out of the root."
    MassDeletionGuard Stalled "Too much would be deleted at once."
    // Verified
    Verified Fine "Seal, signatures, revision and target are as the policy asks."
    NotRequired Fine "The policy asks for nothing."
    Pending Pending "Fewer valid signatures than the policy asks for."
    SignatureInvalid Stalled "A signature by an unknown, revoked or expired key, or over other bytes."
    SealInvalid Stalled "The seal is missing or wrong."
    RevisionTooOld Stalled "The revision is lower than the highest one applied."
    WrongTarget Stalled "Environment, namespace or name are those of another place."
    // Decrypted
    Decrypted Fine "Opened, its MAC is right and its content valid."
    NoIdentity Stalled "The identity is missing, empty or malformed."
    NotRecipient Stalled "None of the identities opens the document."
    IntegrityFailed Stalled "MAC or ciphertext are wrong."
    InvalidSpec Stalled "The custom resource itself is wrong."
    InvalidDocument Stalled "Grammar, names or sizes of the document are wrong."
    SchemaViolation Stalled "The document breaks its contract."
    // Applied
    Applied Fine "Every object is in place."
    ObjectNotOwned Stalled "A foreign object has the name."
    DuplicateTarget Stalled "Another living SealedEnv owns the object, or claimed it first."
    ImmutableObject Stalled "The object is immutable, or its type would change."
    AdmissionDenied Stalled "A webhook or Pod Security refused it."
    QuotaExceeded Stalled "A quota of the namespace is used up."
    Forbidden Stalled "RBAC does not allow it."
    DriftLoop Stalled "The object was restored too often."
    NamespaceMissing Retried "The namespace does not exist."
    NamespaceTerminating Retried "The namespace is being deleted."
    Conflict Retried "Others kept changing the object at the same time."
    ApiUnavailable Retried "The API server does not answer."
    ApiSlow Retried "The API server answers too late."
    ApiError Retried "The API server answered with an error of its own."
    Throttled Retried "The API server asked to slow down."
    Unauthorized Retried "The API server does not know seald's token."
    // RolledOut
    RolledOut Fine "Every workload runs the content, or has no pods."
    NotRequested Fine "Nothing of the kind was asked for, or nobody reads the content."
    RolloutInProgress Retried "A rollout is being followed."
    Superseded Retried "A newer revision took over."
    Paused Neutral "The workload is paused, or rolls only on deletion of its pods."
    RolloutFailed Stalled "The workload reports failure."
    RolloutTimedOut Stalled "The workload has not reported in time."
    RolloutBudget Retried "Too many restarts; the last content is rolled when the hour allows."
    RolledBack Stalled "The former content was restored."
    // Bootstrapped
    SuperuserCreated Fine "The superuser was created."
    SuperuserExists Fine "The superuser was there already."
    PasswordNotApplied Fine "The password of the document is not the one in force."
    BootstrapWaiting Retried "The Job waits for a rollout, migrations or another Job."
    BootstrapFailed Stalled "The Job failed."
    BootstrapLost Stalled "The Job went before its success was seen."
    BootstrapSkipped Stalled "A marker of an earlier life exists for another run."
    // only in readiness and metrics
    CrdMissing Stalled "The custom resource is not installed."
    SignersMissing Stalled "The policy asks for signatures and there is no list of signers."
    NotLeader Neutral "Another replica leads."
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_camel_case_words_that_kubernetes_takes() {
        for reason in Reason::ALL {
            let text = reason.as_str();
            assert!(
                text.len() <= 128 && text.starts_with(|first: char| first.is_ascii_uppercase())
            );
            assert!(
                text.bytes().all(|byte| byte.is_ascii_alphabetic()),
                "{text}"
            );
        }
    }
}
