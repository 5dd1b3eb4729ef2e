//! What a watch sees, and how objects become that.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cluster::error::ApiError;
use crate::cluster::extract;
use crate::cluster::kind::{Kind, Place};
use crate::cluster::sealed_env::SealedEnvSeen;
use crate::env::WorkloadKind;
use crate::name::EnvName;
use crate::plan::snapshot::{JobSeen, Workload};

/// Something that a watch saw.
#[derive(Debug)]
pub enum Watched {
    /// A SealedEnv of a served environment.
    SealedEnv {
        /// The environment of the watch.
        environment: EnvName,
        /// The namespace of the watch; `None` for all.
        namespace: Option<String>,
        /// What happened.
        change: SealedEnvChange,
    },
    /// A workload.
    Workload {
        /// The namespace of the watch; `None` for all.
        namespace: Option<String>,
        /// Its kind.
        kind: WorkloadKind,
        /// What happened; with the namespace of each.
        change: Change<(String, Workload)>,
    },
    /// A Job.
    Job {
        /// The namespace of the watch; `None` for all.
        namespace: Option<String>,
        /// What happened; with the namespace of each.
        change: Change<(String, JobSeen)>,
    },
    /// An object that cannot be read was skipped.
    Unreadable(Place),
    /// A watch does not work at the moment, and is tried again.
    Failing {
        /// Of which kind.
        kind: Kind,
        /// In which namespace; `None` for all.
        namespace: Option<String>,
        /// Why.
        error: ApiError,
    },
    /// A watch that failed works again.
    Recovered {
        /// Of which kind.
        kind: Kind,
        /// In which namespace; `None` for all.
        namespace: Option<String>,
    },
}

/// A change of a small thing.
#[derive(Debug)]
pub enum Change<T> {
    /// All that exist: what is missing was deleted meanwhile.
    Replaced(Vec<T>),
    /// New or changed.
    Put(T),
    /// Deleted.
    Gone {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// A change of a SealedEnv. They are large, so a list comes one by one.
#[derive(Debug)]
pub enum SealedEnvChange {
    /// New, changed, or part of a list.
    Put(Box<SealedEnvSeen>),
    /// Deleted.
    Gone {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A list is complete: (namespace, name) of all that exist, unreadable ones too.
    Listed(BTreeSet<(String, String)>),
}

/// What a watch turns objects into. While a list is read, `list` holds what was found so far.
pub(super) enum Target {
    SealedEnvs {
        environment: EnvName,
        names: BTreeSet<(String, String)>,
    },
    Workloads {
        kind: WorkloadKind,
        list: Option<Vec<(String, Workload)>>,
    },
    Jobs {
        list: Option<Vec<(String, JobSeen)>>,
    },
}

/// Which object it is, and of which version. Readable also where the rest is not.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NameOf {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) resource_version: Option<String>,
}

impl NameOf {
    pub(super) fn of(object: &RawValue) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Named {
            metadata: NameOf,
        }
        serde_json::from_str::<Named>(object.get())
            .unwrap_or_default()
            .metadata
    }
}

impl Target {
    /// Query parameter that limits the watch, beginning with `&`.
    pub(super) fn selector(&self) -> String {
        match self {
            Self::SealedEnvs { environment, .. } => {
                format!("&fieldSelector=spec.environment%3D{environment}")
            }
            Self::Workloads { .. } | Self::Jobs { .. } => String::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        match self {
            Self::SealedEnvs { names, .. } => names.clear(),
            Self::Workloads { list, .. } => *list = Some(Vec::new()),
            Self::Jobs { list } => *list = Some(Vec::new()),
        }
    }

    pub(super) fn put(
        &mut self,
        namespace: Option<String>,
        name: &NameOf,
        object: &RawValue,
    ) -> Result<Option<Watched>, serde_json::Error> {
        match self {
            Self::SealedEnvs { environment, names } => {
                names.insert((name.namespace.clone(), name.name.clone()));
                let seen = Box::new(SealedEnvSeen::read(object)?);
                let environment = environment.clone();
                let change = SealedEnvChange::Put(seen);
                Ok(Some(Watched::SealedEnv {
                    environment,
                    namespace,
                    change,
                }))
            }
            Self::Workloads { kind, list } => {
                let kind = *kind;
                let found = extract::workload(kind, object)?;
                Ok(keep(list, found).map(|change| Watched::Workload {
                    namespace,
                    kind,
                    change,
                }))
            }
            Self::Jobs { list } => {
                let found = extract::job(object)?;
                Ok(keep(list, found).map(|change| Watched::Job { namespace, change }))
            }
        }
    }

    pub(super) fn gone(&self, watched: Option<String>, namespace: String, name: String) -> Watched {
        match self {
            Self::SealedEnvs { environment, .. } => Watched::SealedEnv {
                environment: environment.clone(),
                namespace: watched,
                change: SealedEnvChange::Gone { namespace, name },
            },
            Self::Workloads { kind, .. } => Watched::Workload {
                namespace: watched,
                kind: *kind,
                change: Change::Gone { namespace, name },
            },
            Self::Jobs { .. } => Watched::Job {
                namespace: watched,
                change: Change::Gone { namespace, name },
            },
        }
    }

    pub(super) fn end(&mut self, namespace: Option<String>) -> Option<Watched> {
        match self {
            Self::SealedEnvs { environment, names } => {
                let environment = environment.clone();
                let change = SealedEnvChange::Listed(std::mem::take(names));
                Some(Watched::SealedEnv {
                    environment,
                    namespace,
                    change,
                })
            }
            Self::Workloads { kind, list } => {
                let (kind, change) = (*kind, Change::Replaced(list.take()?));
                Some(Watched::Workload {
                    namespace,
                    kind,
                    change,
                })
            }
            Self::Jobs { list } => {
                let change = Change::Replaced(list.take()?);
                Some(Watched::Job { namespace, change })
            }
        }
    }
}

/// Keeps `found` while a list is read; otherwise it is a change of its own.
fn keep<T>(list: &mut Option<Vec<T>>, found: T) -> Option<Change<T>> {
    match list {
        Some(list) => {
            list.push(found);
            None
        }
        None => Some(Change::Put(found)),
    }
}
