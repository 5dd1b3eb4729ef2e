//! Where sealed files come from: a directory today, git later.
