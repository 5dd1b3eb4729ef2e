//! Identities of environments: the private halves of X25519 keys.
//!
//! They come from text and go back to text; where that text lies is not known here. An identity's text
//! is a [`Secret`] and appears in no error. Other kinds of identities are in `any`.

use std::fmt;

use age::secrecy::ExposeSecret as _;

use super::recipient::{KeyKind, Recipient};
use crate::secret::Secret;

/// How an X25519 identity begins.
const BEGINNING: &[u8] = b"AGE-SECRET-KEY-1";
/// What is said of an identity that is damaged.
pub const MISTYPED: &str =
    "an age identity (AGE-SECRET-KEY-1…) that is mistyped or cut off: its checksum is wrong";

/// Why a text is no key. The text is never shown, since it may be a private key in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not an X25519 recipient.
    #[error("not an age recipient (age1…)")]
    Recipient,
    /// A private key where a public one is wanted.
    #[error("a private key where a public one belongs")]
    PrivateKey,
    /// Not an X25519 identity.
    #[error("not an age identity (AGE-SECRET-KEY-1…)")]
    Identity,
    /// A line of a key file that is neither comment nor identity.
    #[error("line {line} is neither a comment nor an age identity (AGE-SECRET-KEY-1…)")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// An X25519 identity by its beginning, with another checksum.
    #[error("{MISTYPED}")]
    Mistyped,
    /// The same in a line of a key file.
    #[error("line {line} is {MISTYPED}")]
    MistypedLine {
        /// Counted from 1.
        line: usize,
    },
    /// A key file without any identity.
    #[error("no age identity (AGE-SECRET-KEY-1…) in it")]
    NoIdentity,
    /// Not a post-quantum recipient or identity, in spite of its beginning.
    #[error(
        "a post-quantum key of age (age1pq1…, AGE-SECRET-KEY-PQ-1…) that is mistyped or cut off"
    )]
    PostQuantum,
    /// Not an SSH key that age can use, in spite of its beginning.
    #[error("not an SSH key that age can use (ssh-ed25519, or ssh-rsa of 2048 bits and more)")]
    Ssh,
    /// Not a plugin's recipient or identity, in spite of its beginning.
    #[error("not a key of an age plugin (age1NAME1…, AGE-PLUGIN-NAME-1…)")]
    Plugin,
    /// Not an age file that a passphrase opens.
    #[error("encrypted, but not with a passphrase")]
    Locked,
    /// A kind of key that this program was built without.
    #[error("a {kind} key, which this program was built without")]
    NotBuiltIn {
        /// The kind.
        kind: KeyKind,
    },
}

impl InvalidKey {
    /// What a `word` is that was read as an X25519 identity in vain.
    fn of_identity(word: &str) -> Self {
        let start = word.as_bytes().get(..BEGINNING.len());
        match start {
            Some(start) if start.eq_ignore_ascii_case(BEGINNING) => Self::Mistyped,
            _ => Self::Identity,
        }
    }

    /// The same error with the `line` of a key file in which it was found.
    pub(super) fn in_line(self, line: usize) -> Self {
        match self {
            Self::Identity => Self::Line { line },
            Self::Mistyped => Self::MistypedLine { line },
            other => other,
        }
    }
}

/// The first seven and last two characters of a recipient's text, for people; a text that is short
/// anyway is left whole.
#[must_use]
pub fn short(recipient: &str) -> String {
    let count = recipient.chars().count();
    if count <= 12 {
        return recipient.to_owned();
    }
    let head: String = recipient.chars().take(7).collect();
    let tail: String = recipient.chars().skip(count - 2).collect();
    format!("{head}…{tail}")
}

/// What unwraps data keys of environments: an age X25519 private key, `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct Identity(age::x25519::Identity);

impl Identity {
    /// Draws a new key pair.
    #[must_use]
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// Reads one identity; blanks around it do not matter.
    ///
    /// # Errors
    /// When it is no X25519 identity.
    pub fn parse(text: &Secret) -> Result<Self, InvalidKey> {
        let text = text.expose_text().ok_or(InvalidKey::Identity)?;
        let text = text.trim();
        let key = text.parse().map_err(|_| InvalidKey::of_identity(text))?;
        Ok(Self(key))
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient::of_x25519(self.0.to_public())
    }

    /// The private half as text, `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn text(&self) -> Secret {
        Secret::from_text(self.0.to_string().expose_secret())
    }

    /// The key in the form of the age library.
    pub(super) fn key(&self) -> &age::x25519::Identity {
        &self.0
    }
}

impl fmt::Debug for Identity {
    /// Shows the public half only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({})", self.recipient())
    }
}

/// Reads a key file: one identity per line, `#` comments and blank lines between them.
///
/// # Errors
/// When a line is neither, or there is no identity at all. The error names the line, not its text.
pub fn parse_identities(text: &Secret) -> Result<Vec<Identity>, InvalidKey> {
    let text = text.expose_text().ok_or(InvalidKey::NoIdentity)?;
    let mut identities = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || InvalidKey::of_identity(line).in_line(index + 1);
        identities.push(Identity(line.parse().map_err(|_| wrong())?));
    }
    if identities.is_empty() {
        return Err(InvalidKey::NoIdentity);
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_identity_survives_its_text() {
        let identity = Identity::generate();
        let again = Identity::parse(&identity.text()).unwrap();
        assert_eq!(identity.recipient(), again.recipient());
        assert_eq!(
            identity.recipient().to_string().parse(),
            Ok(again.recipient())
        );
    }

    #[test]
    fn a_key_file_holds_several_identities_and_comments() {
        let (one, two) = (Identity::generate(), Identity::generate());
        let text = format!(
            "# created: today\n{}\n\n  # second\n{}",
            one.text().expose_text().unwrap(),
            two.text().expose_text().unwrap()
        );
        let read = parse_identities(&Secret::from_text(&text)).unwrap();
        let recipients: Vec<_> = read.iter().map(Identity::recipient).collect();
        assert_eq!(recipients, [one.recipient(), two.recipient()]);
    }

    #[test]
    fn errors_name_the_line_and_never_its_text() {
        let error = parse_identities(&Secret::from_text("# x\ncanary\n")).unwrap_err();
        assert_eq!(error, InvalidKey::Line { line: 2 });
        assert!(!format!("{error} {error:?}").contains("canary"));
        let key = Identity::generate().text();
        let key = key.expose_text().unwrap();
        let last = if key.ends_with('Q') { "P" } else { "Q" };
        for damaged in [
            format!("{}{last}", &key[..key.len() - 1]),
            key[..key.len() - 9].to_owned(),
            key.to_lowercase().replacen('a', "A", 1),
        ] {
            let error = parse_identities(&Secret::from_text(&damaged)).unwrap_err();
            assert_eq!(error, InvalidKey::MistypedLine { line: 1 });
            assert!(!format!("{error} {error:?}").contains(&key[20..30]));
        }
        let empty = parse_identities(&Secret::from_text("# nothing\n")).unwrap_err();
        assert_eq!(empty, InvalidKey::NoIdentity);
    }

    #[test]
    fn a_private_key_is_no_recipient_and_is_not_shown() {
        let text = Identity::generate().text();
        let error = text
            .expose_text()
            .unwrap()
            .parse::<Recipient>()
            .unwrap_err();
        assert_eq!(error, InvalidKey::PrivateKey);
    }

    #[test]
    fn the_short_form_keeps_both_ends() {
        let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudxajqql28pp8p";
        assert_eq!(short(recipient), "age1ql3…8p");
    }
}
