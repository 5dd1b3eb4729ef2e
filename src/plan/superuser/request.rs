//! The wish, put on the SealedEnv as an annotation, that a run be made, or made again: one try for each time
//! it is set. That it has been tried is said in the status before the Job is made. Knows nothing of Jobs.

use crate::plan::conditions::{BootstrapState, BootstrapStatus};
use crate::plan::desired::DesiredSuperuser;
use crate::plan::state::State;
use crate::vocabulary;

/// What the annotation says about the run that the document asks for.
pub(super) struct Request<'a> {
    pub(super) state: &'a State,
    pub(super) user: &'a DesiredSuperuser,
}

impl Request<'_> {
    /// Whether the annotation names this run, tried or not.
    pub(super) fn stands(&self) -> bool {
        let document = self.state.document.as_ref();
        document.and_then(|document| document.bootstrap_id.as_deref()) == Some(&self.user.id)
    }

    /// Whether it asks for a try that has not begun.
    pub(super) fn is_new(&self) -> bool {
        self.stands() && self.status().is_none_or(|former| !former.requested)
    }

    /// Whether the run, in its state `now`, is the try that was asked for. One that waits will be; one that
    /// is under way or has ended is what was said when it began. Without the annotation nothing is
    /// remembered, so that setting it again asks again.
    pub(super) fn is_tried(&self, now: BootstrapState) -> bool {
        let began = |former: &&BootstrapStatus| former.state != BootstrapState::Waiting;
        let former = self.status().filter(began);
        let waits = now == BootstrapState::Waiting;
        self.stands() && (waits || former.is_none_or(|former| former.requested))
    }

    /// How a person asks for another try.
    pub(super) fn how_to_repeat(&self) -> String {
        let annotation = vocabulary::BOOTSTRAP_ID;
        let id = &self.user.id;
        if self.is_new() || !self.stands() {
            format!("annotate {annotation}={id} to run again")
        } else {
            format!("remove the annotation {annotation} and set it to {id} again to run again")
        }
    }

    fn status(&self) -> Option<&BootstrapStatus> {
        let former = self.state.status.bootstrap.as_ref();
        former.filter(|former| former.id == self.user.id)
    }
}
