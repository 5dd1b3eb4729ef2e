//! Where identities come from: files, variables, a mounted Secret.
