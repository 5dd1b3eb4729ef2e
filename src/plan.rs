//! The pure core: what should happen next.
