//! Files: atomic writes, permissions, private scratch space.
