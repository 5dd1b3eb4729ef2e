//! Printing in two rounds: the first counts, so that the buffer has the right size at once. A buffer that
//! grows leaves copies of plaintext behind.

use crate::secret::Secret;

/// Where printed bytes go.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

struct Length(usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What `print` writes. It is called twice, and writes the same twice.
pub(super) fn printed<E>(print: impl Fn(&mut dyn Sink) -> Result<(), E>) -> Result<Secret, E> {
    let mut length = Length(0);
    print(&mut length)?;
    let mut text = Vec::with_capacity(length.0);
    print(&mut text)?;
    Ok(Secret::new(text))
}
