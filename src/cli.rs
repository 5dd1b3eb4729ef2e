//! sealctl: parse, dispatch, exit code.
