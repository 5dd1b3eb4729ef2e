//! sealctl.
