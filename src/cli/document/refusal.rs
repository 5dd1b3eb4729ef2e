//! Why a file cannot be read or opened, in words that name it and say what to do.

use super::Source;
use crate::cli::error::{CommandError, Exit};
use crate::cli::keys::Known;
use crate::cli::{Session, identity, merge, readers};
use crate::sops::{KeyError, MacFault, OpenError, ReadError};

impl Source {
    /// What a file that cannot be read as a sealed one means for a command.
    pub(crate) fn read_error(&self, error: &ReadError) -> CommandError {
        let shown = &self.shown;
        match error {
            ReadError::NotSealed => {
                CommandError::new("E0140", Exit::Plaintext, format!("{shown} is not sealed"))
                    .why("it has no sops block")
                    .fix(format!("sealctl encrypt {shown}"))
            }
            ReadError::Syntax(_) if merge::is_marked(&self.text) => {
                let what = format!("both sides of a conflict stand in {shown}");
                CommandError::new("E0297", Exit::Failure, what)
                    .why("git could not merge a value that both sides changed")
                    .fix(format!("sealctl edit {shown}"))
            }
            ReadError::Syntax(syntax) => {
                let place = syntax.position;
                let what = format!("{shown}:{}:{}: {}", place.line, place.column, syntax.fault);
                CommandError::new("E0292", Exit::Failure, what).why("the file was left as it is")
            }
            other => CommandError::new(
                "E0131",
                Exit::Integrity,
                format!("{shown} cannot be read: {other}"),
            )
            .why("the sops block is damaged or cut off")
            .fix(format!("git restore {shown}")),
        }
    }

    pub(super) fn key_error(
        &self,
        session: &Session,
        known: &Known,
        error: &KeyError,
    ) -> CommandError {
        let shown = &self.shown;
        match error {
            KeyError::NoIdentity { recipients } => {
                let error = CommandError::new("E0101", Exit::NoIdentity, "no identity was found");
                let error = known
                    .with_tried(session, error)
                    .fact("readers", self.reader_names(recipients));
                if known.is_empty() {
                    return error
                        .why("no key file where SOPS looks, and no SOPS_AGE_KEY… variable")
                        .fix("sealctl key new");
                }
                known.advised(error, |error| {
                    error.fix("put right what stands above, or make a key:  sealctl key new")
                })
            }
            KeyError::NotARecipient { recipients } => {
                let what = format!("none of your identities can open {shown}");
                let error = CommandError::new("E0112", Exit::NotReader, what);
                let error = known
                    .with_tried(session, error)
                    .fact("readers", self.reader_names(recipients));
                known.advised(error, |error| match self.my_name(session, known) {
                    Some((name, environment)) => error
                        .fix(format!(
                            "sealctl key new --request --env {environment} --name {name}   and commit"
                        ))
                        .fix(format!(
                            "then one of them runs:  {}",
                            readers::seal_anew(shown)
                        )),
                    None => error.fix("ask one of them to make you a reader"),
                })
            }
            damaged => CommandError::new("E0130", Exit::Integrity, format!("{shown}: {damaged}"))
                .fix(format!("git restore {shown}")),
        }
    }

    /// The readers by name where `keys/` knows them, else by key.
    pub(super) fn reader_names(&self, recipients: &[String]) -> String {
        let known = self
            .home
            .as_ref()
            .and_then(|(project, document)| readers::of(project, &document.environment).ok());
        let known = known.unwrap_or_default();
        let names = recipients.iter().map(|recipient| {
            let reader = known
                .iter()
                .find(|reader| reader.recipient.as_str() == recipient);
            match reader {
                Some(reader) => reader.name.to_string(),
                None => crate::crypto::identity::short(recipient),
            }
        });
        names.collect::<Vec<_>>().join(", ")
    }

    /// The name under which one of the identities is listed, else the one that would be used.
    fn my_name(&self, session: &Session, known: &Known) -> Option<(String, String)> {
        let (project, document) = self.home.as_ref()?;
        let listed = readers::of(project, &document.environment).unwrap_or_default();
        let is_mine = |reader: &&readers::Reader| {
            known
                .identities
                .iter()
                .any(|own| own.recipient() == reader.recipient)
        };
        let name = match listed.iter().find(is_mine) {
            Some(reader) => reader.name.clone(),
            None => identity::reader_name(session, project.root(), None).ok()?,
        };
        Some((name.to_string(), document.environment.to_string()))
    }

    /// What a file that does not open means for a command.
    pub(crate) fn open_error(&self, error: &OpenError) -> CommandError {
        let shown = &self.shown;
        match error {
            OpenError::PlainLeaf { path, position } => {
                let what = format!("{shown}:{}  {path} is plaintext", position.line);
                CommandError::new("E0140", Exit::Plaintext, what)
                    .fix(format!("sealctl encrypt {shown}"))
            }
            OpenError::Mac(MacFault::Mismatch) => {
                let what = format!("{shown} was changed after it was sealed");
                CommandError::new("E0130", Exit::Integrity, what)
                    .why("the MAC does not fit the content: a hand edit looks like tampering")
                    .fix(format!(
                        "sealctl encrypt {shown}   shows the difference and asks"
                    ))
            }
            other => CommandError::new("E0130", Exit::Integrity, format!("{shown}: {other}"))
                .why("the ciphertext is damaged, cut off or comes from another place")
                .fix(format!("git restore {shown}")),
        }
    }
}
