//! Who stands behind a file: the seal and, later, signatures.
