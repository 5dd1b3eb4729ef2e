//! `show`: one document, masked.

use std::path::PathBuf;

use clap::Args;

use crate::cli::document::{OpenedDocument, Source};
use crate::cli::error::{CommandError, Exit};
use crate::cli::{Outcome, Session, masked, store};
use crate::secret::Secret;
use crate::trust::{self, Verdict};

/// Show a document with its secrets masked
///
/// A secret appears as its length and four digits of a keyed digest: ‹24 chars, 7c1e›. Only those who
/// can open the document can compute them, so the output is safe in a pull request.
#[derive(Debug, Args)]
#[command(before_help = "Examples:\n  sealctl show -e prod\n  sealctl show --key API_KEY --reveal")]
pub(crate) struct ShowArgs {
    /// Document (default: by -e and -a)
    file: Option<PathBuf>,
    /// Only this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Show the secrets themselves
    #[arg(long)]
    reveal: bool,
}

/// `show`.
pub(crate) fn run(session: &mut Session, args: &ShowArgs) -> Result<Outcome, CommandError> {
    let source = Source::find(session, args.file.as_deref())?;
    if args.reveal {
        may_reveal(session, true, "the secrets of the document")?;
    }
    let document = source.open(session)?;
    if let Some(key) = &args.key {
        return one(session, &source, &document, key, args.reveal);
    }
    session.ui.report(&headline(session, &source, &document));
    let text = document.opened.text();
    let shown = if args.reveal {
        text
    } else {
        hidden(&source, &document, &text)?
    };
    session.ui.data(shown.expose());
    Ok(Outcome::Done)
}

/// Refuses to show secrets where that was not asked for; asks once on a terminal.
///
/// # Errors
///
/// On a terminal without `--reveal`, and always under `SEALCTL_REDACT=always`.
pub(crate) fn may_reveal(
    session: &Session,
    revealed: bool,
    what: &str,
) -> Result<(), CommandError> {
    let refused = |why: &str, fix: &str| {
        let what = format!("refusing to print {what}");
        Err(CommandError::new("E0401", Exit::Failure, what)
            .why(why)
            .fix(fix))
    };
    if revealed && session.environ.text("SEALCTL_REDACT") == Some("always") {
        return refused("SEALCTL_REDACT is set to always", "unset SEALCTL_REDACT");
    }
    if !session.ui.stdout_is_terminal() {
        return Ok(());
    }
    if !revealed {
        return refused(
            "terminal scrollback keeps it",
            "add --reveal, or redirect the output",
        );
    }
    if session
        .ui
        .confirm(&format!("Print {what} on this terminal?"), "--yes")?
    {
        return Ok(());
    }
    refused("the answer was no", "redirect the output")
}

/// `# envs/prod/web.yaml  ·  4 readers  ·  MAC ok  ·  revision 7`.
fn headline(session: &Session, source: &Source, document: &OpenedDocument) -> String {
    let sealed = document.opened.sealed();
    let count = sealed.recipients().count();
    let seal = match trust::verify(sealed, document.opened.key()) {
        Verdict::Valid { revision, .. } => format!("revision {revision}"),
        Verdict::Missing => "no seal".to_owned(),
        Verdict::Invalid => "seal invalid".to_owned(),
    };
    let dot = session.ui.symbols().dot;
    let readers = if count == 1 { "reader" } else { "readers" };
    format!(
        "# {}  {dot}  {count} {readers}  {dot}  MAC ok  {dot}  {seal}",
        source.shown
    )
}

fn one(
    session: &mut Session,
    source: &Source,
    document: &OpenedDocument,
    key: &str,
    reveal: bool,
) -> Result<Outcome, CommandError> {
    let delivery = source.deliver(document)?;
    let found = delivery
        .values
        .iter()
        .find(|(name, _)| name.as_str() == key);
    let Some((name, value)) = found else {
        return Err(super::get::not_set(key, &delivery, &source.shown));
    };
    let text = if value.secret && !reveal {
        Secret::from(document.mask.show(&value.text))
    } else {
        value.text.clone()
    };
    session.ui.data(format!("{name}: ").as_bytes());
    session.ui.data(text.expose());
    session.ui.data(b"\n");
    Ok(Outcome::Done)
}

/// `text`, the opened document, with every secret masked; its formatting stays.
fn hidden(
    source: &Source,
    document: &OpenedDocument,
    text: &Secret,
) -> Result<Secret, CommandError> {
    let plain = store::parse_plain(&source.shown, text)?;
    let tree = document.opened.tree();
    Ok(masked::masked(
        text.expose_text().unwrap_or_default(),
        &plain,
        Some(tree),
        None,
        &|secret| document.mask.show(secret),
    ))
}
