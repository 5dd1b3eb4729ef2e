//! The program `sealctl`: hands over to the library.

fn main() {}
