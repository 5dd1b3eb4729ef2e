//! One's own identity: finding the one that is there, or making it.
//!
//! A new identity goes to the `keys.txt` where SOPS looks anyway, mode 0600, and nowhere else.

use std::path::{Path, PathBuf};

use crate::cli::error::{CommandError, Exit};
use crate::cli::ui::Ui;
use crate::cli::{Session, git};
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::crypto::{Identity, Recipient};
use crate::file;
use crate::keyring::Sources;
use crate::name::ReaderName;
use crate::secret::Secret;

const LIMIT: u64 = 1 << 20;

/// Where the private half of an own identity lies.
#[derive(Debug)]
pub(crate) struct Own {
    /// The public half.
    pub(crate) recipient: Recipient,
    /// The source, for messages.
    pub(crate) place: String,
    /// Whether it was made just now.
    pub(crate) is_new: bool,
}

impl Own {
    /// Says which identity it is, and where it lies.
    pub(crate) fn tell(&self, ui: &Ui) {
        let (place, short) = (&self.place, self.recipient.short());
        ui.done(&if self.is_new {
            format!("identity written to {place} (0600): {short}")
        } else {
            format!("using your existing identity {place} ({short})")
        });
    }
}

/// The first identity that the sources of SOPS give, or a new one in `keys.txt`.
///
/// # Errors
///
/// When there is none and none can be written.
pub(crate) fn find_or_make(session: &Session) -> Result<Own, CommandError> {
    if let Ok(own) = find(session) {
        return Ok(own);
    }
    let sources = Sources::of_process();
    let path = sources.default_file().map(PathBuf::from).ok_or_else(|| {
        CommandError::new("E0102", Exit::NoIdentity, "no place for a new identity")
            .why("neither XDG_CONFIG_HOME nor HOME is set")
    })?;
    let identity = Identity::generate();
    if !session.globals.dry_run {
        append(&path, &identity)?;
    }
    Ok(Own {
        recipient: identity.recipient(),
        place: tilde(session, &path.display().to_string()),
        is_new: true,
    })
}

/// The first identity that the sources of SOPS give.
///
/// # Errors
///
/// Exit code 11 when there is none.
pub(crate) fn find(session: &Session) -> Result<Own, CommandError> {
    let found = Sources::of_process().collect(&[]).found;
    let identity = found.iter().find_map(|one| {
        let identity = Identity::parse(&one.text).ok()?;
        Some(Own {
            recipient: identity.recipient(),
            place: tilde(session, &one.source),
            is_new: false,
        })
    });
    identity.ok_or_else(|| {
        CommandError::new("E0101", Exit::NoIdentity, "no identity was found").fix("sealctl key new")
    })
}

/// An identity as the text of a key file, as `age-keygen` writes it.
pub(crate) fn key_file(identity: &Identity) -> Secret {
    let created = rfc3339(SystemClock.now().wall);
    let head = format!(
        "# created: {created}\n# public key: {}\n",
        identity.recipient()
    );
    let text = identity.text();
    let mut bytes = Vec::with_capacity(head.len() + text.len() + 1);
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(text.expose());
    bytes.push(b'\n');
    Secret::new(bytes)
}

/// Adds `identity` at the end of the key file `path`; what stands there stays.
fn append(path: &Path, identity: &Identity) -> Result<(), CommandError> {
    let addition = key_file(identity);
    if file::kind(path).is_none() {
        if let Some(folder) = path.parent() {
            file::create_directory(folder, 0o700)?;
        }
        return Ok(file::create(path, &addition, file::PRIVATE)?);
    }
    let original = file::read_original(path, LIMIT)?;
    let before = original.content().expose();
    let mut bytes = Vec::with_capacity(before.len() + addition.len() + 1);
    bytes.extend_from_slice(before);
    if !before.is_empty() && !before.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(addition.expose());
    Ok(file::replace(&original, &Secret::new(bytes))?)
}

/// The name of this person as a reader: the one given, else from the mail address of git, else the
/// login name.
///
/// # Errors
///
/// Wrong usage for a name that is none, or when none can be derived.
pub(crate) fn reader_name(
    session: &Session,
    folder: &Path,
    chosen: Option<&str>,
) -> Result<ReaderName, CommandError> {
    if let Some(name) = chosen {
        return name
            .parse()
            .map_err(|error: crate::name::InvalidName| CommandError::usage(error.to_string()));
    }
    let email = git::user_email(folder);
    let from_email = email.as_deref().and_then(|email| email.split('@').next());
    let login = session
        .environ
        .text("USER")
        .or_else(|| session.environ.text("LOGNAME"));
    let derived = from_email
        .into_iter()
        .chain(login)
        .find_map(|name| label(name).parse().ok());
    derived.ok_or_else(|| {
        CommandError::usage("your name cannot be derived").fix("say it with --name NAME")
    })
}

/// `text` as an RFC 1123 label: lower case, everything else a dash.
pub(crate) fn label(text: &str) -> String {
    let lower = text.to_lowercase();
    let allowed = |letter: char| letter.is_ascii_alphanumeric();
    let dashed: String = lower
        .chars()
        .map(|letter| if allowed(letter) { letter } else { '-' })
        .collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    let joined = parts.join("-");
    joined
        .chars()
        .take(38)
        .collect::<String>()
        .trim_end_matches('-')
        .to_owned()
}

/// `text` with the home directory as `~`.
pub(crate) fn tilde(session: &Session, text: &str) -> String {
    match session.environ.text("HOME") {
        Some(home) if home != "/" => text.replace(home, "~"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_label() {
        assert_eq!(label("Alice.B_Smith"), "alice-b-smith");
        assert_eq!(label("  --My App!! "), "my-app");
        assert_eq!(label("日本"), "");
        assert!(label(&"a-".repeat(40)).parse::<ReaderName>().is_ok());
    }
}
