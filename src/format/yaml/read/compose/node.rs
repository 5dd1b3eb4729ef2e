//! Nodes as they were composed, and the comments that belong to them.

use crate::format::yaml::read::token::Text;
use crate::tree::{Layout, Position, Span, Style};

/// Number of a node.
pub(in crate::format::yaml::read) type Id = usize;

/// A node. There are two for each line of a usual file, so what few of them have lies elsewhere.
pub(in crate::format::yaml::read) struct Node {
    pub(in crate::format::yaml::read) what: What,
    pub(in crate::format::yaml::read) position: Position,
    pub(in crate::format::yaml::read) span: Span,
    extras: Option<Box<Extras>>,
}

#[derive(Default)]
struct Extras {
    tag: Option<String>,
    comments: Comments,
}

impl Node {
    pub(super) fn new(what: What, position: Position, span: Span, comments: Comments) -> Self {
        let extras = (!comments.is_empty()).then(|| {
            Box::new(Extras {
                tag: None,
                comments,
            })
        });
        Self {
            what,
            position,
            span,
            extras,
        }
    }

    pub(in crate::format::yaml::read) fn tag(&self) -> Option<&str> {
        self.extras.as_ref()?.tag.as_deref()
    }

    /// The comments that belong to it.
    pub(in crate::format::yaml::read) fn comments(&self) -> Comments {
        self.extras
            .as_ref()
            .map_or_else(Comments::default, |extras| extras.comments.clone())
    }

    pub(in crate::format::yaml::read) fn take_comments(&mut self) -> Comments {
        self.extras
            .as_mut()
            .map_or_else(Comments::default, |extras| {
                std::mem::take(&mut extras.comments)
            })
    }

    pub(super) fn has_foot(&self) -> bool {
        let extras = self.extras.as_ref();
        extras.is_some_and(|extras| !extras.comments.foot.is_empty())
    }

    pub(super) fn take_foot(&mut self) -> Vec<Span> {
        let extras = self.extras.as_mut();
        extras.map_or_else(Vec::new, |extras| std::mem::take(&mut extras.comments.foot))
    }

    pub(super) fn add_foot(&mut self, mut foot: Vec<Span>) {
        if !foot.is_empty() {
            let extras = self.extras.get_or_insert_default();
            extras.comments.foot.append(&mut foot);
        }
    }

    /// Puts other comments behind and below it.
    pub(super) fn set_end(&mut self, line: Vec<Span>, foot: Vec<Span>) {
        if self.extras.is_some() || !line.is_empty() || !foot.is_empty() {
            let comments = &mut self.extras.get_or_insert_default().comments;
            (comments.line, comments.foot) = (line, foot);
        }
    }

    pub(super) fn set_tag(&mut self, tag: Option<String>) {
        if tag.is_some() {
            self.extras.get_or_insert_default().tag = tag;
        }
    }
}

pub(in crate::format::yaml::read) enum What {
    Scalar {
        style: Style,
        text: Text,
    },
    Alias {
        target: Id,
        name: Span,
    },
    Map {
        pairs: Vec<(Id, Id)>,
        layout: Layout,
    },
    List {
        items: Vec<Id>,
        layout: Layout,
    },
}

/// A document: where it begins, its root, and the comments behind it.
pub(in crate::format::yaml::read) struct Document {
    pub(in crate::format::yaml::read) start: usize,
    pub(in crate::format::yaml::read) root: Id,
    pub(in crate::format::yaml::read) foot: Vec<Span>,
}

/// Comments above, behind and below something; each is one line.
#[derive(Default, Clone)]
pub(in crate::format::yaml::read) struct Comments {
    pub(in crate::format::yaml::read) head: Vec<Span>,
    pub(in crate::format::yaml::read) line: Vec<Span>,
    pub(in crate::format::yaml::read) foot: Vec<Span>,
}

impl Comments {
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.line.is_empty() && self.foot.is_empty()
    }
}
