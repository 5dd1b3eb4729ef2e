//! The programs as a person uses them, in an empty home, without a cluster.

#[cfg(test)]
mod docs;
