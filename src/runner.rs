//! Running a child process with an environment.
