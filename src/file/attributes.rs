//! Extended attributes of a file that is replaced: notes, labels, its access list.
//!
//! A file that is written in place keeps them; one that takes its place has to be given them. Nothing here knows
//! what they mean, but for the few that the system keeps for itself.

#![expect(
    clippy::disallowed_types,
    reason = "this is part of the door to the file system"
)]

use std::ffi::CStr;
use std::fs::File;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, getxattr, listxattr};

/// Who may do what beside the mode. Without it the mode means more: the bits of the group are its mask.
const ACCESS_LIST: &CStr = c"system.posix_acl_access";
/// Of the content, which is another one; the system takes them away at a write, too.
const OF_CONTENT: [&CStr; 3] = [c"security.capability", c"security.evm", c"security.ima"];
/// The longest list and the longest value, from `linux/limits.h`.
const LONGEST: usize = 1 << 16;

/// Gives `to` the attributes of `from`, as far as this process may. Whether the access list is the same: `to` is
/// no substitute where it is not.
pub(super) fn copy(from: &Path, to: &File) -> bool {
    let mut names = Vec::with_capacity(LONGEST);
    // No answer: the file system has none.
    if listxattr(from, spare_capacity(&mut names)).is_err() {
        return true;
    }
    let names = names.split_inclusive(|byte| *byte == 0);
    let names: Vec<&CStr> = names
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .collect();
    if !names.contains(&ACCESS_LIST) {
        // One that it has from its directory.
        let _ = fremovexattr(to, ACCESS_LIST);
    }
    let mut is_same = true;
    for name in names.into_iter().filter(|name| !OF_CONTENT.contains(name)) {
        let mut value = Vec::with_capacity(LONGEST);
        let copied = getxattr(from, name, spare_capacity(&mut value))
            .and_then(|_| fsetxattr(to, name, &value, XattrFlags::empty()));
        is_same &= copied.is_ok() || name != ACCESS_LIST;
    }
    is_same
}
