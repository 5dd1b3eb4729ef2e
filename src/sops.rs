//! A SOPS library: sealed and opened documents.
