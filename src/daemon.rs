//! seald: start, supervise, stop.
