//! The program `seald`: hands over to the library.

fn main() {}
