//! Who can open an environment: one recipient per file in `keys/<env>/*.pub`.
//!
//! The listing is the access list. An empty folder, an unreadable key or a private key in the wrong
//! place is an error, never a shorter list of readers.

use crate::cli::Session;
use crate::cli::document::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::project::Project;
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::crypto::identity::short;
use crate::crypto::{InvalidKey, Recipient};
use crate::file;
use crate::name::{EnvName, ReaderName};
use crate::sops::Sealed;

/// A public key is one line; a comment or two may stand above it.
const LIMIT: u64 = 16 * 1024;

/// Somebody, or a cluster, that can open the documents of an environment.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The stem of the file.
    pub(crate) name: ReaderName,
    /// The public key.
    pub(crate) recipient: Recipient,
    /// What stands above it.
    pub(crate) note: Note,
}

impl Reader {
    /// Whether it is a person or a machine of theirs: no key that lies offline, and no cluster.
    pub(crate) fn is_somebody(&self) -> bool {
        let name = self.name.as_str();
        let is_other = matches!(self.note.kind.as_str(), "offline" | "cluster");
        !is_other && name != RECOVERY && !name.starts_with("cluster")
    }
}

/// The reader whose key lies offline.
pub(crate) const RECOVERY: &str = "recovery";
/// What a reader can be.
const KINDS: [&str; 4] = ["person", "machine", "cluster", "offline"];

/// What the comment above a key says; empty where it says nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// One of person, machine, cluster, offline.
    pub(crate) kind: String,
    /// A mail address.
    pub(crate) contact: String,
    /// The day that it was made.
    pub(crate) since: String,
}

impl Note {
    /// Of today.
    pub(crate) fn new(kind: &str, contact: Option<String>) -> Self {
        let since = rfc3339(SystemClock.now().wall);
        Self {
            kind: kind.to_owned(),
            contact: contact.unwrap_or_default(),
            since: since.split('T').next().unwrap_or_default().to_owned(),
        }
    }

    /// From the first comment of a `.pub` file: parts that commas separate, in any order.
    fn parse(text: &str) -> Self {
        let mut note = Self::default();
        let comment = text.lines().find_map(|line| line.trim().strip_prefix('#'));
        for part in comment.unwrap_or_default().split(',').map(str::trim) {
            let digits = part.bytes().filter(u8::is_ascii_digit).count();
            match part {
                kind if KINDS.contains(&kind) => kind.clone_into(&mut note.kind),
                contact if contact.contains('@') => contact.clone_into(&mut note.contact),
                day if day.len() == 10 && digits == 8 => day.clone_into(&mut note.since),
                _ => {}
            }
        }
        note
    }

    /// The comment line; nothing where there is nothing to say.
    pub(crate) fn line(&self) -> String {
        let parts = [&self.kind, &self.contact, &self.since].into_iter();
        let parts: Vec<&str> = parts
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        match parts.is_empty() {
            true => String::new(),
            false => format!("# {}\n", parts.join(", ")),
        }
    }
}

/// The readers of `environment`, sorted by name.
///
/// # Errors
///
/// Exit code 10 for a layout that cannot be meant: no key at all, a file that holds no recipient, a
/// private key, or the same key under two names.
pub(crate) fn of(project: &Project, environment: &EnvName) -> Result<Vec<Reader>, CommandError> {
    let folder = project.keys(environment);
    let shown = format!("keys/{environment}/");
    let names = file::list(&folder).unwrap_or_default();
    let mut readers: Vec<Reader> = Vec::new();
    for file_name in names.iter().filter(|name| !name.starts_with('.')) {
        let path = folder.join(file_name);
        if file::kind(&path) != Some(file::Kind::File) {
            continue;
        }
        let text = file::read(&path, LIMIT)?;
        let place = format!("{shown}{file_name}");
        refuse_private_key(text.expose(), &place)?;
        let Some(stem) = file_name.strip_suffix(".pub") else {
            continue;
        };
        let name = stem.parse::<ReaderName>().map_err(|error| {
            CommandError::new(
                "E0123",
                Exit::Project,
                format!("{place} is not named for a reader"),
            )
            .why(error.to_string())
        })?;
        let recipient = recipient(text.expose_text().unwrap_or_default(), &place)?;
        if let Some(twin) = readers.iter().find(|other| other.recipient == recipient) {
            return Err(CommandError::new(
                "E0124",
                Exit::Project,
                format!("{place} holds the same key as {shown}{}.pub", twin.name),
            )
            .fix(format!("git rm {place}")));
        }
        let note = Note::parse(text.expose_text().unwrap_or_default());
        readers.push(Reader {
            name,
            recipient,
            note,
        });
    }
    if readers.is_empty() {
        return Err(CommandError::new(
            "E0120",
            Exit::Project,
            format!("{shown} holds no public key"),
        )
        .why("a document that nobody can open would be lost")
        .fix(format!("sealctl key new --request --env {environment}")));
    }
    Ok(readers)
}

/// The names of `readers`, for messages.
pub(crate) fn names(readers: &[Reader]) -> String {
    let names: Vec<&str> = readers.iter().map(|reader| reader.name.as_str()).collect();
    names.join(", ")
}

/// The keys of `readers`.
pub(crate) fn recipients(readers: &[Reader]) -> Vec<Recipient> {
    readers
        .iter()
        .map(|reader| reader.recipient.clone())
        .collect()
}

/// Where the recipients of a file and the readers of its environment differ.
pub(crate) struct Difference {
    /// Who can open the file and is not listed: a sentence.
    pub(crate) unlisted: Option<String>,
    /// Who is listed and cannot open it yet: a sentence.
    pub(crate) pending: Option<String>,
    /// The commands that seal the file for those listed, and for nobody else.
    pub(crate) fix: String,
}

/// How the recipients of `sealed` differ from the listing; nothing differs outside a project, or where
/// the listing cannot be read, which is an error of its own.
pub(crate) fn difference(source: &Source, sealed: &Sealed) -> Option<Difference> {
    let (project, document) = source.home.as_ref()?;
    let readers = of(project, &document.environment).ok()?;
    let is_listed = |key: &&str| readers.iter().any(|one| one.recipient.as_str() == *key);
    let unlisted: Vec<String> = sealed
        .recipients()
        .filter(|key| !is_listed(key))
        .map(short)
        .collect();
    let reads = |reader: &&Reader| {
        sealed
            .recipients()
            .any(|key| key == reader.recipient.as_str())
    };
    let pending: Vec<&str> = readers
        .iter()
        .filter(|reader| !reads(reader))
        .map(|reader| reader.name.as_str())
        .collect();
    let (shown, folder) = (&source.shown, format!("keys/{}/", document.environment));
    let verb = |count: usize| if count == 1 { "is" } else { "are" };
    let sentence = |who: &str, count: usize, what: &str| {
        let (is, text) = (verb(count), format!("{shown}  {who}"));
        (count > 0).then(|| format!("{text} {is} {what}"))
    };
    Some(Difference {
        unlisted: sentence(
            &unlisted.join(", "),
            unlisted.len(),
            &format!("not in {folder} and can open it"),
        ),
        pending: sentence(
            &pending.join(", "),
            pending.len(),
            &format!("in {folder} and cannot open it yet"),
        ),
        fix: seal_anew(shown),
    })
}

/// Warns about the [`difference`].
pub(crate) fn warn_of_difference(session: &Session, source: &Source, sealed: &Sealed) {
    let Some(found) = difference(source, sealed) else {
        return;
    };
    let lines = [("W0150", found.unlisted), ("W0151", found.pending)];
    for (code, line) in lines {
        if let Some(line) = line {
            session.ui.warn(&format!("{code} {line}"));
            session.ui.detail("fix", &found.fix);
        }
    }
}

/// The one recipient in the text of a `.pub` file.
fn recipient(text: &str, place: &str) -> Result<Recipient, CommandError> {
    let lines = text.lines().map(str::trim);
    let keys: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let error = |why: String| {
        CommandError::new(
            "E0122",
            Exit::Project,
            format!("{place} is not a public key"),
        )
        .why(why)
    };
    match keys.as_slice() {
        [key] => Recipient::x25519(key).map_err(|invalid: InvalidKey| error(invalid.to_string())),
        [] => Err(error("it holds no recipient (age1…)".to_owned())),
        several => Err(error(format!(
            "it holds {} lines, one is allowed",
            several.len()
        ))),
    }
}

fn refuse_private_key(text: &[u8], place: &str) -> Result<(), CommandError> {
    let signs: [&[u8]; 3] = [b"AGE-SECRET-KEY-", b"AGE-PLUGIN-", b"PRIVATE KEY-----"];
    let upper = text.to_ascii_uppercase();
    let found = signs
        .iter()
        .any(|sign| upper.windows(sign.len()).any(|window| window == *sign));
    if !found {
        return Ok(());
    }
    Err(CommandError::new(
        "E0121",
        Exit::Project,
        format!("{place} holds a private key"),
    )
    .why("keys/ is for public keys; whatever is committed can be read by everybody")
    .fix(format!(
        "git rm --cached {place}, then replace that key everywhere: it is burnt"
    )))
}

/// What seals a document for the readers in `keys/`, whoever its readers are now.
pub(crate) fn seal_anew(shown: &str) -> String {
    format!("sealctl rekey {shown}")
}
